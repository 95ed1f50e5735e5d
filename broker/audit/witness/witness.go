package witness

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/transparency-dev/formats/log"
	f_note "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

// Config says for whom a witness signs, and where it keeps what it signed.
type Config struct {
	Dir  string   // of the newest checkpoint of each log
	Key  string   // signer key of the witness, as NewKey gives it
	Logs []string // verifier keys of the logs it cosigns for (C2SP signed-note, Ed25519)
}

// NewKey makes a witness's key: the signer key to keep, and the verifier key to hand out.
func NewKey(name string) (signer, verifier string, err error) {
	secret, public, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return "", "", fmt.Errorf("make witness key: %w", err)
	}
	verifier, err = f_note.VKeyToCosignatureV1(public)
	if err != nil {
		return "", "", fmt.Errorf("make witness key: %w", err)
	}
	return secret, verifier, nil
}

// Witness is the HTTP handler of one.
type Witness struct {
	dir    string
	signer note.Signer
	logs   map[string]note.Verifiers // by origin

	mu sync.Mutex // of checking, keeping and signing, which are one step
}

// New makes a witness. Its folder must exist.
func New(cfg Config) (*Witness, error) {
	fail := func(err error) (*Witness, error) { return nil, fmt.Errorf("new witness: %w", err) }
	signer, err := f_note.NewSignerForCosignatureV1(cfg.Key)
	if err != nil {
		return fail(errors.New("its key is not a signer key; make one with `schakel witness key`"))
	}
	w := &Witness{dir: cfg.Dir, signer: signer, logs: map[string]note.Verifiers{}}
	lists := map[string][]note.Verifier{}
	for _, text := range cfg.Logs {
		v, err := note.NewVerifier(strings.TrimSpace(text))
		if err != nil {
			return fail(fmt.Errorf("the key of a log: %w", err))
		}
		lists[v.Name()] = append(lists[v.Name()], v)
	}
	if len(lists) == 0 {
		return fail(errors.New("no log is given to cosign for"))
	}
	for origin, list := range lists {
		w.logs[origin] = note.VerifierList(list...)
		if _, err := w.last(origin); err != nil {
			return fail(err)
		}
	}
	return w, nil
}

// maxRequest bounds a request: 63 hashes and a checkpoint with its signatures.
const maxRequest = 64 << 10

// ServeHTTP implements POST /add-checkpoint.
func (w *Witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != "/add-checkpoint":
		http.Error(rw, "a witness has /add-checkpoint and nothing else (C2SP tlog-witness)", http.StatusNotFound)
		return
	case r.Method != http.MethodPost:
		rw.Header().Set("Allow", http.MethodPost)
		http.Error(rw, "POST a checkpoint (C2SP tlog-witness)", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxRequest))
	if err != nil {
		http.Error(rw, "the request is larger than any checkpoint", http.StatusRequestEntityTooLarge)
		return
	}
	cosigned, err := w.add(body)
	var refused *refusal
	switch {
	case errors.As(err, &refused):
		if refused.status == http.StatusConflict && refused.size {
			rw.Header().Set("Content-Type", "text/x.tlog.size")
			rw.WriteHeader(http.StatusConflict)
			_, _ = fmt.Fprintf(rw, "%d\n", refused.at)
			return
		}
		http.Error(rw, refused.why, refused.status)
	case err != nil:
		http.Error(rw, "the witness can't keep what it would sign, so it does not sign; try again", http.StatusInternalServerError)
	default:
		rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = rw.Write(cosigned)
	}
}

// refusal is why a checkpoint is not cosigned, and the HTTP status that C2SP tlog-witness gives it.
type refusal struct {
	status int
	why    string
	size   bool // the old size is wrong; at is the right one
	at     uint64
}

func (r *refusal) Error() string { return r.why }

