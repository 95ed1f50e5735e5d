package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker/audit/witness"
)

func newWitness() *cobra.Command {
	var listen, dir, key, certificate, certificateKey string
	var logs []string
	c := &cobra.Command{
		Use:   "witness --listen HOST:PORT --key FILE --folder DIR --log FILE",
		Short: "Cosign the checkpoints of other organisations' logs (C2SP tlog-witness)",
		Long: `Cosigns a checkpoint of a log only where it extends every checkpoint of that log that was cosigned before. Whoever keeps the
log can then show it to nobody in another form. It keeps one small file for each log in --folder: never put back an older one.
--log is a file with the log's verifier key, as ` + "`schakel audit key`" + ` prints it; give it once for each log.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			secret, err := os.ReadFile(key)
			if err != nil {
				return fmt.Errorf("read witness key: %w; make one with `schakel witness key NAME --out FILE`", err)
			}
			cfg := witness.Config{Dir: dir, Key: strings.TrimSpace(string(secret))}
			for _, file := range logs {
				data, err := os.ReadFile(file)
				if err != nil {
					return fmt.Errorf("read log key: %w", err)
				}
				cfg.Logs = append(cfg.Logs, strings.Fields(string(data))...)
			}
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return fmt.Errorf("make witness folder: %w", err)
			}
			w, err := witness.New(cfg)
			if err != nil {
				return err
			}
			l, err := new(net.ListenConfig).Listen(c.Context(), "tcp", listen)
			if err != nil {
				return fmt.Errorf("%w; choose another --listen", err)
			}
			_, _ = fmt.Fprintf(c.ErrOrStderr(), "witness on %s\n", l.Addr())
			return serveWitness(c.Context(), l, w, certificate, certificateKey)
		},
	}
	f := c.Flags()
	f.StringVar(&listen, "listen", "127.0.0.1:8446", "address to listen on")
	f.StringVar(&key, "key", "", "file with the witness's signer key")
	f.StringVar(&dir, "folder", "", "folder that remembers what was cosigned")
	f.StringArrayVar(&logs, "log", nil, "file with the verifier key of a log to cosign for")
	f.StringVar(&certificate, "certificate", "", "server certificate (PEM file); without one it is plain HTTP, for behind a proxy that ends TLS")
	f.StringVar(&certificateKey, "certificate-key", "", "its private key (PEM file)")
	for _, name := range []string{"key", "folder", "log"} {
		_ = c.MarkFlagRequired(name)
	}
	c.MarkFlagsRequiredTogether("certificate", "certificate-key")
	c.AddCommand(newWitnessKey())
	return c
}

// serveWitness answers until ctx ends.
func serveWitness(ctx context.Context, l net.Listener, w http.Handler, certificate, key string) error {
	s := &http.Server{Handler: w, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	ended := make(chan error, 1)
	go func() {
		if certificate != "" {
			ended <- s.ServeTLS(l, certificate, key)
			return
		}
		ended <- s.Serve(l)
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := s.Shutdown(ctx)
	if other := <-ended; !errors.Is(other, http.ErrServerClosed) {
		err = errors.Join(err, other)
	}
	return err
}

func newWitnessKey() *cobra.Command {
	var out string
	var asJSON bool
	c := &cobra.Command{
		Use:   "key NAME --out FILE",
		Short: "Make a witness's key: keep the file, hand out what is printed",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			secret, verifier, err := witness.NewKey(args[0])
			if err != nil {
				return &exitError{exitUsage, err}
			}
			f, err := os.OpenFile(out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
			if err != nil {
				return fmt.Errorf("write witness key: %w; a key is never replaced, choose another file", err)
			}
			if _, err := fmt.Fprintln(f, secret); err != nil {
				return errors.Join(fmt.Errorf("write witness key: %w", err), f.Close())
			}
			if err := errors.Join(f.Sync(), f.Close()); err != nil {
				return fmt.Errorf("write witness key: %w", err)
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), map[string]string{"verifierKey": verifier})
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), verifier)
			return err
		},
	}
	c.Flags().StringVar(&out, "out", "", "file for the signer key; it must not exist")
	_ = c.MarkFlagRequired("out")
	jsonFlag(c, &asJSON)
	return c
}
