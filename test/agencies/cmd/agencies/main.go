// Command agencies runs the stand-in agencies in one process, for docker-compose and for trying a gateway out. It is
// no part of a deployment: everyone it knows is fictitious.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/schakel/schakel/test/agencies"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "agencies:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, usage io.Writer) error {
	flags := flag.NewFlagSet("agencies", flag.ContinueOnError)
	flags.SetOutput(usage)
	brp := flags.String("brp", "", "CSV of the official test set of person lists; default $SCHAKEL_BRP, else generated persons")
	listen := flags.String("listen", "127.0.0.1:9100", "host and port of the first agency; the others follow")
	name := flags.String("advertise", "", "host name in the addresses shown, where it differs from the one in --listen")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	host, text, err := net.SplitHostPort(*listen)
	port, err2 := strconv.Atoi(text)
	if err != nil || err2 != nil {
		return fmt.Errorf("--listen %q is not host:port", *listen)
	}
	people, from, err := agencies.Open(*brp)
	if err != nil {
		return err
	}
	town, err := agencies.Start(agencies.Config{People: people, Host: host, Port: port, Advertise: *name})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "stand-in agencies: %s, %d persons, %d households of more than one\n", from, len(people.Persons()), len(people.Households()))
	for _, a := range town.Agencies() {
		if a.Protocol != "" {
			fmt.Fprintf(out, "%s  %-20s  by %-8s  %s\n", a.OIN, a.Kind, a.Key, a.BaseURL)
		}
	}
	<-ctx.Done()
	return town.Close()
}
