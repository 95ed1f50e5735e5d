package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/storage/posix"

	"github.com/schakel/schakel/broker/journal"
)

// Streams is what a checkpointer reads of the journal.
type Streams interface {
	Writers(ctx context.Context) ([]string, error)
	Head(ctx context.Context, s journal.Stream) (journal.Head, error)
	Read(ctx context.Context, s journal.Stream, after journal.ID, max int) ([]journal.Entry, error)
}

// Witness is somebody who cosigns checkpoints (C2SP tlog-witness).
type Witness struct{ tessera tessera.Witness }

// NewWitness checks what a witness is reached by.
func NewWitness(verifierKey, address string) (Witness, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return Witness{}, errors.New("a witness's address begins with https://")
	}
	w, err := tessera.NewWitness(verifierKey, u)
	if err != nil {
		return Witness{}, errors.New("a witness's key is no verifier key of the type cosignature/v1, as `schakel witness key` prints it")
	}
	return Witness{w}, nil
}

// Config says what to seal, and how.
type Config struct {
	Dir     string // of the log: of this log alone, and of every checkpointer that may take over
	Origin  string // the first line of its checkpoints, which names it
	Streams Streams
	Key     func() (Key, error)  // the log's key of the moment
	Keys    func() (Keys, error) // to open what was published before; they need not demand witnesses

	Witnesses []Witness
	Quorum    int // of the witnesses that must cosign before a checkpoint is published
	HTTP      *http.Client

	// Lease takes or renews the right to be the only checkpointer, with a number that rises from holder to holder, and gives
	// until when it holds by this machine's clock. journal.ErrLeased: another has it.
	Lease func(ctx context.Context) (fence uint64, until time.Time, err error)

	// Remembered gives the last checkpoint that Sealed told of, from another place than Dir: the folder may have been put
	// back as a whole. Nothing where there is none.
	Remembered func(ctx context.Context) ([]byte, error)
	Sealed     func(ctx context.Context, s Seal) error // a checkpoint was published; told again after an error

	Alarm  func(Alarm) // the log and the streams contradict each other
	Failed func(error) // something did not work and is tried again

	Every time.Duration    // how often checkpoints are signed where there is something new; half a second where zero
	Grace time.Duration    // how long the end waits for the last checkpoint; five seconds where zero
	Now   func() time.Time // time.Now when nil
}

// Alarm is a contradiction that somebody must look into. Sealing of that stream stops.
type Alarm struct {
	Stream journal.Stream
	ID     journal.ID
	What   string
}

// String gives the alarm on one line.
func (a Alarm) String() string { return fmt.Sprintf("%s %s: %s", a.Stream, a.ID, a.What) }

// Seal tells how far the published checkpoint goes.
type Seal struct {
	Checkpoint Checkpoint
	Streams    map[journal.Stream]journal.Head
}

// streams is how far something goes in each stream.
type streams map[journal.Stream]journal.Head

func (s streams) clone() streams {
	out := make(streams, len(s))
	for k, v := range s {
		out[k] = v
	}
	return out
}

// Limits of one round.
const (
	pageSize  = 512
	roundSize = 4096
)

// Checkpointer follows the streams and seals them.
type Checkpointer struct {
	cfg    Config
	told   map[journal.Stream]Alarm // given, so that each is given once
	failed string
}

// New makes a checkpointer. Run does the work.
func New(cfg Config) (*Checkpointer, error) {
	switch {
	case cfg.Dir == "" || cfg.Origin == "" || cfg.Streams == nil || cfg.Key == nil || cfg.Keys == nil || cfg.Lease == nil,
		cfg.Remembered == nil || cfg.Alarm == nil || cfg.Failed == nil || cfg.Sealed == nil:
		return nil, errors.New("new checkpointer: something of its configuration is missing")
	case cfg.Quorum < 0 || cfg.Quorum > len(cfg.Witnesses):
		return nil, fmt.Errorf("new checkpointer: %d witnesses must cosign, and there are %d", cfg.Quorum, len(cfg.Witnesses))
	}
	if cfg.Every == 0 {
		cfg.Every = 500 * time.Millisecond
	}
	if cfg.Grace == 0 {
		cfg.Grace = 5 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{Timeout: 5 * time.Second}
	}
	return &Checkpointer{cfg: cfg, told: map[journal.Stream]Alarm{}}, nil
}

