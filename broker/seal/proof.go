package seal

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/keys"
)

// maxProof bounds a DPoP proof: an RSA key of 4096 bits and its signature fit.
const maxProof = 4 << 10

// The codes of refused proofs, one for each case.
const (
	codeProofMissing   = "proof-missing"
	codeProofMalformed = "proof-malformed"
	codeProofType      = "proof-typ"
	codeProofAlgorithm = "proof-alg"
	codeProofJWK       = "proof-jwk"
	codeProofKey       = "proof-key"
	codeProofClaims    = "proof-claims"
	codeProofMethod    = "proof-htm"
	codeProofURL       = "proof-htu"
	codeProofToken     = "proof-ath"
	codeProofTime      = "proof-iat"
	codeProofNonce     = "proof-nonce"
	codeProofSignature = "proof-signature"
	codeProofReplayed  = "proof-replayed"
)

// Nonce gives what the next proof must carry. It is good for a minute here, for seconds at the other gateways of the
// deployment, and for as many proofs as the client likes.
func (o *Opener) Nonce() string { return o.nonces.give(o.cfg.Now()) }

// prove checks that a request comes from who has the key its token is bound to (RFC 9449, 4.3): the token's signature
// and claims were checked before. What costs least comes first; what was taken is remembered only after its signature
// fits.
func (o *Opener) prove(token string, t token, channel broker.Channel, now time.Time) error {
	switch {
	case channel.Proof == "":
		return refuse(codeProofMissing, "send a proof of the key in the header DPoP")
	case len(channel.Proof) > maxProof:
		return refuse(codeProofMalformed, "a proof has at most 4 KB")
	}
	parts, err := parseWithKey(channel.Proof)
	var claims map[string]any
	if err == nil {
		claims, err = object(parts.payload)
	}
	if err != nil {
		return refuse(codeProofMalformed, err.Error())
	}
	key, err := proofKey(parts.header)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare([]byte(key.Thumbprint()), []byte(t.key)) != 1 {
		return refuse(codeProofKey, "jwk is not the key that the token is bound to")
	}
	if err := o.judgeProof(claims, token, channel, now); err != nil {
		return err
	}
	if _, err := key.Verify(channel.Proof); err != nil {
		return refuse(codeProofSignature, "the signature does not fit jwk")
	}
	// By key and jti, not by the bytes: an ECDSA signature can be turned into another that fits as well.
	id := sha256.Sum256([]byte(t.key + "." + text(claims, "jti")))
	switch fresh, full := o.proofs.claim(t.issuer, [16]byte(id[:16]), now); {
	case full:
		return broker.Fail(broker.KindBusy, "too-many-requests", errors.New("the agency's proofs are more than can be remembered"))
	case !fresh:
		return refuse(codeProofReplayed, "this proof was used before: make one for each request, with a jti of its own")
	}
	return nil
}

// proofKey gives the key a proof brings along. Unlike that of a token it need not be registered: the token names it.
func proofKey(header map[string]any) (keys.PublicKey, error) {
	if text(header, "typ") != ProofType {
		return keys.PublicKey{}, refuse(codeProofType, "typ in the header must be "+ProofType)
	}
	alg := text(header, "alg")
	switch keys.Algorithm(alg) {
	case keys.ES256, keys.PS256, keys.EdDSA:
	default:
		return keys.PublicKey{}, refuse(codeProofAlgorithm, "alg must be ES256, PS256 or EdDSA")
	}
	jwk, isObject := header["jwk"].(map[string]any)
	raw, err := json.Marshal(jwk)
	if !isObject || err != nil {
		return keys.PublicKey{}, refuse(codeProofJWK, "jwk in the header must be the public key")
	}
	key, err := keys.ParsePublic(raw)
	if err != nil {
		return keys.PublicKey{}, refuse(codeProofJWK, err.Error())
	}
	if string(key.Algorithm) != alg {
		return keys.PublicKey{}, refuse(codeProofAlgorithm, "alg does not fit jwk; sign with "+string(key.Algorithm))
	}
	return key, nil
}

