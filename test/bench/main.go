// Command bench measures Schakel beside what people would use instead, side by side in one run on one machine.
//
//	go run ./test/bench                 everything; some ten minutes
//	go run ./test/bench -quick -json    the columns only, in under a minute
//
// README.md beside it says what each column is, what is real in it and what is not, and shows figures. It is for
// engineers who change Schakel and for whoever doubts the figures; nothing imports it. It needs redis-server, and builds
// the OPA that it compares with once.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags of a run.
type options struct {
	quick       bool
	json        bool
	window      time.Duration
	rounds      int
	connections int
	questions   int
	households  string
	seed        uint64
	out         string
	profile     string
	only        string
}

func run() error {
	var o options
	flag.BoolVar(&o.quick, "quick", false, "only the columns side by side, with short windows")
	flag.BoolVar(&o.json, "json", false, "print JSON")
	flag.DurationVar(&o.window, "window", 0, "length of one stretch of load (default 5s, quick 1s)")
	flag.IntVar(&o.rounds, "rounds", 0, "stretches for each column, in turns (default 5, quick 3)")
	flag.IntVar(&o.connections, "connections", 64, "connections at a time")
	flag.IntVar(&o.questions, "questions", 20_000, "distinct questions in the mix")
	flag.StringVar(&o.households, "households", "1000,100000,1000000", "sizes of the register to compare")
	flag.Uint64Var(&o.seed, "seed", 1, "for the mix of questions")
	flag.StringVar(&o.out, "out", "", "folder to write figures.json and figures.svg to")
	flag.StringVar(&o.profile, "profile", "", "folder to write a processor profile of each gateway to")
	flag.StringVar(&o.only, "only", "", "columns to measure, separated by commas (default all)")
	part := flag.String("part", "", "")
	config := flag.String("config", "", "")
	flag.Parse()
	if *part != "" {
		return runPart(*part, []byte(*config))
	}
	if flag.NArg() > 0 {
		return fmt.Errorf("%q is not understood; see -help", flag.Arg(0))
	}
	if o.window == 0 {
		o.window = 5 * time.Second
		if o.quick {
			o.window = time.Second
		}
	}
	if o.rounds == 0 {
		o.rounds = 5
		if o.quick {
			o.rounds = 3
		}
	}
	if o.out != "" { // before all the work
		if err := os.MkdirAll(o.out, 0o755); err != nil {
			return err
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b, err := begin(ctx, o)
	if err != nil {
		return errors.Join(err, b.end())
	}
	figures, err := b.measure(ctx)
	if err = errors.Join(err, b.end()); err != nil {
		return err
	}
	return figures.write(o, os.Stdout)
}

// runPart is this program as one of the processes that are measured.
func runPart(part string, config []byte) error {
	signal.Ignore(os.Interrupt) // it ends when its input does, after the run has counted
	switch part {
	case "gateway":
		var c nodeConfig
		if err := json.Unmarshal(config, &c); err != nil {
			return err
		}
		return serveNode(c)
	case "holders":
		w, err := townOnly()
		if err != nil {
			return err
		}
		return serveHolders(w)
	case "assembly":
		var c assemblyConfig
		if err := json.Unmarshal(config, &c); err != nil {
			return err
		}
		return serveAssembly(c)
	}
	return fmt.Errorf("there is no part %q", part)
}

// progress tells on standard error what is going on.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}