// Run seals until ctx ends: as long as it has the lease it leads, otherwise it stands by. At the end it seals what is there
// and waits for the checkpoint of it, for Grace at most.
func (c *Checkpointer) Run(ctx context.Context) {
	for ctx.Err() == nil {
		err := c.lead(ctx)
		if err != nil && ctx.Err() == nil && !errors.Is(err, journal.ErrLeased) {
			c.fail(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(c.cfg.Every):
		}
	}
}

// fail tells of an error once, and again when another came between.
func (c *Checkpointer) fail(err error) {
	if err.Error() != c.failed {
		c.failed = err.Error()
		c.cfg.Failed(err)
	}
}

func (c *Checkpointer) alarm(a Alarm) {
	if c.told[a.Stream] != a {
		c.told[a.Stream] = a
		c.cfg.Alarm(a)
	}
}

// leading is the work of one who has the lease.
type leading struct {
	*Checkpointer
	log      *Log
	key      Key
	lease    *lease
	signer   *signer
	appender *tessera.Appender
	given    streams   // to the log, in each stream
	size     uint64    // published last
	untold   *Seal     // published, and not told yet
	total    uint64    // leaves given
	waiting  time.Time // since when leaves wait for a checkpoint; zero where none does
}

// lead takes the lease, takes up the log where it ends and follows the streams, until ctx ends, the lease is lost or
// something fails.
func (c *Checkpointer) lead(ctx context.Context) (err error) {
	l := &leading{Checkpointer: c, lease: newLease(c.cfg)}
	if err := l.lease.take(ctx); err != nil {
		return err
	}
	if err := l.open(ctx); err != nil {
		return fmt.Errorf("take up log: %w", err)
	}
	// What tessera does goes on after ctx ends, until the last checkpoint is out.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer l.signer.close()
	shutdown, err := l.start(work)
	if err != nil {
		return fmt.Errorf("take up log: %w", err)
	}
	tick := time.NewTicker(c.cfg.Every / 2)
	defer tick.Stop()
	for err == nil {
		select {
		case <-ctx.Done():
			return l.end(work, shutdown)
		case <-tick.C:
		}
		err = l.round(ctx)
	}
	return err
}

// start makes tessera take the folder up. What it holds beyond the last checkpoint was given by a process that died
// before it was signed: it is read back too, against the journal.
func (l *leading) start(ctx context.Context) (func(context.Context) error, error) {
	options := tessera.NewAppendOptions().WithCheckpointSigner(l.signer).
		WithCheckpointInterval(l.cfg.Every).WithBatching(roundSize, 20*time.Millisecond).WithPushback(2 * roundSize)
	if len(l.cfg.Witnesses) > 0 {
		group := tessera.WitnessGroup{N: l.cfg.Quorum}
		for _, w := range l.cfg.Witnesses {
			group.Components = append(group.Components, w.tessera)
		}
		options = options.WithWitnesses(group, &tessera.WitnessOptions{Timeout: 5 * time.Second})
	}
	driver, err := posix.New(ctx, posix.Config{Path: l.cfg.Dir, HTTPClient: l.cfg.HTTP})
	if err != nil {
		return nil, err
	}
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, options)
	if err != nil {
		return nil, err
	}
	size, err := reader.IntegratedSize(ctx)
	if err != nil {
		return nil, err
	}
	l.appender = appender
	return shutdown, l.takeUp(ctx, size)
}