// add judges one request, keeps the checkpoint and gives the line of its cosignature.
func (w *Witness) add(body []byte) ([]byte, error) {
	old, hashes, signed, err := parse(body)
	if err != nil {
		return nil, err
	}
	text, _, _ := strings.Cut(string(signed), "\n")
	keys, known := w.logs[text]
	if !known {
		return nil, &refusal{status: http.StatusNotFound, why: "this witness does not cosign for that log"}
	}
	n, err := note.Open(signed, keys)
	if err != nil {
		return nil, &refusal{status: http.StatusForbidden, why: "no key of the log verifies the checkpoint"}
	}
	var c log.Checkpoint
	if rest, err := c.Unmarshal([]byte(n.Text)); err != nil || len(rest) > 0 || len(c.Hash) != sha256.Size {
		return nil, &refusal{status: http.StatusBadRequest, why: "that is no checkpoint (C2SP tlog-checkpoint)"}
	}
	if old > c.Size {
		return nil, &refusal{status: http.StatusBadRequest, why: "the old size is greater than the checkpoint's"}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	last, err := w.last(c.Origin)
	if err != nil {
		return nil, err
	}
	switch {
	case old != last.Size:
		return nil, &refusal{status: http.StatusConflict, size: true, at: last.Size}
	case old == c.Size && old > 0 && string(last.Hash) != string(c.Hash):
		return nil, &refusal{status: http.StatusConflict, why: "another tree of that size was cosigned before: this log forked"}
	}
	if old == 0 {
		if len(hashes) > 0 {
			return nil, &refusal{status: http.StatusUnprocessableEntity, why: "there is nothing to be consistent with, and yet a proof"}
		}
	} else if err := proof.VerifyConsistency(rfc6962.DefaultHasher, old, c.Size, hashes, last.Hash, c.Hash); err != nil {
		return nil, &refusal{status: http.StatusUnprocessableEntity, why: "the checkpoint does not extend the one cosigned before"}
	}
	if err := w.keep(c); err != nil {
		return nil, err
	}
	return w.cosign(n.Text)
}

// cosign gives the signature line alone.
func (w *Witness) cosign(text string) ([]byte, error) {
	sig, err := w.signer.Sign([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("cosign checkpoint: %w", err)
	}
	raw := binary.BigEndian.AppendUint32(nil, w.signer.KeyHash())
	return fmt.Appendf(nil, "— %s %s\n", w.signer.Name(), base64.StdEncoding.EncodeToString(append(raw, sig...))), nil
}

// parse reads the body of add-checkpoint.
func parse(body []byte) (old uint64, hashes [][]byte, checkpoint []byte, err error) {
	bad := func(what string) (uint64, [][]byte, []byte, error) {
		return 0, nil, nil, &refusal{status: http.StatusBadRequest, why: what + " (C2SP tlog-witness)"}
	}
	head, signed, found := strings.Cut(string(body), "\n\n")
	lines := strings.Split(head, "\n")
	number, ok := strings.CutPrefix(lines[0], "old ")
	if old, err = strconv.ParseUint(number, 10, 64); !found || !ok || err != nil || strconv.FormatUint(old, 10) != number {
		return bad("the first line is \"old\" and a size, and an empty line ends the proof")
	}
	if len(lines)-1 > 63 {
		return bad("a proof has at most 63 hashes")
	}
	for _, line := range lines[1:] {
		h, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(h) != sha256.Size {
			return bad("a line of the proof is no hash")
		}
		hashes = append(hashes, h)
	}
	return old, hashes, []byte(signed), nil
}

// kept is the file of a log.
type kept struct {
	Origin string `json:"origin"`
	Size   uint64 `json:"size"`
	Hash   []byte `json:"root"`
}

func (w *Witness) path(origin string) string {
	name := sha256.Sum256([]byte(origin))
	return filepath.Join(w.dir, hex.EncodeToString(name[:8])+".json")
}

// last gives the newest checkpoint that was cosigned for a log; size 0 where none was. A file that can't be read is an
// error: forgetting what was signed would let a log fork.
func (w *Witness) last(origin string) (kept, error) {
	data, err := os.ReadFile(w.path(origin))
	if errors.Is(err, fs.ErrNotExist) {
		return kept{Origin: origin}, nil
	}
	var k kept
	if err == nil {
		err = json.Unmarshal(data, &k)
	}
	if err == nil && k.Origin != origin {
		err = errors.New("it is of another log")
	}
	if err != nil {
		return k, fmt.Errorf("read %s: %w; put its copy back: without it this witness can't tell whether the log forked", w.path(origin), err)
	}
	return k, nil
}

// keep makes a checkpoint durable, in the place of the one before.
func (w *Witness) keep(c log.Checkpoint) error {
	data, err := json.Marshal(kept{c.Origin, c.Size, c.Hash})
	if err != nil {
		return err
	}
	path := w.path(c.Origin)
	f, err := os.CreateTemp(w.dir, ".new-")
	if err != nil {
		return fmt.Errorf("keep checkpoint: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already where all went well
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil {
		err = syncFolder(w.dir)
	}
	if err != nil {
		return fmt.Errorf("keep checkpoint: %w", err)
	}
	return nil
}

// syncFolder makes a new name durable.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// VerifierKey is the key that others hold its cosignatures against.
func VerifierKey(signerKey string) (string, error) {
	bad := errors.New("not a signer key; make one with `schakel witness key`")
	parts := strings.SplitN(strings.TrimSpace(signerKey), "+", 5) // PRIVATE, KEY, name, hash, key
	if len(parts) != 5 {
		return "", bad
	}
	raw, err := base64.StdEncoding.DecodeString(parts[4])
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return "", bad
	}
	public, _ := ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey)
	verifier, err := note.NewEd25519VerifierKey(parts[2], public)
	if err != nil {
		return "", bad
	}
	return f_note.VKeyToCosignatureV1(verifier)
}
