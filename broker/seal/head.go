package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/keys"
)

// Head is what a gateway signs of its journal stream every second: what the stream ended in at that time. A log that
// lacks it later was cut or changed.
type Head struct {
	Log    string      `json:"log"` // the log's random id
	Writer string      `json:"writer"`
	Epoch  uint64      `json:"epoch"`
	Seq    uint64      `json:"seq"`
	Hash   broker.Hash `json:"hash"`
	Time   time.Time   `json:"time"`
}

// SignHead gives a compact JWS of a head.
func SignHead(key keys.Signer, h Head) (string, error) {
	h.Time = h.Time.UTC()
	payload, err := json.Marshal(h)
	if err != nil {
		return "", fmt.Errorf("sign head: %w", err)
	}
	signed, err := key.Sign(map[string]any{"typ": HeadType}, payload)
	if err != nil {
		return "", fmt.Errorf("sign head: %w", err)
	}
	return signed, nil
}

// VerifyHead checks a signed head against a JWK set.
func VerifyHead(compact string, jwks []byte) (Head, error) {
	p, _, err := check(compact, jwks, keys.Heads)
	if err != nil {
		return Head{}, fmt.Errorf("verify head: %w", err)
	}
	if text(p.header, "typ") != HeadType {
		return Head{}, errors.New("verify head: well signed, but not a head")
	}
	if _, err := object(p.payload); err != nil {
		return Head{}, fmt.Errorf("verify head: %w", err)
	}
	var h Head
	d := json.NewDecoder(bytes.NewReader(p.payload))
	d.DisallowUnknownFields()
	if err := d.Decode(&h); err != nil || h.Log == "" || h.Writer == "" || h.Time.IsZero() {
		return Head{}, errors.New("verify head: well signed, but without log, writer or time")
	}
	return h, nil
}