// open reads how far the log goes: what the last checkpoint vouches for, from the progress file on.
func (l *leading) open(ctx context.Context) (err error) {
	if l.key, err = l.cfg.Key(); err != nil {
		return err
	}
	v, err := verifier(l.cfg.Origin, l.key.Public)
	if err != nil {
		return err
	}
	keys, err := l.cfg.Keys()
	if err != nil {
		return err
	}
	l.log = OpenLog(l.cfg.Dir, keys)
	l.signer = &signer{Signer: noteSigner{v, l.key}, log: l.log, admit: l.lease.admit, tree: trees.NewEmptyRange(0), sealed: streams{}}
	l.given = streams{}
	last, err := l.log.Latest(ctx)
	if err := l.recall(ctx, keys, last, err); err != nil {
		return err
	}
	if errors.Is(err, ErrNoCheckpoint) {
		return nil
	}
	if err != nil {
		return err
	}
	hashes, err := client.FetchRangeNodes(ctx, last.Size, l.log.files().ReadTile)
	if err != nil {
		return err
	}
	if l.signer.tree, err = trees.NewRange(0, last.Size, hashes); err != nil {
		return err
	}
	if got, err := root(l.signer.tree); err != nil || string(got) != string(last.Root[:]) {
		return errors.New("the tiles do not make the root of the published checkpoint; put back a copy of the folder")
	}
	p, err := readProgress(l.cfg.Dir)
	if err != nil {
		return err
	}
	if p.Size > last.Size {
		return fmt.Errorf("the log had %d leaves, and the published checkpoint has %d: the folder was put back; give it a copy that is newer", p.Size, last.Size)
	}
	if err := l.log.sealedUpTo(ctx, last.Size, p.Size, p.Streams); err != nil {
		return err
	}
	l.signer.sealed, l.signer.signed, l.size, l.total = p.Streams, last.Size, last.Size, last.Size
	l.given = p.Streams.clone()
	return nil
}

// recall holds what the folder published last against what is remembered elsewhere: a folder that was put back would sign
// another log under the same name.
func (l *leading) recall(ctx context.Context, keys Keys, last Checkpoint, missing error) error {
	signed, err := l.cfg.Remembered(ctx)
	if err != nil || len(signed) == 0 {
		return err
	}
	remembered, err := keys.Open(signed)
	if err != nil {
		return fmt.Errorf("the checkpoint that is remembered: %w", err)
	}
	if errors.Is(missing, ErrNoCheckpoint) {
		return fmt.Errorf("%s has no checkpoint, and one of %d leaves was published: the folder is gone or put back; give it the newest copy", l.cfg.Dir, remembered.Size)
	}
	if missing != nil {
		return missing
	}
	if err := l.log.Consistent(ctx, remembered, last); err != nil {
		return fmt.Errorf("the folder does not go on from what was published: it was put back; give it the newest copy: %w", err)
	}
	return nil
}

// takeUp takes the leaves beyond the last checkpoint for what they say, and raises an alarm where the journal says otherwise:
// they were there when they were given.
func (l *leading) takeUp(ctx context.Context, size uint64) error {
	var leaves []Leaf
	for leaf, err := range l.log.leaves(ctx, l.signer.tree.End(), size) {
		if err != nil {
			return err
		}
		page, err := l.cfg.Streams.Read(ctx, leaf.Stream, leaf.ID.Before(), 1)
		if err != nil {
			return err
		}
		if len(page) == 0 || page[0].ID != leaf.ID || page[0].Hash != leaf.Hash {
			l.alarm(Alarm{leaf.Stream, leaf.ID, "the Merkle log has this entry, and the journal has another or none"})
		}
		leaves = append(leaves, leaf)
		l.total++
		l.given[leaf.Stream] = journal.Head{ID: leaf.ID, Hash: leaf.Hash}
	}
	l.signer.expect(leaves)
	l.signer.start()
	return nil
}

// end seals what there is now, and waits until the checkpoint is published.
func (l *leading) end(ctx context.Context, shutdown func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Grace)
	defer cancel()
	if err := l.round(ctx); err != nil {
		return err
	}
	if err := shutdown(ctx); err != nil {
		return err
	}
	return l.publish(ctx)
}
