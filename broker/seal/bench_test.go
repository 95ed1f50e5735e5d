package seal_test

import (
	"bytes"
	"testing"

	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/keys"
)

func BenchmarkOpen(b *testing.B) {
	for _, alg := range []keys.Algorithm{keys.ES256, keys.EdDSA, keys.PS256} {
		for name, size := range map[string]int{"cached": 0, "uncached": -1} {
			b.Run(string(alg)+"/"+name, func(b *testing.B) {
				w := newWorld(b, func(c *seal.OpenerConfig) { c.CacheSize = size })
				token, err := seal.SignToken(w.key[alg], seal.TokenClaims{Agency: gemeente, Worker: "m.jansen",
					Role: "wijkteammedewerker", Audience: server, IssuedAt: start})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for b.Loop() {
					if _, err := w.open(token); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	for _, alg := range []keys.Algorithm{keys.ES256, keys.EdDSA} {
		b.Run(string(alg), func(b *testing.B) {
			s := sealer(b, ring(b, alg))
			in := sealing()
			in.Body = bytes.Repeat([]byte("x"), 4<<10)
			b.ReportAllocs()
			for b.Loop() {
				mustSeal(b, s, in)
			}
		})
	}
}

// BenchmarkProve is what a DPoP proof adds to a request: its token is known, the proof is new each time.
func BenchmarkProve(b *testing.B) {
	w := newWorld(b)
	p := newProver(b, w)
	if err := p.open(p.proof(b)); err != nil {
		b.Fatal(err)
	}
	proofs := make([]string, 2_000)
	for i := range proofs {
		proofs[i] = p.proof(b)
	}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		_ = p.open(proofs[i%len(proofs)]) // the later ones are replays: as much work, to the last step
		i++
	}
}
