package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/go-jose/go-jose/v4"

	"github.com/schakel/schakel/broker"
)

// Algorithm is a JWS algorithm (RFC 7518).
type Algorithm string

// Closed list of Algorithm.
const (
	ES256 Algorithm = "ES256" // the default
	EdDSA Algorithm = "EdDSA"
	PS256 Algorithm = "PS256"
)

// RSA keys below minRSA bits are refused; generated ones have newRSA bits.
const (
	minRSA = 2048
	newRSA = 3072
)

// Signer is a private signing key that does not leave the package. The zero Signer signs nothing.
type Signer struct {
	id  string
	alg Algorithm
	key crypto.Signer
}

// ID is the kid: the RFC 7638 thumbprint of the key, or the kid its JWK carried.
func (s Signer) ID() string { return s.id }

// Algorithm is the one algorithm this key signs with.
func (s Signer) Algorithm() Algorithm { return s.alg }

// Public gives the public JWK, with kid, alg and use.
func (s Signer) Public() json.RawMessage {
	if s.key == nil {
		return nil
	}
	b, err := publicJWK(s)
	if err != nil {
		panic(err) // the key was checked when the Signer was made
	}
	return b
}

// Sign gives the compact JWS of payload. The protected header holds header, and alg and kid of this key. It is written
// here and not by go-jose, which encodes header and payload three times over: half the cost of an answer's signature.
// What it signs is read by go-jose in Verify, and by others.
func (s Signer) Sign(header map[string]any, payload []byte) (string, error) {
	if s.key == nil {
		return "", errors.New("sign: no key")
	}
	protected := maps.Clone(header)
	if protected == nil {
		protected = map[string]any{}
	}
	protected["alg"], protected["kid"] = s.alg, s.id
	head, err := json.Marshal(protected)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	b64 := base64.RawURLEncoding
	out := make([]byte, 0, b64.EncodedLen(len(head))+b64.EncodedLen(len(payload))+b64.EncodedLen(jose.MaxRSAModulusBits/8)+2)
	out = append(b64.AppendEncode(out, head), '.')
	out = b64.AppendEncode(out, payload)
	signature, err := s.signature(out)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	return string(b64.AppendEncode(append(out, '.'), signature)), nil
}

// signature signs the input of a JWS (RFC 7518, 3.4 and 3.5; RFC 8037, 3.1).
func (s Signer) signature(input []byte) ([]byte, error) {
	digest := sha256.Sum256(input)
	switch key := s.key.(type) {
	case *ecdsa.PrivateKey:
		r, v, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			return nil, err
		}
		out := make([]byte, 64) // r and s of P-256, side by side
		r.FillBytes(out[:32])
		v.FillBytes(out[32:])
		return out, nil
	case *rsa.PrivateKey:
		return rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	case ed25519.PrivateKey:
		return ed25519.Sign(key, input), nil
	}
	return nil, errUnsuitable
}

// PublicKey verifies signatures of one algorithm, whatever their header says.
type PublicKey struct {
	ID        string
	Algorithm Algorithm
	Use       Use // "" for a key that does not say (the schakel_use member of our own keys)

	key crypto.PublicKey
}

// Thumbprint is the SHA-256 thumbprint of the key (RFC 7638), whatever its JWK called it.
func (k PublicKey) Thumbprint() string { return thumbprint(k.key) }

// ErrSignature tells that a signature does not fit the key and the bytes.
var ErrSignature = errors.New("the signature does not fit")

// Verify checks a compact JWS and gives its payload. It reads the header for nothing but alg, which must be the key's:
// what else the header may say is for the caller to judge.
func (k PublicKey) Verify(compact string) ([]byte, error) {
	signed, err := jose.ParseSignedCompact(compact, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(k.Algorithm)})
	if err != nil {
		return nil, ErrSignature
	}
	payload, err := signed.Verify(k.key)
	if err != nil {
		return nil, ErrSignature
	}
	return payload, nil
}

// NewAgencyKey makes a signing key for an agency: its public JWK, to register, and its private JWK, to keep.
func NewAgencyKey(alg Algorithm) (public, private json.RawMessage, err error) {
	s, err := generate(alg)
	if err != nil {
		return nil, nil, err
	}
	private, err = privateJWK(s)
	return s.Public(), private, err
}

// ParseSigner reads a private signing JWK, such as NewAgencyKey made.
func ParseSigner(jwk []byte) (Signer, error) {
	k, err := parseJWK(jwk)
	if err != nil {
		return Signer{}, err
	}
	if k.IsPublic() {
		return Signer{}, errors.New("read key: this is a public key; give the file with the private JWK (it has a member d)")
	}
	key, ok := k.Key.(crypto.Signer)
	if !ok {
		return Signer{}, errUnsuitable
	}
	alg, err := fit(k, key.Public())
	if err != nil {
		return Signer{}, err
	}
	s := Signer{id: k.KeyID, alg: alg, key: key}
	if s.id == "" {
		s.id = thumbprint(key.Public())
	}
	return s, nil
}

