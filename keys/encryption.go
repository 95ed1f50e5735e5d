package keys

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// EncryptionKey is an agency's public key: answers may be encrypted for it.
type EncryptionKey struct {
	id  string
	alg jose.KeyAlgorithm
	key any
}

// ID is the kid.
func (k EncryptionKey) ID() string { return k.id }

// ParseEncryptionKey reads a public encryption JWK: EC P-256 (ECDH-ES+A256KW) or RSA of 2048 bits or more
// (RSA-OAEP-256).
func ParseEncryptionKey(jwk []byte) (EncryptionKey, error) {
	k, err := parseJWK(jwk)
	if err != nil {
		return EncryptionKey{}, err
	}
	if !k.IsPublic() {
		return EncryptionKey{}, errors.New("read encryption key: this is a private or symmetric key; give the public JWK only, and replace the key if it was shown to others")
	}
	return encryptionKey(k, k.Key)
}

func encryptionKey(k *jose.JSONWebKey, public any) (EncryptionKey, error) {
	e := EncryptionKey{id: k.KeyID, key: public}
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		if p.Curve == elliptic.P256() {
			e.alg = jose.ECDH_ES_A256KW
		}
	case *rsa.PublicKey:
		if n := p.N.BitLen(); n >= minRSA && n <= jose.MaxRSAModulusBits {
			e.alg = jose.RSA_OAEP_256
		}
	}
	switch {
	case e.alg == "":
		return EncryptionKey{}, errors.New("read encryption key: neither P-256 (ECDH-ES+A256KW) nor RSA of 2048 to 4096 bits (RSA-OAEP-256)")
	case k.Algorithm != "" && k.Algorithm != string(e.alg):
		return EncryptionKey{}, fmt.Errorf("read encryption key: its alg does not fit; a key of this type uses %s", e.alg)
	case k.Use != "" && k.Use != "enc":
		return EncryptionKey{}, errors.New(`read encryption key: its use is not "enc"`)
	}
	if e.id == "" {
		e.id = thumbprint(public)
	}
	return e, nil
}

// Encrypt gives the compact JWE of payload, A256GCM, with a cty header.
func (k EncryptionKey) Encrypt(payload []byte, contentType string) (string, error) {
	e, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: k.alg, Key: k.key, KeyID: k.id},
		(&jose.EncrypterOptions{}).WithContentType(jose.ContentType(contentType)))
	if err != nil {
		return "", fmt.Errorf("encrypt: %w", err)
	}
	sealed, err := e.Encrypt(payload)
	if err != nil {
		return "", fmt.Errorf("encrypt: %w", err)
	}
	return sealed.CompactSerialize()
}

// NewEncryptionKey makes a P-256 key pair for an agency: its public JWK, to register, and its private JWK, to keep.
func NewEncryptionKey() (public, private json.RawMessage, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("generate encryption key: %w", err)
	}
	k := jose.JSONWebKey{Key: key, KeyID: thumbprint(key.Public()), Algorithm: string(jose.ECDH_ES_A256KW), Use: "enc"}
	if private, err = k.MarshalJSON(); err != nil {
		return nil, nil, err
	}
	k.Key = key.Public()
	public, err = k.MarshalJSON()
	return public, private, err
}

// Decrypt opens a compact JWE with the private JWK it was made for, and gives its payload and cty.
func Decrypt(compact string, privateJWK []byte) (payload []byte, contentType string, err error) {
	k, err := parseJWK(privateJWK)
	if err != nil {
		return nil, "", err
	}
	public := k.Public()
	if k.IsPublic() || !public.Valid() {
		return nil, "", errors.New("decrypt: this is not a private key; give the file with the private JWK (it has a member d)")
	}
	e, err := encryptionKey(k, public.Key)
	if err != nil {
		return nil, "", err
	}
	sealed, err := jose.ParseEncryptedCompact(compact, []jose.KeyAlgorithm{e.alg}, []jose.ContentEncryption{jose.A256GCM})
	if err != nil {
		return nil, "", fmt.Errorf("decrypt: not a compact JWE with %s and A256GCM", e.alg)
	}
	payload, err = sealed.Decrypt(k.Key)
	if err != nil {
		return nil, "", errors.New("decrypt: the key does not open it; was it made for another key of the agency?")
	}
	contentType, _ = sealed.Header.ExtraHeaders["cty"].(string)
	return payload, contentType, nil
}
