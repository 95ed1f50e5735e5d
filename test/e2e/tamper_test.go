package e2e

import (
	"bytes"
	bigendian "encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// TestTampered: whoever can write the journal's file of a stopped server, and bends it, is found out: exit 1, and the
// first fault names the stream and the entry.
func TestTampered(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	d := startDemo(t, dir, "")
	for _, i := range []int{0, 1, 2, 0} { // granted (kept), partly withheld, refused, granted (kept again)
		d.paste(t, i)
	}
	d.interrupt(t)
	whole := readFile(t, filepath.Join(dir, "journal.db"))
	w := &world{dir: dir}
	verify := func(args ...string) (out string, code int) {
		t.Helper()
		c := exec.Command(binary, append([]string{"audit", "verify"}, args...)...)
		c.Env = append(c.Environ(), "SCHAKEL_DATA="+dir)
		data, _ := c.Output()
		return string(data), c.ProcessState.ExitCode()
	}
	receipt := filepath.Join(dir, "answer.json")
	if out, code := verify("--receipt", receipt); code != 0 || !strings.Contains(out, "receipts that match: 1") {
		t.Fatalf("whole: exit %d\n%s", code, out)
	}

	id := func(epoch, seq uint64) []byte {
		return bigendian.BigEndian.AppendUint64(bigendian.BigEndian.AppendUint64(nil, epoch), seq)
	}
	flip := func(b *bbolt.Bucket, k []byte, at func(n int) int) error {
		v := bytes.Clone(b.Get(k))
		v[at(len(v))] ^= 1
		return b.Put(k, v)
	}
	middle := func(n int) int { return n / 2 }
	for _, c := range []struct {
		name  string
		first string // stream and entry that the first fault names
		do    func(register, demo *bbolt.Bucket) error
	}{
		{"a bit of an event", "audit:demo 1-2", func(_, demo *bbolt.Bucket) error { return flip(demo, id(1, 2), middle) }},
		{"its last byte", "audit:demo 1-2", func(_, demo *bbolt.Bucket) error { return flip(demo, id(1, 2), func(n int) int { return n - 1 }) }},
		{"an event dropped", "audit:demo 1-2", func(_, demo *bbolt.Bucket) error { return demo.Delete(id(1, 2)) }},
		{"two events exchanged", "audit:demo 1-2", func(_, demo *bbolt.Bucket) error {
			a, b := bytes.Clone(demo.Get(id(1, 2))), bytes.Clone(demo.Get(id(1, 3)))
			if err := demo.Put(id(1, 2), b); err != nil {
				return err
			}
			return demo.Put(id(1, 3), a)
		}},
		{"an event added", "audit:demo 1-6", func(_, demo *bbolt.Bucket) error { return demo.Put(id(1, 6), bytes.Clone(demo.Get(id(1, 4)))) }},
		{"the end cut off", "audit:demo 1-", func(_, demo *bbolt.Bucket) error {
			for _, seq := range []uint64{4, 5} {
				if err := demo.Delete(id(1, seq)); err != nil {
					return err
				}
			}
			return nil
		}},
		{"a bit of a register entry", "register 1-50", func(register, _ *bbolt.Bucket) error { return flip(register, id(1, 50), middle) }},
		{"a register entry dropped", "register 1-50", func(register, _ *bbolt.Bucket) error { return register.Delete(id(1, 50)) }},
	} {
		w.write(t, "journal.db", whole)
		bend(t, dir, c.do)
		out, code := verify("--receipt", receipt)
		lines := strings.Split(out, "\n")
		i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "FAULT ") })
		if code != 1 || i < 0 || !strings.Contains(lines[i], c.first) {
			t.Errorf("%s: exit %d, the first fault must name %s:\n%s", c.name, code, c.first, out)
			continue
		}
		t.Logf("%-28s %s", c.name, lines[i])
		out, code = verify("--receipt", receipt, "--json")
		var report struct {
			OK     bool
			Faults []json.RawMessage
		}
		if err := json.Unmarshal([]byte(out), &report); err != nil || code != 1 || report.OK || len(report.Faults) == 0 {
			t.Errorf("%s: --json: exit %d, %v, %s", c.name, code, err, out)
		}
	}

	// Bytes that are no entry at all can't be read, and are named too.
	w.write(t, "journal.db", whole)
	bend(t, dir, func(_, demo *bbolt.Bucket) error { return flip(demo, id(1, 2), func(int) int { return 0 }) })
	if out, err := w.schakel("audit", "verify"); err == nil || !strings.Contains(out, "audit:demo") || !strings.Contains(out, "1-2") {
		t.Errorf("an entry that can't be read: %v, %s", err, out)
	}

	// A receipt for an event that the log lost, where no signed head and no checkpoint covers it any more.
	w.write(t, "journal.db", whole)
	if err := errors.Join(os.RemoveAll(filepath.Join(dir, "heads")), os.RemoveAll(filepath.Join(dir, "checkpoints"))); err != nil {
		t.Fatal(err)
	}
	bend(t, dir, func(_, demo *bbolt.Bucket) error { return errors.Join(demo.Delete(id(1, 5)), demo.Delete(id(1, 4))) })
	if out, code := verify(); code != 0 || !strings.Contains(out, "not covered by a signed head, receipt or checkpoint") {
		t.Errorf("a cut that nothing anchors: exit %d\n%s", code, out)
	}
	if out, code := verify("--receipt", receipt); code != 1 || !strings.Contains(out, "FAULT") {
		t.Errorf("a receipt for a lost event: exit %d\n%s", code, out)
	}
}

// bend changes a stopped journal behind Schakel's back.
func bend(t *testing.T, dir string, do func(register, demo *bbolt.Bucket) error) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, "journal.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		return do(tx.Bucket([]byte("register")), tx.Bucket([]byte("audit")).Bucket([]byte("demo")))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}
