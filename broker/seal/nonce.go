package seal

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"time"
)

// How long a nonce is good: at the gateway that gave it, which remembers the proofs it took; and at any other, which
// can't know them. The short time elsewhere lets a client whose requests go round the gateways answer a challenge, and is
// all that a thief of a proof has to use it a second time.
const (
	nonceLife          = 60 * time.Second
	nonceLifeElsewhere = 5 * time.Second
)

// nonces makes and judges nonces without keeping any: who gave it and when, under a key that all gateways share.
type nonces struct {
	mac  func([]byte) []byte
	self [8]byte // of this process: after a restart its former nonces are those of another
}

const nonceBytes = 8 + 8 + 16 // who, when, MAC

func newNonces(mac func([]byte) []byte) nonces {
	n := nonces{mac: mac}
	_, _ = rand.Read(n.self[:]) // never fails (crypto/rand)
	if mac == nil {
		key := make([]byte, sha256.Size)
		_, _ = rand.Read(key)
		n.mac = func(data []byte) []byte {
			h := hmac.New(sha256.New, key)
			h.Write(data)
			return h.Sum(nil)
		}
	}
	return n
}

func (n nonces) give(now time.Time) string {
	b := make([]byte, 0, nonceBytes)
	b = append(b, n.self[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(now.UnixMilli()))
	return base64url.EncodeToString(append(b, n.mac(b)[:nonceBytes-len(b)]...))
}

// good tells whether a nonce was given by a gateway of this deployment, and not too long ago.
func (n nonces) good(nonce string, now time.Time) bool {
	b, err := decode(nonce)
	if err != nil || len(b) != nonceBytes || subtle.ConstantTimeCompare(n.mac(b[:16])[:nonceBytes-16], b[16:]) != 1 {
		return false
	}
	life := nonceLifeElsewhere
	if [8]byte(b[:8]) == n.self {
		life = nonceLife
	}
	age := now.Sub(time.UnixMilli(int64(binary.BigEndian.Uint64(b[8:16]))))
	return age <= life && age >= -nonceLifeElsewhere // the clock of another gateway may be ahead
}
