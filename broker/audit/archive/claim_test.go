package archive

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// noVault is for a writer that encrypts nothing.
type noVault struct{}

func (noVault) SealAll(context.Context, []keys.Plain) ([]keys.Part, error) {
	return nil, errors.New("nothing is encrypted here")
}

// signHead and verifyHead are a signature that everybody can make.
func signHead(h audit.Head) (string, error) {
	data, err := json.Marshal(h)
	return string(data), err
}

func verifyHead(signature string) (h audit.Head, err error) {
	return h, json.Unmarshal([]byte(signature), &h)
}

// TestClaim: a start looks for what signed heads acknowledge. An event that was moved is not lost; where the archive can't be
// read, the gateway does not start, and writes no such thing into the log for ever.
func TestClaim(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	start := func(store journal.Store, heads string) error {
		w, err := audit.Open(t.Context(), audit.Config{Store: store, Writer: "gw1", Log: testLog, Vault: noVault{}, HeadsDir: heads,
			SignHead: signHead, VerifyHead: verifyHead})
		if err == nil {
			err = w.Close(t.Context())
		}
		return err
	}
	heads := d.at("heads")
	if err := start(d.journal, heads); err != nil {
		t.Fatal(err)
	}
	for range 130 { // starts and stops whose heads were kept elsewhere
		if err := start(d.journal, ""); err != nil {
			t.Fatal(err)
		}
	}
	d.seal()
	d.move()
	trimmed, err := d.journal.Trimmed(t.Context(), journal.Audit("gw1"))
	if err != nil || trimmed == (journal.Head{}) {
		t.Fatal(trimmed, err)
	}

	before, err := d.journal.Head(t.Context(), journal.Audit("gw1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := start(NewStore(d.journal, OpenFolder("")), heads); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "--archive") {
		t.Errorf("without the archive: %v", err)
	}
	if head, err := d.journal.Head(t.Context(), journal.Audit("gw1")); err != nil || head != before {
		t.Errorf("a start that failed wrote %v, %v", head, err)
	}
	if err := start(NewStore(d.journal, OpenFolder(d.at("archive"))), heads); err != nil {
		t.Fatal(err)
	}
	page, err := d.journal.Read(t.Context(), journal.Audit("gw1"), before.ID, 1)
	if err != nil || len(page) != 1 {
		t.Fatal(page, err)
	}
	e, err := audit.Decode(page[0].Bytes)
	var s audit.Start
	if err == nil {
		err = json.Unmarshal(e.Common, &s)
	}
	if err != nil || e.Kind != audit.KindStart || s.Reason != audit.ReasonClean || len(s.Lost) > 0 {
		t.Errorf("the start says %+v, %v", s, err)
	}

	// The whole is verified over both parts, and the head of the event that was dropped matches.
	kept, err := audit.ReadHeads(heads, "")
	if err != nil {
		t.Fatal(err)
	}
	verify := func(store journal.Store) audit.Report {
		r, err := audit.Verify(t.Context(), audit.VerifyConfig{Store: store, Heads: kept, VerifyHead: verifyHead})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := verify(NewStore(d.journal, OpenFolder(d.at("archive"))).Loose()); !r.OK || r.Heads != len(kept) || r.Writers[0].Epochs != 132 {
		t.Errorf("%+v", r)
	}
	if r := verify(d.journal); r.OK { // what is read of the journal alone is not whole
		t.Errorf("%+v", r)
	}
	d.bentIsNamed(verify)
}

// bentIsNamed turns a bit of every third byte of the segments: whoever verifies the log is told the first event that is not as it was.
func (d *deployment) bentIsNamed(verify func(journal.Store) audit.Report) {
	d.t.Helper()
	places, err := d.store.folder.list()
	if err != nil {
		d.t.Fatal(err)
	}
	stream := journal.Audit("gw1")
	whole := all(d.t, d.store, stream)
	dir := d.copied()
	tried, named := 0, 0
	for _, p := range places {
		file := filepath.Join(dir, p.name())
		good, err := os.ReadFile(file)
		if err != nil {
			d.t.Fatal(err)
		}
		for i := 0; i < len(good); i += 3 {
			if err := os.WriteFile(file, flip(good, i), 0o600); err != nil {
				d.t.Fatal(err)
			}
			tried++
			loose := NewStore(d.journal, OpenFolder(dir)).Loose()
			read := all(d.t, loose, stream)
			first := 0
			for first < len(read) && equal(read[first], whole[first]) {
				first++
			}
			if first == len(whole) { // the lines are as they were, and what else was bent Check names
				continue
			}
			named++
			r := verify(loose)
			// What is altered is named itself; of what is not there, the one before.
			if !slices.ContainsFunc(r.Faults, func(f audit.Fault) bool {
				return f.Stream == stream && f.ID != nil && (journal.ID(*f.ID) == whole[first].ID || (first > 0 && journal.ID(*f.ID) == whole[first-1].ID))
			}) {
				d.t.Errorf("byte %d of %s: event %s is not as it was, and is not named: %v", i, p.name(), whole[first].ID, r.Faults)
			}
		}
		if err := os.WriteFile(file, good, 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
	if named < tried/2 {
		d.t.Errorf("of %d bits only %d touched an event", tried, named)
	}
	d.t.Logf("of %d bits %d touched an event, and each was named", tried, named)
}
