package main

import (
	"bytes"
	"context"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/bolt"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/broker/workbench"
	"github.com/schakel/schakel/keys"
	"github.com/schakel/schakel/policies"
)

// altered is a store that gives some blobs otherwise than they were put.
type altered struct {
	journal.Store
	blobs map[string][]byte
}

func (a *altered) Blob(ctx context.Context, name string) ([]byte, error) {
	if data, ok := a.blobs[name]; ok {
		return data, nil
	}
	return a.Store.Blob(ctx, name)
}

// newFolder is a data folder with a journal that has begun, and a key ring.
func newFolder(t testing.TB) (dir string, store journal.Store, ring *keys.Ring) {
	t.Helper()
	dir = t.TempDir()
	file, err := bolt.Open(bolt.Config{Path: filepath.Join(dir, journalFile)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	if err := genesis(t.Context(), file, "0599"); err != nil {
		t.Fatal(err)
	}
	if ring, err = demoRing(dir); err != nil {
		t.Fatal(err)
	}
	return dir, file, ring
}

// A bundle that is not signed, not by this ring's key for approvals, or not as it was signed, is never loaded.
func TestBundlesAreVerified(t *testing.T) {
	_, store, ring := newFolder(t)
	other := &altered{Store: store, blobs: map[string][]byte{}}
	d, err := newDesk(t.Context(), other, ring)
	if err != nil || d.unready != nil {
		t.Fatal(err, d.unready)
	}
	files := policies.Files()
	files["schakel/field.rego"] = append(files["schakel/field.rego"], "\n# Herzien.\n"...)
	r, err := d.keepPolicy(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := d.keepPolicy(t.Context(), files); err != nil || again != r {
		t.Fatalf("kept again: %v", err)
	}
	got, err := d.signedFiles(t.Context(), r)
	if err != nil || policies.Revision(got) != r || len(policies.Changed(files, got)) > 0 {
		t.Fatalf("read back: %v", err)
	}
	good, err := store.Blob(t.Context(), string(r))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := policies.Unbundle(good)
	if err != nil {
		t.Fatal(err)
	}
	pack := func(change func(map[string][]byte)) []byte {
		t.Helper()
		f := maps.Clone(signed)
		change(f)
		data, err := policies.Bundle(f)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	resign := func(use keys.Use) func(map[string][]byte) {
		return func(f map[string][]byte) {
			key, err := ring.Signer(use)
			if err != nil {
				t.Fatal(err)
			}
			content, err := decide.BundleContent(f)
			if err != nil {
				t.Fatal(err)
			}
			signature, err := key.Sign(map[string]any{"typ": "schakel-policy-bundle+jwt"}, content)
			if err != nil {
				t.Fatal(err)
			}
			g, err := decide.WithSignature(f, signature)
			if err != nil {
				t.Fatal(err)
			}
			f[policies.Signatures] = g[policies.Signatures]
		}
	}
	for name, tt := range map[string]struct {
		bundle []byte
		says   string
	}{
		"unsigned":       {pack(func(f map[string][]byte) { delete(f, policies.Signatures) }), "not signed"},
		"a rule altered": {pack(func(f map[string][]byte) { f["schakel/field.rego"] = files["schakel/access.rego"] }), "digest mismatch"},
		"a rule added":   {pack(func(f map[string][]byte) { f["schakel/more.rego"] = []byte("package schakel.more\n") }), "not included"},
		"a rule gone":    {pack(func(f map[string][]byte) { delete(f, "schakel/field.rego") }), "not in it"},
		"another key":    {pack(resign(keys.Answers)), "not in this key set"},
		"another policy": {pack(func(f map[string][]byte) {
			f["schakel/field.rego"] = policies.Files()["schakel/field.rego"]
			resign(keys.Approvals)(f)
		}), "another revision"},
		"one bit": {flipped(good), ""},
	} {
		t.Run(name, func(t *testing.T) {
			other.blobs[string(r)] = tt.bundle
			defer delete(other.blobs, string(r))
			if _, err := d.signedFiles(t.Context(), r); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want …%s…", err, tt.says)
			}
			fresh := &desk{store: other, ring: ring, register: d.register, decider: decide.New(decide.Config{}), explorer: workbench.NewExplorer()}
			if err := fresh.compile(t.Context(), r); err == nil {
				t.Error("it was loaded")
			}
		})
	}
}

func flipped(data []byte) []byte {
	out := bytes.Clone(data)
	out[len(out)/2] ^= 1
	return out
}

// What can be proposed is whole, about these files and this base, and without a fault.
func TestStudyIsWhole(t *testing.T) {
	files := policies.Files()
	r := policies.Revision(files)
	base := broker.Revision(strings.Repeat("1", 64))
	whole := func() study {
		return study{Revision: r, Against: base, Tests: &testsAndMutants{TestReport: workbench.TestReport{Passed: 1}, Mutation: &workbench.MutationReport{Tried: 1}},
			Difference: &comparison{workbench.Difference{Live: base, Draft: r}, workbench.GuardrailReport{Revision: r, Guardrails: []workbench.Guardrail{{}}}},
			Impact:     &workbench.ImpactReport{}}
	}
	if err := whole().ready(files, base); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*study){
		"blocked":           func(s *study) { s.Blocked = []string{"x"} },
		"no tests":          func(s *study) { s.Tests = nil },
		"no mutants":        func(s *study) { s.Tests.Mutation = nil },
		"no difference":     func(s *study) { s.Difference = nil },
		"no impact":         func(s *study) { s.Impact = nil },
		"another policy":    func(s *study) { s.Revision = base },
		"another draft":     func(s *study) { s.Difference.Difference.Draft = base },
		"another base":      func(s *study) { s.Difference.Live = r },
		"against another":   func(s *study) { s.Against = r },
		"a test fails":      func(s *study) { s.Tests.Failed = []workbench.Failure{{}} },
		"a grant untested":  func(s *study) { s.Tests.Mutation.Survived = []workbench.Mutant{{}} },
		"a broken railing":  func(s *study) { s.Difference.Guardrails.Broken = []workbench.Breach{{}} },
		"a finding":         func(s *study) { s.Check.Findings = []workbench.Finding{{}} },
		"railings of other": func(s *study) { s.Difference.Guardrails.Revision = base },
	} {
		s := whole()
		change(&s)
		if s.ready(files, base) == nil {
			t.Errorf("%s: it can be proposed", name)
		}
	}
	if sameWidening([]byte(`{"widens":[{"field":"a","holders":["b"]}]}`), []register.Widening{{Field: "a", Kinds: []broker.AgencyKind{"b"}}}) != nil ||
		sameWidening([]byte(`{"widens":[{"field":"a","holders":["b"]}]}`), nil) == nil ||
		sameWidening([]byte(`{"widens":[]}`), []register.Widening{{Field: "a"}}) == nil {
		t.Error("what it widens is not compared")
	}
}

// Who is silent or stopped is not waited for.
func TestGatewaysThatLack(t *testing.T) {
	r := broker.Revision("x")
	list := []gatewayState{{Writer: "has", gatewayNote: gatewayNote{Serves: r, Compiled: []broker.Revision{r}}}, {Writer: "lacks"},
		{Writer: "silent", Silent: true}, {Writer: "ended", gatewayNote: gatewayNote{Ended: true}}}
	if got := lacking(list, r); !slices.Equal(got, []string{"lacks"}) {
		t.Errorf("lacking: %v", got)
	}
	if got := notServing(list, r); !slices.Equal(got, []string{"lacks"}) {
		t.Errorf("not serving: %v", got)
	}
}