// ParsePublic reads a public signing JWK. It refuses a private one, since that must not stand in a register.
func ParsePublic(jwk []byte) (PublicKey, error) {
	k, err := parseJWK(jwk)
	if err != nil {
		return PublicKey{}, err
	}
	if !k.IsPublic() {
		return PublicKey{}, errors.New("read key: this is a private or symmetric key; give the public JWK only, and replace the key if it was shown to others")
	}
	alg, err := fit(k, k.Key)
	if err != nil {
		return PublicKey{}, err
	}
	p := PublicKey{ID: k.KeyID, Algorithm: alg, key: k.Key}
	if p.ID == "" {
		p.ID = thumbprint(k.Key)
	}
	var ours struct {
		Use Use `json:"schakel_use"`
	}
	if err := json.Unmarshal(jwk, &ours); err != nil {
		return PublicKey{}, errors.New("read key: schakel_use is not a text")
	}
	p.Use = ours.Use
	return p, nil
}

// ParseJWKS reads the signing keys of a JWK set. Keys of other kinds are passed over, as RFC 7517 (5) asks.
func ParseJWKS(data []byte) ([]PublicKey, error) {
	if _, err := broker.ParseObject(data); err != nil {
		return nil, fmt.Errorf("read key set: %w", err)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil || set.Keys == nil {
		return nil, errors.New(`read key set: no list "keys"; give what the server has at /.well-known/jwks.json`)
	}
	var out []PublicKey
	for _, raw := range set.Keys {
		if k, err := ParsePublic(raw); err == nil {
			out = append(out, k)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("read key set: no usable signing key (ES256, EdDSA or PS256) in it")
	}
	return out, nil
}

var errUnsuitable = errors.New("read key: neither P-256 (ES256), nor Ed25519 (EdDSA), nor RSA of 2048 to 4096 bits (PS256)")

func parseJWK(data []byte) (*jose.JSONWebKey, error) {
	if _, err := broker.ParseObject(data); err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	k := &jose.JSONWebKey{}
	if err := k.UnmarshalJSON(data); err != nil {
		return nil, errors.New("read key: not a JWK of a kind that is used here (RFC 7517: kty EC, OKP or RSA)")
	}
	return k, nil
}

// fit gives the one algorithm of a signing key, and refuses a JWK that names another or another use.
func fit(k *jose.JSONWebKey, public crypto.PublicKey) (Algorithm, error) {
	var alg Algorithm
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		if p.Curve == elliptic.P256() {
			alg = ES256
		}
	case ed25519.PublicKey:
		alg = EdDSA
	case *rsa.PublicKey:
		if n := p.N.BitLen(); n >= minRSA && n <= jose.MaxRSAModulusBits {
			alg = PS256
		}
	}
	switch {
	case alg == "":
		return "", errUnsuitable
	case k.Algorithm != "" && k.Algorithm != string(alg):
		return "", fmt.Errorf("read key: its alg does not fit; a key of this type signs with %s", alg)
	case k.Use != "" && k.Use != "sig":
		return "", errors.New(`read key: its use is not "sig"`)
	}
	return alg, nil
}

func generate(alg Algorithm) (Signer, error) {
	var key crypto.Signer
	var err error
	switch alg {
	case ES256, "":
		alg = ES256
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case EdDSA:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case PS256:
		key, err = rsa.GenerateKey(rand.Reader, newRSA)
	default:
		err = errors.New("algorithm must be ES256, EdDSA or PS256")
	}
	if err != nil {
		return Signer{}, fmt.Errorf("generate key: %w", err)
	}
	return Signer{id: thumbprint(key.Public()), alg: alg, key: key}, nil
}

// thumbprint is the kid of a public key (RFC 7638, SHA-256, base64url).
func thumbprint(public crypto.PublicKey) string {
	k := jose.JSONWebKey{Key: public}
	sum, err := k.Thumbprint(crypto.SHA256)
	if err != nil {
		panic(err) // only for key types that fit refuses
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}

func publicJWK(s Signer) (json.RawMessage, error) {
	return jose.JSONWebKey{Key: s.key.Public(), KeyID: s.id, Algorithm: string(s.alg), Use: "sig"}.MarshalJSON()
}

func privateJWK(s Signer) (json.RawMessage, error) {
	return jose.JSONWebKey{Key: s.key, KeyID: s.id, Algorithm: string(s.alg), Use: "sig"}.MarshalJSON()
}

// withUse adds the member by which one of our public keys says what it signs.
func withUse(jwk json.RawMessage, use Use) json.RawMessage {
	var b bytes.Buffer
	b.Write(bytes.TrimSuffix(jwk, []byte("}")))
	fmt.Fprintf(&b, `,"schakel_use":%q}`, string(use))
	return b.Bytes()
}
