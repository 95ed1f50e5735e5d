package keys

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-jose/go-jose/v4"
)

// The ring file is one JWE: PBES2-HS512+A256KW with A256GCM (RFC 7518, 4.8).
const (
	iterations    = 210_000 // of PBKDF2-HMAC-SHA-512, what OWASP advises; a file with fewer is refused
	minPassphrase = 12
	maxFile       = 16 << 20
)

// PassphraseVariable is the environment variable that may hold the passphrase of the ring.
const PassphraseVariable = "SCHAKEL_PASSPHRASE"

// ErrPassphrase tells that a ring file could not be decrypted.
var ErrPassphrase = errors.New("the passphrase does not open it: check the passphrase file or " + PassphraseVariable +
	"; if the passphrase is right the file is damaged: restore it from its backup")

// Passphrase reads the passphrase from a file (one trailing newline is dropped), or from the environment when no file
// is named. Pass os.Getenv.
func Passphrase(file string, getenv func(string) string) ([]byte, error) {
	var p []byte
	if file == "" {
		p = []byte(getenv(PassphraseVariable))
		if len(p) == 0 {
			return nil, errors.New("read passphrase: none given; name a file, or set " + PassphraseVariable)
		}
	} else {
		if err := private(file); err != nil {
			return nil, fmt.Errorf("read passphrase: %w", err)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read passphrase: %w", err)
		}
		p = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	}
	return p, checkPassphrase(p)
}

func checkPassphrase(p []byte) error {
	if len(p) < minPassphrase {
		return fmt.Errorf("read passphrase: it has under %d characters; make one with `openssl rand -base64 32`", minPassphrase)
	}
	return nil
}

// private refuses a file that others than its owner may read.
func private(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !modes {
		return nil
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s may be read by others (mode %04o); run chmod 600 on it", path, info.Mode().Perm())
	}
	return nil
}

// load reads and opens the file. The FileInfo is of the file that was read, whatever the path names by now; it is nil
// where nothing could be read.
func load(cfg Config) (content, fs.FileInfo, error) {
	if err := private(cfg.Path); err != nil {
		return content{}, nil, err
	}
	f, err := os.Open(cfg.Path)
	if err != nil {
		return content{}, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return content{}, nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return content{}, nil, err
	}
	c, err := decrypt(data, cfg.Passphrase, cfg.rounds)
	if err != nil {
		return content{}, info, fmt.Errorf("open %s: %w", cfg.Path, err)
	}
	return c, info, nil
}

func decrypt(data, passphrase []byte, rounds int) (content, error) {
	sealed, err := jose.ParseEncryptedCompact(string(bytes.TrimSpace(data)),
		[]jose.KeyAlgorithm{jose.PBES2_HS512_A256KW}, []jose.ContentEncryption{jose.A256GCM})
	if err != nil {
		return content{}, errors.New("not a key ring (a compact JWE, PBES2-HS512+A256KW, A256GCM); restore it from its backup")
	}
	n, ok := sealed.Header.ExtraHeaders["p2c"].(float64)
	if !ok || n < float64(rounds) {
		return content{}, fmt.Errorf("its p2c is under %d: not written by schakel; restore it from its backup", rounds)
	}
	plain, err := sealed.Decrypt(passphrase)
	if err != nil {
		return content{}, ErrPassphrase
	}
	defer clear(plain)
	var c content
	d := json.NewDecoder(bytes.NewReader(plain))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return content{}, errors.New("its content is not known to this version of schakel; use a newer one")
	}
	return c, nil
}

func encrypt(c content, passphrase []byte, rounds int) ([]byte, error) {
	if err := checkPassphrase(passphrase); err != nil {
		return nil, err
	}
	plain, err := c.encode()
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	e, err := jose.NewEncrypter(jose.A256GCM,
		jose.Recipient{Algorithm: jose.PBES2_HS512_A256KW, Key: passphrase, PBES2Count: rounds},
		(&jose.EncrypterOptions{}).WithContentType("schakel-keyring+json"))
	if err != nil {
		return nil, err
	}
	sealed, err := e.Encrypt(plain)
	if err != nil {
		return nil, err
	}
	compact, err := sealed.CompactSerialize()
	return []byte(compact + "\n"), err
}

// save writes the file so that at any moment, power loss included, the path holds the old ring or the new one.
func save(cfg Config, c content) (info fs.FileInfo, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("save key ring: %w", err)
		}
	}()
	data, err := encrypt(c, cfg.Passphrase, cfg.rounds)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(cfg.Path)
	f, err := os.CreateTemp(dir, ".keyring-*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		info, err = f.Stat()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), cfg.Path)
	}
	if err == nil {
		err = syncDir(dir)
	}
	return info, err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
