package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/policies"
	"github.com/schakel/schakel/test/opa"
)

// together lets OPA decide all queries of one request in one call, which spares it a call for each.
const together = `package bench

answers := [answer |
	some query in input.queries
	answer := data.schakel.access.decision with input as query
]
`

const opaPath = "/v1/data/bench/answers"

// startOPA runs OPA's server over the same policy, its log of decisions on. What it logs, the kernel throws away.
func startOPA(dir string) (*process, string, error) {
	binary, err := opa.Binary()
	if err != nil {
		return nil, "", err
	}
	folder := filepath.Join(dir, "policy")
	files := policies.Files()
	files["bench.rego"] = []byte(together)
	for name, data := range files {
		if decide.IsTest(name) {
			continue
		}
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, "", err
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return nil, "", err
		}
	}
	port, err := freePort()
	if err != nil {
		return nil, "", err
	}
	addr := net.JoinHostPort("127.0.0.1", port)
	p, err := command(binary, "run", "--server", "--addr", addr, "--log-level", "error", "--set", "decision_logs.console=true",
		"--disable-telemetry", "--bundle", folder)
	if err != nil {
		return nil, "", fmt.Errorf("start opa: %w", err)
	}
	p.name = "opa"
	return p, addr, answers(addr, p)
}

// opaMallocs reads how many objects an OPA server allocated so far.
func opaMallocs(addr string) (counts, error) {
	resp, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		return counts{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return counts{}, err
	}
	_, line, ok := bytes.Cut(text, []byte("\ngo_memstats_mallocs_total "))
	if !ok {
		return counts{}, errors.New("opa shows no go_memstats_mallocs_total")
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	n, err := strconv.ParseFloat(string(line), 64)
	return counts{Mallocs: uint64(n)}, err
}

// listener is a decider that keeps the queries it is asked.
type listener struct {
	*decide.Decider
	mu     sync.Mutex
	Querys []broker.Query
}

func (l *listener) Decide(ctx context.Context, r broker.Revision, q broker.Query) (broker.Decision, error) {
	l.mu.Lock()
	l.Querys = append(l.Querys, q)
	l.mu.Unlock()
	return l.Decider.Decide(ctx, r, q)
}

// caller stands for a verified token.
type caller broker.Caller

func (c caller) Open(context.Context, string, broker.Channel) (broker.Caller, error) {
	return broker.Caller(c), nil
}

// nowhere takes events and answers, and keeps none.
type nowhere struct{}

func (nowhere) Append(context.Context, broker.Event) (broker.Receipt, error) {
	return broker.Receipt{}, nil
}

func (nowhere) Seal(context.Context, broker.Sealing) (broker.Envelope, error) {
	return broker.Envelope{}, nil
}

// queries gives for each question the policy queries that the broker asks for it, as one input for OPA. Two cores work
// at it.
func (w *world) queries(questions []question, d *decide.Decider, reg broker.Register, now func() broker.Config) ([][]byte, int, error) {
	out := make([][]byte, len(questions))
	var total int
	var mu sync.Mutex
	var wait sync.WaitGroup
	errs := make([]error, 2)
	for half := range 2 {
		wait.Go(func() {
			for i := half; i < len(questions); i += 2 {
				q := questions[i]
				heard := &listener{Decider: d}
				c := now()
				c.Opener, c.Register, c.Decider, c.Journal, c.Sealer = caller{Agency: w.agency(q.post.kind).OIN, Worker: q.worker, Role: q.post.role}, reg, heard, nowhere{}, nowhere{}
				c.NewID, c.Rand = newID, rand.Reader
				b, err := broker.New(c)
				if err == nil {
					_, err = b.Disclose(context.Background(), broker.Call{Body: q.body})
				}
				if err == nil {
					out[i], err = json.Marshal(map[string]any{"input": map[string]any{"queries": heard.Querys}})
				}
				if err != nil {
					errs[half] = err
					return
				}
				mu.Lock()
				total += len(heard.Querys)
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	return out, total, errors.Join(errs...)
}
