package witness

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	f_note "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// tree is a log kept with golang.org/x/mod/sumdb/tlog, by which a witness's judgment is judged.
type tree struct {
	t      testing.TB
	hashes []tlog.Hash
	n      int64
	signer note.Signer
	public string
}

const origin = "log.example/one"

func newTree(t testing.TB, name string) *tree {
	secret, public, err := note.GenerateKey(nil, name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	return &tree{t: t, signer: s, public: public}
}

func (l *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, n := range indexes {
		out[i] = l.hashes[n]
	}
	return out, nil
}

func (l *tree) grow(n int, what string) {
	for range n {
		more, err := tlog.StoredHashes(l.n, fmt.Appendf(nil, "%s %d", what, l.n), l)
		if err != nil {
			l.t.Fatal(err)
		}
		l.hashes = append(l.hashes, more...)
		l.n++
	}
}

// request makes the body of add-checkpoint from an old size to a size.
func (l *tree) request(old, size int64) string {
	l.t.Helper()
	root, err := tlog.TreeHash(size, l)
	if err != nil {
		l.t.Fatal(err)
	}
	signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", l.signer.Name(), size, root)}, l.signer)
	if err != nil {
		l.t.Fatal(err)
	}
	body := fmt.Sprintf("old %d\n", old)
	if old > 0 && old <= size {
		proof, err := tlog.ProveTree(size, old, l)
		if err != nil {
			l.t.Fatal(err)
		}
		for _, h := range proof {
			body += h.String() + "\n"
		}
	}
	return body + "\n" + string(signed)
}

func newWitness(t testing.TB, dir string, logs ...string) (*Witness, string) {
	t.Helper()
	secret, public, err := NewKey("witness.example")
	if err != nil {
		t.Fatal(err)
	}
	w, err := New(Config{Dir: dir, Key: secret, Logs: logs})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := VerifierKey(secret); err != nil || again != public {
		t.Errorf("the verifier key of the signer key is %q, %v; want %q", again, err, public)
	}
	return w, public
}

func post(w http.Handler, body string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/add-checkpoint", strings.NewReader(body)))
	return rec
}

// TestCosigns: what extends what was signed before is cosigned, over restarts, and the cosignature opens with the key that
// was handed out.
func TestCosigns(t *testing.T) {
	l, dir := newTree(t, origin), t.TempDir()
	w, public := newWitness(t, dir, l.public)
	v, err := f_note.NewVerifierForCosignatureV1(public)
	if err != nil {
		t.Fatal(err)
	}
	last := int64(0)
	for _, size := range []int64{1, 2, 7, 8, 300, 300} {
		l.grow(int(size-l.n), "entry")
		body := l.request(last, size)
		rec := post(w, body)
		if rec.Code != http.StatusOK {
			t.Fatalf("size %d: %d %s", size, rec.Code, rec.Body)
		}
		_, signed, _ := strings.Cut(body, "\n\n")
		if _, err := note.Open([]byte(signed+rec.Body.String()), note.VerifierList(v)); err != nil {
			t.Errorf("size %d: %v", size, err)
		}
		last = size
	}
	again, err := New(Config{Dir: dir, Key: mustKey(t), Logs: []string{l.public}})
	if err != nil {
		t.Fatal(err)
	}
	l.grow(1, "entry")
	if rec := post(again, l.request(0, 301)); rec.Code != http.StatusConflict || rec.Body.String() != "300\n" || rec.Header().Get("Content-Type") != "text/x.tlog.size" {
		t.Errorf("a witness that started anew answers %d %q", rec.Code, rec.Body)
	}
	if rec := post(again, l.request(300, 301)); rec.Code != http.StatusOK {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

func mustKey(t testing.TB) string {
	secret, _, err := NewKey("witness.example")
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// TestRefuses: each refusal has the status of C2SP tlog-witness, and leaves what was signed as it was.
func TestRefuses(t *testing.T) {
	l := newTree(t, origin)
	l.grow(20, "entry")
	dir := t.TempDir()
	w, _ := newWitness(t, dir, l.public)
	if rec := post(w, l.request(0, 10)); rec.Code != http.StatusOK {
		t.Fatal(rec.Body)
	}
	fork := newTree(t, origin)
	fork.signer = l.signer
	fork.grow(20, "another")
	stranger, unknown := newTree(t, origin), newTree(t, "log.example/two")
	stranger.grow(20, "entry")
	unknown.grow(20, "entry")
	good := l.request(10, 20)
	for name, c := range map[string]struct {
		body string
		code int
	}{
		"a fork":                   {fork.request(10, 20), http.StatusUnprocessableEntity},
		"a fork of the same size":  {fork.request(10, 10), http.StatusConflict},
		"going back":               {l.request(10, 5), http.StatusBadRequest},
		"an older size":            {l.request(5, 20), http.StatusConflict},
		"as if nothing was signed": {l.request(0, 20), http.StatusConflict},
		"a stranger's key":         {stranger.request(10, 20), http.StatusForbidden},
		"an unknown log":           {unknown.request(0, 20), http.StatusNotFound},
		"no proof":                 {"old 10\n\n" + after(good), http.StatusUnprocessableEntity},
		"no old size":              {after(good), http.StatusBadRequest},
		"an old size with a zero":  {strings.Replace(good, "old 10", "old 010", 1), http.StatusBadRequest},
		"no empty line":            {strings.Replace(good, "\n\n", "\n", 1), http.StatusBadRequest},
		"a proof of 64 lines":      {"old 10\n" + strings.Repeat(base64.StdEncoding.EncodeToString(make([]byte, 32))+"\n", 64) + "\n" + after(good), http.StatusBadRequest},
		"a short hash":             {"old 10\nAAAA\n\n" + after(good), http.StatusBadRequest},
		"a request without end":    {"old 10\n\n" + strings.Repeat("x", maxRequest), http.StatusRequestEntityTooLarge},
		"nothing":                  {"", http.StatusBadRequest},
	} {
		if rec := post(w, c.body); rec.Code != c.code {
			t.Errorf("%s: %d %s; want %d", name, rec.Code, rec.Body, c.code)
		}
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/add-checkpoint", nil))
	if rec.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", rec.Code)
	}
	rec = httptest.NewRecorder()
	w.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/other", nil))
	if rec.Code != http.StatusNotFound {
		t.Errorf("another path: %d", rec.Code)
	}
	if rec := post(w, good); rec.Code != http.StatusOK {
		t.Errorf("after all that, what is right: %d %s", rec.Code, rec.Body)
	}

	// What can't be kept is not signed; what can't be read is not taken for nothing.
	l.grow(5, "entry")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if rec := post(w, l.request(0, 25)); rec.Code != http.StatusInternalServerError {
		t.Errorf("without a folder: %d %s", rec.Code, rec.Body)
	}
	dir = t.TempDir()
	w, _ = newWitness(t, dir, l.public)
	post(w, l.request(0, 5))
	if err := os.WriteFile(w.path(origin), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if rec := post(w, l.request(0, 25)); rec.Code != http.StatusInternalServerError {
		t.Errorf("with a damaged file: %d %s", rec.Code, rec.Body)
	}
	if _, err := New(Config{Dir: dir, Key: mustKey(t), Logs: []string{l.public}}); err == nil || !strings.Contains(err.Error(), filepath.Base(w.path(origin))) {
		t.Errorf("started with a damaged file: %v", err)
	}
}

func after(body string) string { _, signed, _ := strings.Cut(body, "\n\n"); return signed }

// TestNeverTwo: of many at once, no two checkpoints of one size or of a fork are signed.
func TestNeverTwo(t *testing.T) {
	l := newTree(t, origin)
	l.grow(10, "entry")
	fork := newTree(t, origin)
	fork.signer = l.signer
	fork.grow(10, "another")
	w, _ := newWitness(t, t.TempDir(), l.public)
	var signed sync.Map
	var all sync.WaitGroup
	for i := range 40 {
		from := []*tree{l, fork}[i%2]
		body := from.request(0, int64(1+i%10))
		all.Go(func() {
			if rec := post(w, body); rec.Code == http.StatusOK {
				signed.Store(body, true)
			}
		})
	}
	all.Wait()
	n := 0
	signed.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d first checkpoints were signed", n)
	}
}

func TestNewRefuses(t *testing.T) {
	l := newTree(t, origin)
	for name, cfg := range map[string]Config{
		"no key":      {Dir: t.TempDir(), Logs: []string{l.public}},
		"no log":      {Dir: t.TempDir(), Key: mustKey(t)},
		"a wrong log": {Dir: t.TempDir(), Key: mustKey(t), Logs: []string{"log"}},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: made", name)
		}
	}
	if _, err := VerifierKey("PRIVATE+KEY+x"); err == nil {
		t.Error("a verifier key of nothing")
	}
}
