package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker/seal"
)

// callerTLS is how ask and verify reach a server that speaks TLS with certificates of its own.
type callerTLS struct{ ca, certificate, key string }

func (t *callerTLS) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&t.ca, "ca", "", "roots to trust the server by (PEM file); default: the system's")
	f.StringVar(&t.certificate, "certificate", "", "client certificate to show (PEM file); tokens are bound to it")
	f.StringVar(&t.key, "certificate-key", "", "its private key (PEM file)")
	c.MarkFlagsRequiredTogether("certificate", "certificate-key")
}

func (t *callerTLS) config() (*tls.Config, error) {
	c, err := clientTLS(t.certificate, t.key, t.ca)
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	return c, nil
}

// client makes an HTTP client that does not follow redirects: a token is for one server.
func (t *callerTLS) client() (*http.Client, error) {
	c, err := t.config()
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = c
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
}

// thumbprint is what a token says of the client certificate (RFC 8705), or "".
func (t *callerTLS) thumbprint() (string, error) {
	c, err := t.config()
	if err != nil || len(c.Certificates) == 0 {
		return "", err
	}
	sum := sha256.Sum256(c.Certificates[0].Certificate[0])
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

func get(ctx context.Context, client *http.Client, url, language string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if language != "" {
		req.Header.Set("Accept-Language", language)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("get %s: no answer; is it running? (%w)", url, errors.Unwrap(err))
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %s: status %d", url, resp.StatusCode)
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
}

func newVerify() *cobra.Command {
	var jwks string
	var logKeys, witnesses []string
	var quorum int
	var asJSON bool
	var t callerTLS
	c := &cobra.Command{
		Use:   "verify FILE --jwks URL|FILE | --log-key KEY",
		Short: "Verify a kept answer, or a proof that an event is in the log; offline, where --jwks is a file",
		Long: `With --jwks FILE is an answer that ask --save kept. With --log-key it is a C2SP tlog-proof, as ` + "`schakel audit prove`" + ` writes
it: nothing but the log's public key is needed, and those of the witnesses that must have cosigned.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			data, err := os.ReadFile(args[0])
			if err != nil {
				return fmt.Errorf("read evidence: %w", err)
			}
			if len(logKeys) > 0 {
				p, err := verifyProof(data, logKeys, witnesses, quorum)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(c.OutOrStdout(), p)
				}
				_, err = fmt.Fprint(c.OutOrStdout(), p)
				return err
			}
			evidence, err := seal.ReadEvidence(data)
			if err != nil {
				return &exitError{exitUnverifiable, err}
			}
			keySet, err := readJWKS(c.Context(), t, jwks)
			if err != nil {
				return err
			}
			v, err := seal.Verify(evidence, keySet)
			if err != nil {
				return &exitError{exitUnverifiable, fmt.Errorf("NOT VERIFIED: %w", err)}
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), verifiedJSON(v))
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "verified: %s, signed %s by key %s\nreceipt: %s in log %s\n", v.Kind,
				v.IssuedAt.Format(time.RFC3339), v.KeyID, v.Receipt.Hash, v.Receipt.Log)
			return err
		},
	}
	c.Flags().StringVar(&jwks, "jwks", "", "the server's public keys: a file, or the URL …/.well-known/jwks.json")
	jsonFlag(c, &asJSON)
	t.flags(c)
	c.Flags().StringArrayVar(&logKeys, "log-key", nil, "a verifier key of the log, as `schakel audit key` prints it")
	c.Flags().StringArrayVar(&witnesses, "witness", nil, "a verifier key of a witness")
	c.Flags().IntVar(&quorum, "quorum", 0, "how many of the witnesses must have cosigned")
	c.MarkFlagsOneRequired("jwks", "log-key")
	c.MarkFlagsMutuallyExclusive("jwks", "log-key")
	return c
}

func readJWKS(ctx context.Context, t callerTLS, from string) ([]byte, error) {
	if strings.HasPrefix(from, "http://") || strings.HasPrefix(from, "https://") {
		client, err := t.client()
		if err != nil {
			return nil, err
		}
		return get(ctx, client, from, "")
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	return data, nil
}
