package audit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// Config says what a Writer works with. Store, Writer, Log and Vault are needed; Pseudonym and View for disclosures.
type Config struct {
	Store   journal.Store
	Writer  string // this process's own stream; no two processes share one
	Log     string // the log's id, from the genesis entry
	Version string // of the program, told in the start event

	Vault     Vault
	Pseudonym func(broker.BSN) string // keyed, current version
	View      View                    // nil in a command that only changes the register: Append refuses then

	// Heads are signed and kept where both are set: one line a second when the head moved, in HeadsDir on this
	// process's own disk. VerifyHead reads a signature back at the next start; nil trusts the disk.
	HeadsDir   string
	SignHead   func(Head) (string, error)
	VerifyHead func(signature string) (Head, error)

	// Admit tells why no disclosure may be recorded now for a reason outside the store; nil, or nil from it, where there is none.
	Admit func() error

	Now   func() time.Time // nil: time.Now
	Limit time.Duration    // of one Append; 0: 250 ms
	Queue int              // appends that may wait; 0: 4096
}

// Vault encrypts parts (keys.Vault).
type Vault interface {
	SealAll(ctx context.Context, plains []keys.Plain) ([]keys.Part, error)
}

// View is the register as this process knows it. Both methods may be called concurrently with anything.
type View interface {
	// Validate tells whether facts that were true at p and rest on touches still hold, and at which position now.
	Validate(p broker.Position, touches []broker.Touch) (now broker.Position, ok bool)
	// Refresh returns when the view has caught up with the register's head as it was at the call.
	Refresh(ctx context.Context) error
}

// Change is an addition to the register, recorded in the same append.
type Change struct {
	After   journal.Head    // the register's head it was made for
	Entries []journal.Entry // following After
	Kind    string          // case.opened, …: from a closed list, stored in clear
	Staff   broker.Staff    // who did it; no staff part without Agency, Worker and Request
}

// ErrUnknown tells that it can't be known yet whether a change was added: read the register back.
var ErrUnknown = errors.New("outcome not known yet")

// Writer appends events to one stream. It implements broker.Journal.
type Writer struct {
	cfg    Config
	stream journal.Stream

	ctx    context.Context // ends when Close can't wait any longer
	cancel context.CancelFunc
	ended  chan struct{} // the batcher is done
	fenced chan struct{}
	heads  sync.WaitGroup

	// doubt asks the batcher to look at the store before the next check is due.
	doubt chan struct{}

	queueMu sync.RWMutex // held for writing to close the queue
	queue   chan *item
	closed  bool

	mu      sync.Mutex
	head    journal.Head // the last acknowledged one
	pending journal.Head // of the batch whose outcome is not known yet, if there is one
	trouble *trouble
	headErr error
	sealErr error // the vault could not keep a new key last time: what can be read may be impossible to write
	stopped bool  // the stop event is durable

	carry *item // taken from the queue, did not fit; the batcher's own
}

// item is one event on its way.
type item struct {
	kind     Kind
	tail     []byte
	position broker.Position
	touches  []broker.Touch
	change   *Change

	state atomic.Int32
	done  chan result
}

// The states of an item. Only the batcher moves it between waiting and sent; only its caller gives it up, and what was
// given up while waiting is never sent.
const (
	waiting int32 = iota
	sent
	givenUp
)

type result struct {
	hash    broker.Hash
	outcome journal.Outcome
	err     error
}

// trouble is why nothing can be appended now.
type trouble struct {
	code  string
	since time.Time
	err   error
}

// Append makes a disclosure durable, exactly once when it returns nil. See broker.Journal for its errors. It takes at
// most Config.Limit.
func (w *Writer) Append(ctx context.Context, e broker.Event) (broker.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Limit)
	defer cancel()
	if err := w.refusal(); err != nil {
		return broker.Receipt{}, err
	}
	if w.cfg.Admit != nil {
		if err := w.cfg.Admit(); err != nil {
			return broker.Receipt{}, err
		}
	}
	it, err := w.disclosure(ctx, e)
	if err != nil {
		return broker.Receipt{}, err
	}
	r, _ := w.submit(ctx, it)
	if r.err != nil {
		return broker.Receipt{}, r.err
	}
	return broker.Receipt{Log: w.cfg.Log, Hash: r.hash}, nil
}