// judgeProof checks what a proof says.
func (o *Opener) judgeProof(claims map[string]any, token string, channel broker.Channel, now time.Time) error {
	jti := text(claims, "jti")
	issued, ok := moment(claims["iat"])
	if !ok || len(jti) < 16 || len(jti) > 200 || !printable(jti) {
		return refuse(codeProofClaims, "a proof has jti (16 to 200 characters), htm, htu, iat, ath and nonce")
	}
	if text(claims, "htm") != channel.Method {
		return refuse(codeProofMethod, "htm must be the method of this request")
	}
	want, ok := normalURL(channel.URL)
	if got, ok2 := normalURL(text(claims, "htu")); !ok || !ok2 || got != want {
		return refuse(codeProofURL, "htu must be the public URL of this request, without query")
	}
	sum := sha256.Sum256([]byte(token))
	if text(claims, "ath") != base64url.EncodeToString(sum[:]) {
		return refuse(codeProofToken, "ath must be the base64url SHA-256 of the token")
	}
	if !o.nonces.good(text(claims, "nonce"), now) {
		return refuse(codeProofNonce, "nonce must be the last one of the header DPoP-Nonce; make the proof again with that of this answer")
	}
	if now.Sub(issued) > nonceLife+maxSkew || issued.Sub(now) > maxSkew || !within(claims, now) {
		return refuse(codeProofTime, "make a new proof for each request; check the clock")
	}
	return nil
}

// within honours exp and nbf, which a proof need not have but some libraries add.
func within(claims map[string]any, now time.Time) bool {
	if v, there := claims["exp"]; there {
		if t, ok := moment(v); !ok || now.Sub(t) > maxSkew {
			return false
		}
	}
	if v, there := claims["nbf"]; there {
		if t, ok := moment(v); !ok || t.Sub(now) > maxSkew {
			return false
		}
	}
	return true
}

// normalURL gives a URL as RFC 3986 (6.2.2 and 6.2.3) lets two spellings of one be compared, without query and fragment.
func normalURL(s string) (string, bool) {
	u, err := url.Parse(s)
	if err != nil || u.User != nil || u.Hostname() == "" || u.Opaque != "" {
		return "", false
	}
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	usual, ok := map[string]string{"https": "443", "http": "80"}[u.Scheme]
	if !ok {
		return "", false
	}
	if port != "" && port != usual {
		host += ":" + port
	}
	return u.Scheme + "://" + host + noDots(normalEscapes(u.EscapedPath())), true
}

// normalEscapes writes letters, digits and -._~ as themselves, and every other escape in capitals.
func normalEscapes(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' || i+2 >= len(path) {
			b.WriteByte(path[i])
			continue
		}
		escape := strings.ToUpper(path[i : i+3])
		c, err := url.PathUnescape(escape)
		if err == nil && (c[0]|0x20 >= 'a' && c[0]|0x20 <= 'z' || c[0] >= '0' && c[0] <= '9' || strings.Contains("-._~", c)) {
			escape = c
		}
		b.WriteString(escape)
		i += 2
	}
	return b.String()
}

// noDots takes . and .. out of a path (RFC 3986, 5.2.4).
func noDots(path string) string {
	var out []string
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, s := range segments {
		last := i == len(segments)-1
		switch {
		case s == ".." && len(out) > 0:
			out = out[:len(out)-1]
		case s != "." && s != "..":
			out = append(out, s)
			last = false
		}
		if last { // a path that ends in a dot segment names the folder
			out = append(out, "")
		}
	}
	return "/" + strings.Join(out, "/")
}

// ProofClaims is what a client says in a DPoP proof.
type ProofClaims struct {
	Token       string // it is sent with
	Method, URL string // of the request
	Nonce       string // the last DPoP-Nonce of the server, "" before there was one
	IssuedAt    time.Time
	ID          string // jti; 128 random bits when ""
}

// SignProof makes the proof that a request comes from who has the key its token is bound to (RFC 9449).
func SignProof(key keys.Signer, c ProofClaims) (string, error) {
	if c.ID == "" {
		c.ID = newID()
	}
	sum := sha256.Sum256([]byte(c.Token))
	claims := map[string]any{"jti": c.ID, "htm": c.Method, "htu": c.URL, "iat": c.IssuedAt.Unix(),
		"ath": base64url.EncodeToString(sum[:])}
	if c.Nonce != "" {
		claims["nonce"] = c.Nonce
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("sign proof: %w", err)
	}
	signed, err := key.Sign(map[string]any{"typ": ProofType, "jwk": key.Public()}, payload)
	if err != nil {
		return "", fmt.Errorf("sign proof: %w", err)
	}
	return signed, nil
}

// ProofKey gives the thumbprint of a key, by which a token is bound to it (cnf.jkt).
func ProofKey(key keys.Signer) (string, error) {
	public, err := keys.ParsePublic(key.Public())
	if err != nil {
		return "", fmt.Errorf("bind token: %w", err)
	}
	return public.Thumbprint(), nil
}
