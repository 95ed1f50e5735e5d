package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker/register"
)

const (
	// importWriter is the stream of imports: apart from that of other commands, so that a consent can be withdrawn while
	// an import goes on.
	importWriter = "import"

	importRate    = 400 // lines a second, where --rate says nothing
	importBatch   = 250 // lines at once, at most; they go in one append unless they are large
	importBatches = 4   // a second, where there is a rate: small ones disturb others less
	importTell    = 5 * time.Second
	importPatient = 30 * time.Second // with one batch
)

var errInterrupted = errors.New("interrupted")

func (r *registry) importCommand() *cobra.Command {
	i := &importer{}
	c := &cobra.Command{Use: "import FILE", Short: "Make many changes, one a line, beside a running server", Args: cobra.ExactArgs(1),
		Long: `Makes the changes in a file of JSON lines (- for standard input), in order. A line is a kind of change, named as in
the log, and its body:
  {"kind":"case.opened","body":{"id":"zaak-1","kind":"case","agency":"OIN",…}}   as for register case add
  {"kind":"case.assigned","body":{"case":"zaak-1","agency":"OIN","team":"noord"}}
Kinds: ` + join(importKinds()) + `.
Lines are made some at a time, all of them or none, and wait for each other so long that those who ask hardly notice:
--rate a second, and half of the time nothing. At a line that can't be made it stops. However it stops, it says with
which --skip to go on; the lines before it are in the register.`,
		RunE: func(c *cobra.Command, args []string) error {
			if i.rate < 0 || i.done < 0 {
				return &exitError{exitUsage, errors.New("--rate and --skip are 0 or more")}
			}
			return r.runImport(c, i, args[0])
		}}
	c.Flags().IntVar(&i.rate, "rate", importRate, "lines a second, at most; 0: as fast as it goes, for a server that nobody asks")
	c.Flags().IntVar(&i.done, "skip", 0, "lines at the start of the file that are in the register already")
	return c
}

// importer makes the changes of a file.
type importer struct {
	name   string
	errOut io.Writer
	rate   int
	length int64 // of the file in bytes; 0 where that is not known

	done    int       // lines of the file that are in the register
	made    int       // of those, changes that this import made
	began   time.Time // with the first line
	told    time.Time
	unknown bool // it may be that lines after done are in the register too
}

func (r *registry) runImport(c *cobra.Command, i *importer, file string) error {
	i.name, i.errOut = file, c.ErrOrStderr()
	in := c.InOrStdin()
	if file == "-" {
		i.name = "standard input"
	} else {
		f, err := os.Open(file)
		if err != nil {
			return fmt.Errorf("import: %w", err)
		}
		defer func() { _ = f.Close() }()
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			i.length = info.Size()
		}
		in = f
	}
	began := time.Now()
	err := r.work(c.Context(), importWriter, func(d *desk, a register.Appender) error {
		return i.run(c.Context(), d, a, in)
	})
	took := time.Since(began)
	if r.json {
		result := map[string]any{"done": i.done, "made": i.made, "seconds": took.Seconds(), "complete": err == nil, "unknown": i.unknown}
		if err := printJSON(c.OutOrStdout(), result); err != nil {
			return err
		}
	}
	switch {
	case err != nil && i.unknown:
		return fmt.Errorf("import: %w", err) // it says how to go on
	case err != nil:
		return fmt.Errorf("import: %w; %d lines of %s are in the register: go on with --skip %d", err, i.done, i.name, i.done)
	case r.json:
		return nil
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%d changes made in %s; all %d lines of %s are in the register\n", i.made, took.Round(time.Second/10), i.done, i.name)
	return err
}

// run makes batches until the lines end, one can't be made, or ctx ends. What is being made then is finished first.
func (i *importer) run(ctx context.Context, d *desk, a register.Appender, in io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go d.ring.Watch(ctx, time.Second, func(err error) { _, _ = fmt.Fprintln(i.errOut, "schakel: key ring not taken up:", err) })
	lines := readLines(ctx, in, i.done)
	i.began, i.told = time.Now(), time.Now()
	for {
		batch, err := i.gather(ctx, lines)
		last := errors.Is(err, io.EOF)
		if err != nil && !last {
			return err
		}
		began := time.Now()
		if err := i.make(ctx, d, a, batch); err != nil || last {
			return err
		}
		i.tell(batch[len(batch)-1])
		select {
		case <-ctx.Done():
		case <-time.After(i.pause(len(batch), time.Since(began))):
		}
	}
}

