package e2e

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/redisstream"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/keys"
)

// registrar changes the register of a world on Redis from the test's own process, as the command line does from its own:
// with a view and a stream of its own. Its Redis is the real one, however far away that is for the gateways.
type registrar struct {
	store    *redisstream.Store
	vault    *keys.Vault
	register *register.Register
	writer   *audit.Writer
	last     span // of the last change
}

// span is from the moment before something until the moment after it, by the clock of this machine.
type span struct{ call, done int64 }

// openRing opens the key ring of a world.
func (w *world) openRing(t testing.TB) *keys.Ring {
	t.Helper()
	ring, err := keys.Load(keys.Config{Path: filepath.Join(w.dir, "keys.jwe"), Passphrase: []byte(readFile(t, filepath.Join(w.dir, "passphrase")))})
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// newRegistrar opens one that writes under a name of its own, until the test ends.
func (w *world) newRegistrar(t testing.TB, ring *keys.Ring, catalog *broker.Catalog, name string) *registrar {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	store, err := redisstream.Open(ctx, redisstream.Config{Addrs: []string{w.redis.Addr}, Password: w.redisPassword(), Shard: w.people.Municipality(), Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	r := &registrar{store: store, vault: keys.NewVault(store, ring)}
	r.register, err = register.Open(ctx, register.Config{Store: store, Vault: r.vault, Touch: ring.Touch,
		VerifyAgreement: func(holder broker.Agency, a register.Agreement) error {
			var jwks []json.RawMessage
			for _, k := range holder.Keys {
				jwks = append(jwks, k.JWK)
			}
			return seal.VerifyAgreement(a.Signature, a.Payload(), jwks)
		}, VerifyStep: seal.VerifyPolicyStep, Catalog: func() *broker.Catalog { return catalog }, MaxBehind: time.Hour}) // nobody follows: it is read before each change
	if err != nil {
		t.Fatal(err)
	}
	log, _ := r.register.Log()
	r.writer, err = audit.Open(ctx, audit.Config{Store: store, Writer: name, Log: log, Version: "test", Vault: r.vault,
		Pseudonym: ring.Pseudonym, View: r.register, Limit: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.writer.Close(ctx) })
	return r
}

// do makes changes, and gives the span of the last append. What the append answers is the acknowledgement: it comes
// before the register was read back, which is when a command returns.
func (r *registrar) do(ctx context.Context, commands ...register.Command) (span, error) {
	err := r.register.DoAll(ctx, r.append, register.Operator{Name: "proef"}, commands)
	return r.last, err
}

func (r *registrar) append(ctx context.Context, after journal.Head, entries []journal.Entry, kind string, staff broker.Staff) (journal.Outcome, error) {
	call := time.Now().UnixNano()
	outcome, err := r.writer.Change(ctx, audit.Change{After: after, Entries: entries, Kind: kind, Staff: staff})
	r.last = span{call, time.Now().UnixNano()}
	return outcome, err
}

// redisPassword is "" where Redis asks none.
func (w *world) redisPassword() string {
	data, _ := os.ReadFile(filepath.Join(w.dir, "redis-password"))
	return string(data)
}

// agencyKey is the private key that an agency of the example signs with.
func (w *world) agencyKey(t testing.TB, oin broker.OIN) keys.Signer {
	t.Helper()
	signer, err := keys.ParseSigner([]byte(readFile(t, filepath.Join(w.dir, "agencies", string(oin)+".jwk"))))
	if err != nil {
		t.Fatal(err)
	}
	return signer
}
