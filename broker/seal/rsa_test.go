package seal_test

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"testing"
)

// rsaKey reads an RSA private JWK, independently of the code under test.
func rsaKey(t testing.TB, private json.RawMessage) *rsa.PrivateKey {
	t.Helper()
	var k map[string]string
	if err := json.Unmarshal(private, &k); err != nil {
		t.Fatal(err)
	}
	n := func(name string) *big.Int {
		b, err := base64.RawURLEncoding.DecodeString(k[name])
		if err != nil {
			t.Fatal(err)
		}
		return new(big.Int).SetBytes(b)
	}
	key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: n("n"), E: int(n("e").Int64())}, D: n("d"),
		Primes: []*big.Int{n("p"), n("q")}}
	key.Precompute()
	return key
}