// gather takes lines until they are a batch; io.EOF with the last.
func (i *importer) gather(ctx context.Context, lines <-chan line) ([]line, error) {
	size := importBatch
	if i.rate > 0 {
		size = min(max(i.rate/importBatches, 1), importBatch)
	}
	batch := make([]line, 0, size)
	for len(batch) < size {
		select {
		case <-ctx.Done():
			return nil, errInterrupted
		case l, more := <-lines:
			switch {
			case !more && ctx.Err() != nil:
				return nil, errInterrupted
			case !more:
				return batch, io.EOF
			case l.err != nil && l.number == 0:
				return nil, l.err
			case l.err != nil:
				return nil, i.bad(l, l.err)
			}
			batch = append(batch, l)
		}
	}
	return batch, nil
}

// bad says what is wrong with a line. What it says of persons is in no error of a command.
func (i *importer) bad(l line, err error) error {
	return fmt.Errorf("%s:%d: %w; mend this line", i.name, l.number, err)
}

// make makes the changes of a batch. It does not stop halfway for a ctx that ends.
func (i *importer) make(ctx context.Context, d *desk, a register.Appender, batch []line) error {
	if len(batch) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), importPatient)
	defer cancel()
	if err := d.loadPolicy(ctx); err != nil { // another may be in force by now
		return err
	}
	commands := make([]register.Command, len(batch))
	for n, l := range batch {
		commands[n] = l.command
	}
	made := len(commands)
	err := d.register.DoAll(ctx, a, register.Operator{Name: operator()}, commands)
	var stopped *register.StoppedError
	if errors.As(err, &stopped) {
		made = stopped.Made
	} else if err != nil {
		made = 0
	}
	i.made += made
	if made > 0 {
		i.done = batch[made-1].number
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, register.ErrUnknownOutcome):
		i.unknown = true
		return i.doubt(batch[made:], err)
	case stopped != nil && stopped.Wrong > 0:
		return i.bad(batch[stopped.Wrong-1], stopped.Err)
	}
	return err
}

// doubt says how to find out whether lines were made. They count as not made.
func (i *importer) doubt(batch []line, err error) error {
	first, last := batch[0], batch[len(batch)-1]
	look := "look with `schakel register … list` whether the change of line " + fmt.Sprint(first.number) + " is there"
	for _, l := range batch {
		if k, ok := l.command.(register.OpenCase); ok {
			look = fmt.Sprintf("look with `schakel register case list` whether case %s (line %d) is there", k.ID, l.number)
			break
		}
	}
	return fmt.Errorf("%w; of %s the lines to %d are in the register, of %d to %d it is not known: %s; if so go on with --skip %d, otherwise with --skip %d",
		err, i.name, i.done, first.number, last.number, look, last.number, i.done)
}

// tell says now and then how far it is, after a batch with this line as its last.
func (i *importer) tell(l line) {
	if time.Since(i.told) < importTell {
		return
	}
	i.told = time.Now()
	took := time.Since(i.began)
	text := fmt.Sprintf("%d lines are in the register, %.0f a second", i.done, float64(i.made)/took.Seconds())
	if i.length > 0 && l.end < i.length {
		left := time.Duration(float64(took) * float64(i.length-l.end) / float64(l.end-l.start))
		text += fmt.Sprintf(", %d %% of the file, %s to go", 100*l.end/i.length, left.Round(time.Second))
	}
	_, _ = fmt.Fprintln(i.errOut, text)
}

// pause is how long to leave the machine to others after a batch: it goes slower where appends do.
func (i *importer) pause(lines int, took time.Duration) time.Duration {
	if i.rate == 0 {
		return 0
	}
	return max(time.Duration(lines)*time.Second/time.Duration(i.rate)-took, took)
}
