package keys_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/schakel/schakel/keys"
)

var passphrase = []byte("correct horse battery staple")

func onDisk(t testing.TB) keys.Config {
	t.Helper()
	return asInUse(t).Cheap()
}

// asInUse is what a deployment has: the real number of rounds.
func asInUse(t testing.TB) keys.Config {
	t.Helper()
	return keys.Config{Path: filepath.Join(t.TempDir(), "keyring.jwe"), Passphrase: passphrase, Now: newClock().now}
}

func create(t testing.TB, cfg keys.Config) *keys.Ring {
	t.Helper()
	r, err := keys.Create(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func load(t testing.TB, cfg keys.Config) *keys.Ring {
	t.Helper()
	r, err := keys.Load(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFileKeepsTheRing(t *testing.T) {
	cfg := onDisk(t)
	r := create(t, cfg)
	wrapped, err := r.Wrap(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	ref, err := r.SealRef("subject/x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Rotate(keys.Heads); err != nil {
		t.Fatal(err)
	}
	same := load(t, cfg)
	if key, err := same.Unwrap(wrapped); err != nil || !bytes.Equal(key, bytes.Repeat([]byte{7}, 32)) {
		t.Errorf("unwrap: %v", err)
	}
	if id, err := same.OpenRef(ref); err != nil || id != "subject/x" {
		t.Errorf("open reference: %v", err)
	}
	if !bytes.Equal(r.JWKS(), same.JWKS()) || r.Touch("case", "1") != same.Touch("case", "1") ||
		r.Pseudonym("999990019") != same.Pseudonym("999990019") ||
		r.RecipientPseudonym("00000001001234567000", "999990019") != same.RecipientPseudonym("00000001001234567000", "999990019") {
		t.Error("the loaded ring is another")
	}
	if _, err := keys.Create(cfg); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("a ring was written over: %v", err)
	}
}

// The file is what the documentation says: PBES2-HS512+A256KW, A256GCM, 210,000 rounds or more, mode 0600, alone.
func TestFileFormat(t *testing.T) {
	cfg := asInUse(t)
	create(t, cfg)
	data, err := os.ReadFile(cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	head, err := base64.RawURLEncoding.DecodeString(string(data[:bytes.IndexByte(data, '.')]))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"alg":"PBES2-HS512+A256KW"`, `"enc":"A256GCM"`, `"p2c":210000`} {
		if !strings.Contains(string(head), want) {
			t.Errorf("header %s lacks %s", head, want)
		}
	}
	info, err := os.Stat(cfg.Path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	entries, err := os.ReadDir(filepath.Dir(cfg.Path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "keyring.jwe" && e.Name() != "keyring.jwe.lock" {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

func TestLoadSaysWhatToDo(t *testing.T) {
	cfg := asInUse(t)
	create(t, cfg)
	good, err := os.ReadFile(cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	write := func(data []byte, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(cfg.Path, data, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(cfg.Path, mode); err != nil {
			t.Fatal(err)
		}
	}
	weak, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: jose.PBES2_HS512_A256KW, Key: passphrase, PBES2Count: 1000}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := weak.Encrypt([]byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	weakFile, _ := sealed.CompactSerialize()
	parts := strings.Split(strings.TrimSpace(string(good)), ".")
	parts[3] = "A" + parts[3][1:]
	if parts[3] == strings.Split(string(good), ".")[3] {
		parts[3] = "B" + parts[3][1:]
	}
	wrong := cfg
	wrong.Passphrase = []byte("another passphrase")
	for _, c := range []struct {
		name string
		do   func()
		cfg  keys.Config
		says string
	}{
		{"wrong passphrase", func() {}, wrong, "check the passphrase file or SCHAKEL_PASSPHRASE"},
		{"readable by others", func() { write(good, 0o640) }, cfg, "chmod 600"},
		{"damaged", func() { write([]byte(strings.Join(parts, ".")), 0o600) }, cfg, "restore it from its backup"},
		{"cut off", func() { write(good[:len(good)/2], 0o600) }, cfg, "restore it from its backup"},
		{"empty", func() { write(nil, 0o600) }, cfg, "restore it from its backup"},
		{"few rounds", func() { write([]byte(weakFile), 0o600) }, cfg, "p2c"},
		{"absent", func() { _ = os.Remove(cfg.Path) }, cfg, "schakel init"},
		{"no path", func() {}, keys.Config{Passphrase: passphrase}, "no path"},
	} {
		c.do()
		_, err := keys.Load(c.cfg)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want it to say %q", c.name, err, c.says)
		}
		if c.name == "wrong passphrase" && !errors.Is(err, keys.ErrPassphrase) {
			t.Errorf("%s: not ErrPassphrase: %v", c.name, err)
		}
	}
	short := onDisk(t)
	short.Passphrase = []byte("short")
	if _, err := keys.Create(short); err == nil || !strings.Contains(err.Error(), "openssl rand") {
		t.Errorf("a short passphrase: %v", err)
	}
}

func TestPassphrase(t *testing.T) {
	env := func(v string) func(string) string {
		return func(name string) string {
			if name == keys.PassphraseVariable {
				return v
			}
			return ""
		}
	}
	file := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(file, []byte(" a long passphrase \r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := keys.Passphrase(file, env("from the environment")); err != nil || string(p) != " a long passphrase " {
		t.Errorf("%q, %v", p, err)
	}
	if p, err := keys.Passphrase("", env("from the environment")); err != nil || string(p) != "from the environment" {
		t.Errorf("%q, %v", p, err)
	}
	for name, c := range map[string]struct{ file, env string }{
		"none": {"", ""}, "short": {"", "short"}, "absent file": {file + "x", "from the environment"},
	} {
		if _, err := keys.Passphrase(c.file, env(c.env)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Passphrase(file, env("")); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a passphrase that others may read: %v", err)
	}
}

// Several processes that change the ring at one time lose nothing of each other.
func TestConcurrentChangesAreAllKept(t *testing.T) {
	cfg := onDisk(t)
	create(t, cfg)
	var group sync.WaitGroup
	uses := keys.Uses()
	for _, use := range uses {
		r := load(t, cfg) // a ring of its own, as another process has
		group.Go(func() {
			for range 4 {
				if _, err := r.Rotate(use); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	retired := map[keys.Use]int{}
	for _, k := range load(t, cfg).List() {
		if k.State == keys.Retired {
			retired[k.Use]++
		}
	}
	for _, use := range uses {
		if retired[use] != 4 {
			t.Errorf("%d of 4 rotations of %s are in the file", retired[use], use)
		}
	}
}

// A key generation that one gateway makes is at once known to another when it meets it.
func TestGatewaysShareGenerations(t *testing.T) {
	cfg := onDisk(t)
	a := create(t, cfg)
	b := load(t, cfg)
	next := newClock().t.AddDate(0, 3, 0)
	id, err := a.Generation(next)
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := a.WrapUnder(id, bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	if key, err := b.Unwrap(wrapped); err != nil || len(key) != 32 {
		t.Errorf("the other gateway: %v", err)
	}
	if again, err := b.Generation(next); err != nil || again != id {
		t.Errorf("the other gateway made %q, %v", again, err)
	}
}

// A running server takes up a rotated ring, and keeps the last good one while the file is broken.
func TestWatch(t *testing.T) {
	cfg := onDisk(t)
	create(t, cfg)
	server, cli := load(t, cfg), load(t, cfg)
	ctx, stop := context.WithCancel(context.Background())
	problems := make(chan error, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Watch(ctx, 5*time.Millisecond, func(err error) {
			select {
			case problems <- err:
			default:
			}
		})
	}()
	t.Cleanup(func() { stop(); <-done })

	follow := func(active string) {
		t.Helper()
		for end := time.Now().Add(60 * time.Second); signer(t, server, keys.Answers).ID() != active; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the server did not take up the rotated ring")
			}
		}
	}
	older, err := os.ReadFile(cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	active, err := cli.Rotate(keys.Answers)
	if err != nil {
		t.Fatal(err)
	}
	follow(active)

	newer, err := os.ReadFile(cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	stranger := onDisk(t)
	create(t, stranger)
	foreign, err := os.ReadFile(stranger.Path)
	if err != nil {
		t.Fatal(err)
	}
	for says, data := range map[string][]byte{"restore it from its backup": []byte("broken"), "older than the ring in use": older, "another ring": foreign} {
		if err := os.WriteFile(cfg.Path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		timeout := time.After(60 * time.Second)
		for told := false; !told; {
			select {
			case err := <-problems:
				told = strings.Contains(err.Error(), says)
			case <-timeout:
				t.Fatalf("nothing was told that says %q", says)
			}
		}
		if signer(t, server, keys.Answers).ID() != active {
			t.Fatal("the last good ring was dropped")
		}
	}
	if err := os.WriteFile(cfg.Path, newer, 0o600); err != nil {
		t.Fatal(err)
	}
	if active, err = cli.Rotate(keys.Answers); err != nil {
		t.Fatal(err)
	}
	follow(active)
}

// A change that can't be written is not used.
func TestUnsavedChangeIsNotUsed(t *testing.T) {
	cfg := onDisk(t)
	r := create(t, cfg)
	active := kid(t, r, keys.Answers, keys.Active)
	if err := os.Rename(cfg.Path, cfg.Path+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Rotate(keys.Answers); err == nil {
		t.Fatal("rotated a ring whose file is gone")
	}
	if kid(t, r, keys.Answers, keys.Active) != active {
		t.Error("a key is in use that no file holds")
	}
	if _, err := os.Stat(cfg.Path); err == nil {
		t.Error("a file was made where there was none")
	}
}

func TestEncryptionKeys(t *testing.T) {
	public, private, err := keys.NewEncryptionKey()
	if err != nil {
		t.Fatal(err)
	}
	k, err := keys.ParseEncryptionKey(public)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := k.Encrypt([]byte("text"), "JOSE")
	if err != nil {
		t.Fatal(err)
	}
	if got, cty, err := keys.Decrypt(sealed, private); err != nil || string(got) != "text" || cty != "JOSE" {
		t.Errorf("%q %q %v", got, cty, err)
	}
	signing, _, _ := keys.NewAgencyKey(keys.ES256)
	okp, _, _ := keys.NewAgencyKey(keys.EdDSA)
	for name, jwk := range map[string][]byte{"private": private, "for signing": signing, "Ed25519": okp,
		"alg of another": bytes.Replace(public, []byte("ECDH-ES+A256KW"), []byte("ECDH-ES"), 1), "none": nil} {
		if _, err := keys.ParseEncryptionKey(jwk); err == nil {
			t.Errorf("%s: parsed", name)
		}
	}
}

// A process that has the ring in memory wraps nothing under a generation that another has superseded, and so will destroy.
func TestWrapLooksAtTheFile(t *testing.T) {
	cfg := onDisk(t)
	mine := create(t, cfg)
	other := load(t, cfg)
	fresh, err := other.Supersede(mine.Generations()[0])
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := mine.Wrap(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	if by, err := keys.WrappedBy(wrapped); err != nil || by != fresh {
		t.Errorf("wrapped by %s, %v; want %s", by, err, fresh)
	}
}
