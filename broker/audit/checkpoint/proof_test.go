package checkpoint

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

func hashOf(data []byte) broker.Hash { return broker.Hash(sha256.Sum256(data)) }

// sealedLog makes a published log of two streams, interleaved, one of them silent for long.
func sealedLog(t testing.TB) *deployment {
	d := newDeployment(t)
	d.add(journal.Audit("quiet"), 2)
	stop := d.run("one")
	d.until("the first", func() bool { return d.size() == 2 })
	d.add(journal.Audit("gw-1"), 1500)
	d.until("most", func() bool { return d.size() == 1502 })
	d.add(journal.Audit("quiet"), 1)
	d.add(journal.Register, 7)
	d.until("all", func() bool { return d.size() == 1510 })
	stop()
	return d
}

// TestProve: every leaf has a proof, which code that is not ours accepts too, of that leaf and no other.
func TestProve(t *testing.T) {
	t.Parallel()
	d := sealedLog(t)
	log, keys := d.log(), must(d.keys())
	n := 0
	for leaf := range d.leaves() {
		if n++; leaf.Stream == journal.Audit("gw-1") && leaf.ID.Seq%97 != 0 {
			continue
		}
		file, err := log.Prove(t.Context(), leaf, []byte("beside it"))
		if err != nil {
			t.Fatal(err)
		}
		p, err := ParseProof(file)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := p.Verify(keys, leaf); err != nil || c.Size != 1510 || string(p.Extra) != "beside it" {
			t.Errorf("%s %s: %v, %v", leaf.Stream, leaf.ID, c, err)
		}
		independent(t, d, file, leaf)
		other := leaf
		other.ID.Seq++
		if _, err := p.Verify(keys, other); err == nil {
			t.Errorf("the proof of %s proves %s", leaf.ID, other.ID)
		}
	}
	if n != 1510 {
		t.Errorf("%d leaves", n)
	}
	for what, leaf := range map[string]Leaf{
		"an id that is not there": {journal.Audit("gw-1"), journal.ID{Epoch: 1, Seq: 1500}, broker.Hash{}},
		"another hash":            {journal.Audit("gw-1"), journal.ID{Epoch: 1, Seq: 7}, broker.Hash{}},
		"another stream":          {journal.Audit("gw-2"), journal.ID{Epoch: 1}, broker.Hash{}},
	} {
		if _, err := log.Prove(t.Context(), leaf, nil); !errors.Is(err, ErrNotSealed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestCovers: of a run of entries, as many are covered as stand in the tree, and another one in its place is an error.
func TestCovers(t *testing.T) {
	t.Parallel()
	d := sealedLog(t)
	c, err := d.log().Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var quiet, busy []Leaf
	for leaf, err := range d.log().Leaves(t.Context(), c) {
		if err != nil {
			t.Fatal(err)
		}
		switch leaf.Stream {
		case journal.Audit("quiet"):
			quiet = append(quiet, leaf)
		case journal.Audit("gw-1"):
			busy = append(busy, leaf)
		}
	}
	later := Leaf{journal.Audit("gw-1"), journal.ID{Epoch: 1, Seq: 1500}, broker.Hash{1}}
	bent := append([]Leaf{}, busy[200:300]...)
	bent[50].Hash = broker.Hash{}
	for name, run := range map[string]struct {
		leaves []Leaf
		want   int
		says   string
	}{
		"none":              {nil, 0, ""},
		"a quiet stream":    {quiet, 3, ""},
		"its last":          {quiet[2:], 1, ""},
		"all":               {busy, 1500, ""},
		"some":              {busy[300:700], 400, ""},
		"the last, and one": {append(busy[1490:1500:1500], later), 10, ""},
		"beyond":            {[]Leaf{later}, 0, ""},
		"another stream":    {[]Leaf{{journal.Audit("gw-2"), journal.ID{Epoch: 1}, broker.Hash{}}}, 0, ""},
		"one with another":  {bent, 0, "another entry"},
		"one left out":      {append(busy[:5:5], busy[6:9]...), 0, "another entry"},
	} {
		n, err := d.log().Covers(t.Context(), c, run.leaves)
		if n != run.want || (err == nil) != (run.says == "") || (err != nil && !strings.Contains(err.Error(), run.says)) {
			t.Errorf("%s: %d, %v; want %d", name, n, err, run.want)
		}
	}
	for i := 0; i < len(busy); i += 11 {
		if at, found, err := d.log().find(t.Context(), busy[i], c.Size); err != nil || !found || at != uint64(i)+2 {
			t.Fatalf("%s is found at %d, %v, %v", busy[i].ID, at, found, err)
		}
	}
}

// TestCoversTrustsNoFile: a leaf that was changed beside those that are asked about is found, in a full bundle and in the last.
func TestCoversTrustsNoFile(t *testing.T) {
	t.Parallel()
	d := sealedLog(t)
	c, err := d.log().Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var busy []Leaf
	for leaf, err := range d.log().Leaves(t.Context(), c) {
		if err != nil {
			t.Fatal(err)
		}
		if leaf.Stream == journal.Audit("gw-1") {
			busy = append(busy, leaf)
		}
	}
	for name, run := range map[string][]Leaf{"001": busy[300:310], "005.p/230": busy[1400:1410]} {
		file := filepath.Join(d.dir, "tile", "entries", name)
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := d.log().Covers(t.Context(), c, run); err != nil || n != len(run) {
			t.Fatalf("%s: %d, %v", name, n, err)
		}
		other := busy[slices.Index(busy, run[0])+40].Text()
		bent := bytes.Replace(data, other, append(other[:len(other)-4:len(other)-4], "0000"...), 1)
		if bytes.Equal(bent, data) {
			t.Fatalf("%s does not hold %s", name, other)
		}
		if err := os.WriteFile(file, bent, 0o600); err != nil {
			t.Fatal(err)
		}
		if n, err := d.log().Covers(t.Context(), c, run); err == nil {
			t.Errorf("%s: %d entries beside one that was changed", name, n)
		}
	}
}

// independent checks a proof with golang.org/x/mod/sumdb alone: by its own words, not by this package.
func independent(t *testing.T, d *deployment, file []byte, leaf Leaf) {
	t.Helper()
	head, signed, _ := strings.Cut(string(file), "\n\n")
	key := must(note.NewVerifier(must(VerifierKey(origin, d.key.Public))))
	opened, err := note.Open([]byte(signed), note.VerifierList(key))
	if err != nil {
		t.Fatalf("sumdb/note: %v", err)
	}
	lines := strings.Split(opened.Text, "\n")
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		t.Fatal(err)
	}
	var proof tlog.RecordProof
	var index int64
	for _, line := range strings.Split(head, "\n")[2:] {
		if text, ok := strings.CutPrefix(line, "index "); ok {
			index = int64(must(parse(text)))
			continue
		}
		proof = append(proof, must(tlog.ParseHash(line)))
	}
	if err := tlog.CheckRecord(proof, int64(must(parse(lines[1]))), root, index, tlog.RecordHash(leaf.Text())); err != nil {
		t.Errorf("sumdb/tlog: %v", err)
	}
}

func parse(s string) (n uint64, err error) {
	for _, c := range s {
		n = 10*n + uint64(c-'0')
	}
	return n, nil
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestProofFlipped: no byte of a proof can be changed without it failing, or saying the very same.
func TestProofFlipped(t *testing.T) {
	t.Parallel()
	d := sealedLog(t)
	leaf := Leaf{journal.Audit("quiet"), journal.ID{Epoch: 1, Seq: 1}, hashOf([]byte("audit:quiet 1-1"))}
	file, err := d.log().Prove(t.Context(), leaf, nil)
	if err != nil {
		t.Fatal(err)
	}
	keys := must(d.keys())
	want := must(must(ParseProof(file)).Verify(keys, leaf))
	for i := range file {
		for _, bit := range []byte{1, 128} {
			bad := bytes.Clone(file)
			bad[i] ^= bit
			p, err := ParseProof(bad)
			var c Checkpoint
			if err == nil {
				c, err = p.Verify(keys, leaf)
			}
			if err == nil && (c.Size != want.Size || c.Root != want.Root) { // the last bits of a signature's base64 say nothing
				t.Errorf("byte %d (%q) can be %q", i, file[i], bad[i])
			}
		}
	}
	for _, cut := range []int{0, 1, len(file) / 2, len(file) - 1} {
		if p, err := ParseProof(file[:cut]); err == nil {
			if _, err := p.Verify(keys, leaf); err == nil {
				t.Errorf("cut at %d it still proves", cut)
			}
		}
	}
}

// TestFolderAltered: whatever is changed in the published folder, its leaves are given with an error or not at all.
func TestFolderAltered(t *testing.T) {
	t.Parallel()
	d := sealedLog(t)
	log := d.log()
	c := must(log.Latest(t.Context()))
	if c.Origin != origin || len(c.Witnesses) != 0 {
		t.Errorf("%+v", c)
	}
	older := c
	older.Size, older.Root = 2, broker.Hash(must(tlog.ParseHash(base64.StdEncoding.EncodeToString(rootOf(t, d, 2)))))
	if err := log.Consistent(t.Context(), older, c); err != nil {
		t.Error(err)
	}
	older.Root[0] ^= 1
	if err := log.Consistent(t.Context(), older, c); err == nil {
		t.Error("consistent with another past")
	}
	if err := log.Consistent(t.Context(), c, older); err == nil {
		t.Error("consistent with a shorter log")
	}
	stranger := must(NewKeys(origin, []ed25519.PublicKey{newKey(t).Public}, nil, 0))
	if _, err := OpenLog(d.dir, stranger).Latest(t.Context()); err == nil {
		t.Error("a checkpoint opens with a stranger's key")
	}
	c.Root[3] ^= 1
	found := false
	for _, err := range log.Leaves(t.Context(), c) {
		found = found || err != nil
	}
	if !found {
		t.Error("the leaves make any root")
	}
}

func rootOf(t testing.TB, d *deployment, size uint64) []byte {
	t.Helper()
	tree := trees.NewEmptyRange(0)
	for leaf, err := range d.log().leaves(t.Context(), 0, size) {
		if err != nil {
			t.Fatal(err)
		}
		h := tlog.RecordHash(leaf.Text())
		if err := tree.Append(h[:], nil); err != nil {
			t.Fatal(err)
		}
	}
	return must(root(tree))
}

func TestLeafText(t *testing.T) {
	t.Parallel()
	l := Leaf{journal.Audit("gw-1"), journal.ID{Epoch: 3, Seq: 14}, hashOf([]byte("x"))}
	want := "v1 gw-1 3 14 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
	if string(l.Text()) != want {
		t.Errorf("%s", l.Text())
	}
	for _, good := range []string{want, strings.Replace(want, "gw-1", "register:", 1), strings.Replace(want, "gw-1", "index:", 1), strings.Replace(want, "gw-1", "archive:", 1)} {
		if l, err := ParseLeaf([]byte(good)); err != nil || string(l.Text()) != good {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", want + " ", " " + want, want[1:], strings.ToUpper(want), strings.Replace(want, " 3 ", " 03 ", 1),
		strings.Replace(want, "gw-1", "GW", 1), strings.Replace(want, "gw-1", "other:", 1), strings.Replace(want, "14", "-14", 1), want[:len(want)-1], want + "0"} {
		if _, err := ParseLeaf([]byte(bad)); err == nil {
			t.Errorf("took %q", bad)
		}
	}
}

// TestHandler: the log is served as C2SP tlog-tiles says, and nothing else of the folder is.
func TestHandler(t *testing.T) {
	t.Parallel()
	d := sealedLog(t)
	s := httptest.NewServer(Handler(d.dir))
	defer s.Close()
	for path, want := range map[string]int{
		"/checkpoint": 200, "/tile/0/000": 200, "/tile/0/005.p/230": 200, "/tile/entries/001": 200, "/tile/1/000.p/5": 200,
		"/tile/0/999": 404, "/": 404, "/tile/": 404, "/.state/treeState": 404, "/.progress.json": 404, "/.fence": 404,
		"/tile/../.fence": 404, "/tile/0/%2e%2e/%2e%2e/.fence": 404, "/tile/0/00": 404,
	} {
		resp, err := http.Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s gives %d; want %d", path, resp.StatusCode, want)
		}
	}
	resp, err := http.Post(s.URL+"/checkpoint", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST gives %d", resp.StatusCode)
	}
}
