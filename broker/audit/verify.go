package audit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// VerifyConfig says what to verify, and against what. Heads and receipts are what anchors the log: without them whoever
// can write the store can rewrite it from some event on and recompute every hash.
type VerifyConfig struct {
	Store      journal.Store
	Heads      []SignedHead                         // of each writer in the order in which they were signed, as ReadHeads gives them
	VerifyHead func(signature string) (Head, error) // needed with Heads; called on all cores at once
	Receipts   []broker.Receipt
	Sealed     iter.Seq2[Sealed, error]                    // all that one verified checkpoint vouches for, in the order of the Merkle log; nil: there is none
	Progress   func(stream journal.Stream, checked uint64) // now and then; may be nil

	// Archive tells what is wrong with where older events are kept; may be nil. It is called when Sealed was read.
	Archive func(context.Context) ([]Fault, error)
}

// Report is what verification found. OK means no fault; Unanchored in a stream tells what that does not cover.
type Report struct {
	OK       bool           `json:"ok"`
	Log      string         `json:"log"`
	Register StreamReport   `json:"register"`
	Writers  []StreamReport `json:"writers"`
	Heads    int            `json:"heads"`    // given that match
	Receipts int            `json:"receipts"` // given that match
	Sealed   uint64         `json:"sealed"`   // entries that a checkpoint vouches for, and that match
	Faults   []Fault        `json:"faults"`   // the archive's first, then the register's, then writer by writer, in order
	More     int            `json:"more"`     // faults beyond those listed
}

// StreamReport is about one stream.
type StreamReport struct {
	Stream     journal.Stream `json:"stream"`
	Entries    uint64         `json:"entries"`
	Epochs     uint64         `json:"epochs"`
	Head       *Ref           `json:"head"`       // null for an empty stream
	Unanchored uint64         `json:"unanchored"` // entries at the end that no head, receipt or checkpoint vouches for
}

// Fault is one thing that is wrong, and where.
type Fault struct {
	Code   FaultCode      `json:"code"`
	Stream journal.Stream `json:"stream,omitempty"` // none for a receipt that is nowhere
	ID     *ID            `json:"id,omitempty"`     // the entry that is wrong, or the first that is missing
	What   string         `json:"what"`
}

// FaultCode sorts faults.
type FaultCode string

// Closed list of FaultCode.
const (
	FaultAltered    FaultCode = "altered"    // the bytes are not those that were acknowledged
	FaultMissing    FaultCode = "missing"    // entries were removed
	FaultOrder      FaultCode = "order"      // entries were added, doubled or moved
	FaultLost       FaultCode = "lost"       // a start event says that acknowledged events were gone
	FaultUnrecorded FaultCode = "unrecorded" // a register entry without the audit event of its change, or with two
	FaultHead       FaultCode = "head"       // a head given is not one of this log
	FaultCheckpoint FaultCode = "checkpoint" // the Merkle log does not fit its checkpoint, or has an entry twice
	FaultArchive    FaultCode = "archive"    // a segment is missing, altered or another than the Merkle log has
	FaultReceipt    FaultCode = "receipt"    // a receipt given has no event, or more than one
)

// String gives the fault on one line.
func (f Fault) String() string {
	s := string(f.Code) + ":"
	if f.Stream != "" {
		s += " " + string(f.Stream)
	}
	if f.ID != nil {
		s += " " + f.ID.String()
	}
	return s + ": " + f.What
}

// maxFaults bounds the faults listed.
const maxFaults = 100

