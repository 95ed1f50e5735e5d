package index

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/keys"
)

// notNamed is the index of what the law permits not to name, as it is encrypted. The nonce keeps its commitment from being tried
// out: that there is nothing must not show either.
type notNamed struct {
	Nonce   []byte           `json:"nonce"`
	Root    broker.Hash      `json:"root"`
	Entries [][2]broker.Hash `json:"entries"` // key and digest
	Padding string           `json:"padding"`
}

// The data key and the context of what is not named.
const (
	notNamedKey     = "index:not-named"
	notNamedContext = "index"
	notNamedPage    = 16 << 10 // its length is a multiple of this
)

func (c Config) sealNotNamed(ctx context.Context, m *Manifest, t *tree) ([]byte, error) {
	n := notNamed{Nonce: make([]byte, 32), Root: t.root, Entries: [][2]broker.Hash{}}
	_, _ = rand.Read(n.Nonce) // never fails (crypto/rand)
	for _, e := range t.entries {
		n.Entries = append(n.Entries, [2]broker.Hash{e.key, e.digest})
	}
	m.Withheld = n.commitment()
	plain, err := json.Marshal(n)
	if err != nil {
		return nil, err
	}
	n.Padding = strings.Repeat(" ", notNamedPage-len(plain)%notNamedPage)
	if plain, err = json.Marshal(n); err != nil {
		return nil, err
	}
	part, err := c.Vault.Seal(ctx, notNamedKey, notNamedContext, plain)
	if err != nil {
		return nil, err
	}
	return json.Marshal(part)
}

func (n notNamed) commitment() broker.Hash {
	b := append([]byte("schakel index not named\n"), n.Nonce...)
	b = append(b, n.Root[:]...)
	return sha256.Sum256(binary.BigEndian.AppendUint64(b, uint64(len(n.Entries))))
}

// Opener decrypts the index of what is not named (keys.Vault).
type Opener interface {
	Open(ctx context.Context, context string, p keys.Part) (text []byte, keyID string, err error)
}

// NotNamed tells how many entries the index of what is not named has, after making sure that it is the one that the manifest
// commits to. It is for the functionaris gegevensbescherming alone.
func NotNamed(ctx context.Context, dir string, seq uint64, vault Opener) (entries int, err error) {
	m, _, err := readFile(dir, seq)
	if err != nil {
		return 0, err
	}
	data, err := readSealed(dir, seq)
	if err != nil {
		return 0, err
	}
	var part keys.Part
	if err := json.Unmarshal(data, &part); err != nil {
		return 0, errNotNamed
	}
	plain, key, err := vault.Open(ctx, notNamedContext, part)
	if err != nil {
		return 0, err
	}
	var n notNamed
	if json.Unmarshal(plain, &n) != nil || key != notNamedKey || n.commitment() != m.Withheld {
		return 0, errNotNamed
	}
	list := make([]entry, len(n.Entries))
	for i, e := range n.Entries {
		list[i] = entry{e[0], e[1]}
	}
	if t, err := newTree(list); err != nil || t.root != n.Root {
		return 0, errNotNamed
	}
	return len(list), nil
}

var errNotNamed = errors.New("the index of what is not named is not the one that its manifest commits to")