// Change adds entries to the register together with the event that records them. Appended: done. Moved: the register's
// head is another; build the entries anew and try again. An error with Fenced: this writer ended. Any other error is an
// *broker.Error of KindUnavailable; it wraps ErrUnknown where the change may yet be added, and otherwise nothing was
// added. The context bounds the wait.
func (w *Writer) Change(ctx context.Context, c Change) (journal.Outcome, error) {
	if err := w.refusal(); err != nil {
		return "", err
	}
	it, err := w.recorded(ctx, c)
	if err != nil {
		return "", err
	}
	r, wasSent := w.submit(ctx, it)
	if r.err != nil && r.outcome == "" && wasSent {
		r.err = unavailable(codeJournal, ErrUnknown)
	}
	return r.outcome, r.err
}

// submit queues an item and waits for its result. wasSent tells, when the wait ended before the result, whether the
// item may have reached the store.
func (w *Writer) submit(ctx context.Context, it *item) (r result, wasSent bool) {
	w.queueMu.RLock()
	if w.closed {
		w.queueMu.RUnlock()
		return result{err: w.endedErr()}, false
	}
	select {
	case w.queue <- it:
	default:
		w.queueMu.RUnlock()
		return result{err: unavailable(codeJournal, errors.New("the queue is full"))}, false
	}
	w.queueMu.RUnlock()

	var err error
	select {
	case r = <-it.done:
		return r, true
	case <-ctx.Done():
		err = unavailable(codeJournal, errors.New("no outcome within the limit"))
	case <-w.ended:
		err = w.endedErr()
	}
	wasSent = it.state.Swap(givenUp) == sent
	select { // both may be ready
	case r = <-it.done:
		return r, true
	default:
		return result{err: err}, wasSent
	}
}

// Fenced is closed when another process claimed the stream, or the store lost what it acknowledged. The process must
// exit: nothing it does can be recorded any more.
func (w *Writer) Fenced() <-chan struct{} { return w.fenced }

// Healthy tells why the writer can't append or anchor its head now; nil when it can.
func (w *Writer) Healthy() error {
	select {
	case <-w.ended:
		return w.endedErr()
	default:
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.trouble != nil {
		return unavailable(w.trouble.code, w.trouble.err)
	}
	return errors.Join(w.sealErr, w.headErr)
}

// Head is the last acknowledged head of the stream.
func (w *Writer) Head() journal.Head {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.head
}

// Left tells whether a stream that ends at h may be as this writer left it: at the last acknowledged event, or at the end
// of the batch whose outcome is not known yet. A stream that ends anywhere else lost events, or is another's now.
func (w *Writer) Left(h journal.Head) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return h == w.head || (w.pending != journal.Head{} && h == w.pending)
}

// Close takes nothing new, appends what is queued and a stop event, and signs the last head. When the context ends
// first it gives up: the next start will then say that this epoch crashed.
func (w *Writer) Close(ctx context.Context) error {
	w.queueMu.Lock()
	if !w.closed {
		w.closed = true
		close(w.queue)
	}
	w.queueMu.Unlock()
	select {
	case <-w.ended:
	case <-ctx.Done():
		w.cancel()
		<-w.ended
	}
	w.cancel()
	w.heads.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.stopped {
		return fmt.Errorf("close audit writer %s: %w", w.cfg.Writer, w.endedErr())
	}
	return w.headErr
}

// refusal tells at once what an append would only learn after its limit.
func (w *Writer) refusal() error {
	select {
	case <-w.ended:
		return w.endedErr()
	default:
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if t := w.trouble; t != nil && (t.code == codeUnsafe || time.Since(t.since) > w.cfg.Limit) {
		return unavailable(t.code, t.err)
	}
	return nil
}

func (w *Writer) endedErr() error {
	select {
	case <-w.fenced:
		return unavailable(codeFenced, errors.New("another process claimed this stream, or the store lost entries"))
	default:
		return unavailable(codeJournal, errors.New("the audit writer is closed"))
	}
}

// The codes of every broker.Error this package gives, all of KindUnavailable.
const (
	codeJournal = "journal-unavailable"
	codeUnsafe  = "store-unsafe"
	codeFenced  = "writer-fenced"
	codeBehind  = "register-behind"
)

func unavailable(code string, cause error) error {
	return broker.Fail(broker.KindUnavailable, code, cause)
}