// Verify reads the whole log and holds every entry against its bytes, its place, the entry before, the register and
// what anchors it. It may run beside writers: it judges the log as it was at some moment during the run. The error tells
// only that it could not read; what is wrong with the log is in the report.
func Verify(ctx context.Context, c VerifyConfig) (Report, error) {
	fail := func(err error) (Report, error) { return Report{}, fmt.Errorf("verify log: %w", err) }
	if len(c.Heads) > 0 && c.VerifyHead == nil {
		return fail(errors.New("signed heads without the keys to verify them"))
	}
	v := &verifier{cfg: c, recorded: map[uint64]recording{}, receipts: map[broker.Hash]int{}}
	v.report.Faults, v.report.Writers = []Fault{}, []StreamReport{}
	// The register first, then the writers up to heads taken later, then what the register got meanwhile: so each
	// entry's event is read after the entry, and each event's entries in the end.
	if err := v.readSealed(); err != nil { // before all else: what a checkpoint vouches for was there when it was signed
		return fail(err)
	}
	if err := v.readArchive(ctx); err != nil {
		return fail(err)
	}
	register := &registerCheck{place: place{verifier: v}}
	register.report.Stream = journal.Register
	if err := register.read(ctx); err != nil {
		return fail(err)
	}
	first := len(register.hashes)
	v.report.Log = register.log
	heads := v.openHeads()
	for _, r := range c.Receipts {
		if v.foreign(r.Log) {
			v.fault(FaultReceipt, "", journal.ID{}, "receipt %s is of log %.64q; this is log %s", r.Hash, r.Log, v.report.Log)
			continue
		}
		v.receipts[r.Hash] = 0
	}
	writers, err := c.Store.Writers(ctx)
	if err != nil {
		return fail(err)
	}
	for name := range heads {
		if !slices.Contains(writers, name) {
			writers = append(writers, name)
		}
	}
	for s := range v.sealed {
		if name, ok := strings.CutPrefix(string(s), "audit:"); ok && !slices.Contains(writers, name) {
			writers = append(writers, name)
		}
	}
	slices.Sort(writers)
	for _, name := range writers {
		if !journal.ValidWriter(name) {
			v.fault(FaultOrder, journal.Audit(name), journal.ID{}, "no writer can have this name: the stream was added")
			continue
		}
		w := newWriterCheck(v, name, heads[name])
		if err := w.run(ctx); err != nil {
			return fail(err)
		}
		v.report.Writers = append(v.report.Writers, w.report)
	}
	if err := register.read(ctx); err != nil {
		return fail(err)
	}
	register.finish(uint64(first))
	v.report.Register = register.report
	for _, r := range c.Receipts {
		switch n, mine := v.receipts[r.Hash]; {
		case !mine:
		case n == 1:
			v.report.Receipts++
		case n == 0:
			v.fault(FaultReceipt, "", journal.ID{}, "no event has the hash %s of a receipt", r.Hash)
		default:
			v.fault(FaultReceipt, "", journal.ID{}, "%d events have the hash %s of a receipt", n, r.Hash)
		}
	}
	v.report.OK = len(v.report.Faults) == 0
	return v.report, nil
}

// verifier is what all streams share.
type verifier struct {
	cfg      VerifyConfig
	report   Report
	recorded map[uint64]recording             // by register seq
	receipts map[broker.Hash]int              // events with this hash
	sealed   map[journal.Stream][]sealedEntry // not met yet
	position broker.Position                  // the latest any event was decided at
	by       recording                        // that event
}

// recording is the audit event that recorded a register entry.
type recording struct {
	stream   journal.Stream
	id       journal.ID
	hash     broker.Hash // that the entry must have
	anchored bool
}

func (v *verifier) fault(code FaultCode, stream journal.Stream, id journal.ID, what string, args ...any) {
	if len(v.report.Faults) == maxFaults {
		v.report.More++
		return
	}
	f := Fault{Code: code, Stream: stream, What: fmt.Sprintf(what, args...)}
	if id != (journal.ID{}) {
		f.ID = (*ID)(&id)
	}
	v.report.Faults = append(v.report.Faults, f)
}

func (v *verifier) readArchive(ctx context.Context) error {
	if v.cfg.Archive == nil {
		return nil
	}
	faults, err := v.cfg.Archive(ctx)
	for _, f := range faults {
		if len(v.report.Faults) == maxFaults {
			v.report.More++
			continue
		}
		v.report.Faults = append(v.report.Faults, f)
	}
	return err
}

// foreign tells that something is of another log; not where a damaged genesis doesn't tell which log this is.
func (v *verifier) foreign(log string) bool { return v.report.Log != "" && log != v.report.Log }

// openHeads verifies the heads' signatures and sorts them by writer.
func (v *verifier) openHeads() map[string][]Head {
	opened := make([]struct {
		head Head
		err  error
	}, len(v.cfg.Heads))
	var next atomic.Int64
	var cores sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		cores.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(opened); i = int(next.Add(1)) - 1 {
				opened[i].head, opened[i].err = v.cfg.VerifyHead(v.cfg.Heads[i].Signature)
			}
		})
	}
	cores.Wait()
	out := map[string][]Head{}
	for i, s := range v.cfg.Heads {
		h, err := opened[i].head, opened[i].err
		switch {
		case err != nil:
			v.fault(FaultHead, "", journal.ID{}, "a head that says it is of writer %.32q at %d-%d has no valid signature: %v",
				s.Writer, s.Epoch, s.Seq, err)
		case v.foreign(h.Log) || !journal.ValidWriter(h.Writer):
			v.fault(FaultHead, "", journal.ID{}, "a signed head is of log %.64q; this is log %s", h.Log, v.report.Log)
		default:
			out[h.Writer] = append(out[h.Writer], h)
		}
	}
	return out
}
