package index

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// notNamed is the index of what the law permits not to name, as it is encrypted: where its events stand, from which the log makes
// its tree again. The nonce keeps its commitment from being tried out: that there is nothing must not show either.
type notNamed struct {
	Nonce   []byte       `json:"nonce"`
	Events  []eventPlace `json:"events"`
	Padding string       `json:"padding"`
}

type eventPlace struct {
	Writer string   `json:"writer"`
	ID     audit.ID `json:"id"`
}

// The data key and the context of what is not named.
const (
	notNamedKey     = "index:not-named"
	notNamedContext = "index"
	notNamedPage    = 16 << 10 // its length is a multiple of this: some three hundred events
)

func (c Config) sealNotNamed(ctx context.Context, m *Manifest, got content) ([]byte, error) {
	n := notNamed{Nonce: make([]byte, 32), Events: []eventPlace{}}
	_, _ = rand.Read(n.Nonce) // never fails (crypto/rand)
	for _, p := range got.unnamed {
		n.Events = append(n.Events, eventPlace{p.writer, audit.ID(p.id)})
	}
	m.Withheld = n.commitment(got.notNamed)
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

// commitment is what a manifest says of the tree of what is not named.
func (n notNamed) commitment(t *tree) broker.Hash {
	b := append([]byte("schakel index not named\n"), n.Nonce...)
	b = append(b, t.root[:]...)
	return sha256.Sum256(binary.BigEndian.AppendUint64(b, uint64(len(t.entries))))
}

// Opener decrypts the index of what is not named (keys.Vault).
type Opener interface {
	Open(ctx context.Context, context string, p keys.Part) (text []byte, keyID string, err error)
}

// openNotNamed decrypts the index of what is not named; whether it is the one that the manifest commits to is not looked at.
func (c Config) openNotNamed(ctx context.Context, m Manifest) (n notNamed, err error) {
	data, err := readSealed(c.Dir, m.Seq)
	if err != nil {
		return n, err
	}
	var part keys.Part
	if json.Unmarshal(data, &part) != nil {
		return n, errNotNamed
	}
	plain, key, err := c.Vault.Open(ctx, notNamedContext, part)
	if err != nil {
		return n, err
	}
	if json.Unmarshal(plain, &n) != nil || key != notNamedKey {
		return n, errNotNamed
	}
	return n, nil
}

// NotNamed gives the events of an index that are not named to their data subjects, after making sure that they are all that its
// manifest commits to. It is for the functionaris gegevensbescherming alone.
func NotNamed(ctx context.Context, c Config, seq uint64) (out []audit.Mention, err error) {
	fail := func(err error) ([]audit.Mention, error) { return nil, fmt.Errorf("open index %d: %w", seq, err) }
	m, err := readManifest(c.Dir, seq)
	if err != nil {
		return fail(err)
	}
	n, err := c.openNotNamed(ctx, m)
	if err != nil {
		return fail(err)
	}
	about := map[string][]broker.Hash{}
	for _, e := range n.Events {
		one := audit.MentionsConfig{Store: c.Store, KeyOf: c.Ring.OpenRef, UpTo: map[string]journal.ID{e.Writer: journal.ID(e.ID)},
			After: map[string]journal.ID{e.Writer: journal.ID(e.ID).Before()}}
		for e, err := range audit.Mentions(ctx, one) {
			if err != nil {
				return fail(err)
			}
			for _, p := range e.Pseudonyms {
				about[p] = append(about[p], e.Hash)
			}
			out = append(out, e)
		}
	}
	t, err := m.treeOf(about)
	if err == nil && n.commitment(t) != m.Withheld {
		err = errNotNamed
	}
	if err != nil {
		return fail(err)
	}
	return out, nil
}

// Made tells how many indexes a folder has; they have the numbers from 0.
func Made(dir string) (int, error) {
	list, err := numbers(dir)
	return len(list), err
}

var errNotNamed = errors.New("the index of what is not named is not the one that its manifest commits to")
