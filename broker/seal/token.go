package seal

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/keys"
)

// token is what a token says; its signature is checked elsewhere.
type token struct {
	alg, kid string
	issuer   broker.OIN

	claims     string // what is wrong with the claims below, told only after the signature fits; "" when nothing
	worker     broker.WorkerID
	role       broker.Role
	audience   []string
	issued     time.Time
	expires    time.Time
	notBefore  time.Time // zero without nbf
	thumbprint string    // cnf.x5t#S256: the certificate it is bound to, or ""
	key        string    // cnf.jkt: the thumbprint of the key it is bound to, or ""
}

// readToken parses a token. Its errors are those that anyone may see.
func readToken(compact string) (token, error) {
	parts, err := parse(compact)
	var claims map[string]any
	if err == nil {
		claims, err = object(parts.payload)
	}
	switch {
	case errors.Is(err, errDuplicate):
		return token{}, refuse(codeDuplicate, err.Error())
	case errors.Is(err, errEmbedded):
		return token{}, refuse(codeEmbedded, err.Error()+"; send kid only and register the key")
	case errors.Is(err, errCritical):
		return token{}, refuse(codeCritical, err.Error())
	case err != nil:
		return token{}, refuse(codeMalformed, err.Error())
	}
	t := token{alg: text(parts.header, "alg"), kid: text(parts.header, "kid")}
	switch keys.Algorithm(t.alg) {
	case keys.ES256, keys.PS256, keys.EdDSA:
	default:
		return token{}, refuse(codeAlgorithm, "alg must be ES256, PS256 or EdDSA")
	}
	switch {
	case text(parts.header, "typ") != TokenType:
		return token{}, refuse(codeType, "typ in the header must be "+TokenType)
	case t.kid == "":
		return token{}, refuse(codeKey, "kid in the header must name the key")
	}
	if t.issuer, err = broker.ParseOIN(text(claims, "iss")); err != nil {
		return token{}, refuse(codeClaims, "iss must be the OIN of the agency, 20 digits")
	}
	t.read(claims)
	return t, nil
}

// read takes over the claims and notes the first that is wrong.
func (t *token) read(claims map[string]any) {
	wrong := func(why string) {
		if t.claims == "" {
			t.claims = why
		}
	}
	var ok bool
	t.worker, t.role = broker.WorkerID(text(claims, "sub")), broker.Role(text(claims, "role"))
	if n := utf8.RuneCountInString(string(t.worker)); n < 1 || n > 100 || !printable(string(t.worker)) {
		wrong("sub must name the worker in 1 to 100 printable characters")
	}
	if t.role == "" {
		wrong("role must be a role of the catalog")
	}
	if t.audience, ok = audience(claims["aud"]); !ok {
		wrong("aud must be a string or a list of strings")
	}
	if t.issued, ok = moment(claims["iat"]); !ok {
		wrong("iat must be a number of seconds")
	}
	if t.expires, ok = moment(claims["exp"]); !ok {
		wrong("exp must be a number of seconds")
	}
	if nbf, there := claims["nbf"]; there {
		if t.notBefore, ok = moment(nbf); !ok {
			wrong("nbf must be a number of seconds")
		}
	}
	if !uniqueEnough(text(claims, "jti")) {
		wrong("jti must be a UUID, or 22 to 200 base64url characters: 128 random bits")
	}
	if cnf, there := claims["cnf"]; there && !t.confirm(cnf) {
		wrong("cnf must hold x5t#S256, the base64url SHA-256 of the client certificate, or jkt, that of the DPoP key (RFC 7638)")
	}
}

// confirm takes over what a token is bound to. Another way of confirmation can't be checked here, so it does not pass.
func (t *token) confirm(cnf any) bool {
	obj, _ := cnf.(map[string]any)
	for name, v := range obj {
		s, _ := v.(string)
		if b, err := decode(s); err != nil || len(b) != 32 {
			return false
		}
		switch name {
		case "x5t#S256":
			t.thumbprint = s
		case "jkt":
			t.key = s
		default:
			return false
		}
	}
	return len(obj) > 0
}

func printable(s string) bool {
	for _, r := range s {
		if !unicode.IsPrint(r) || r == utf8.RuneError { // what half a character in an escape is read as
			return false
		}
	}
	return true
}

func audience(v any) ([]string, bool) {
	if s, ok := v.(string); ok {
		return []string{s}, true
	}
	list, ok := v.([]any)
	if !ok {
		return nil, false
	}
	var out []string
	for _, e := range list {
		s, ok := e.(string)
		if !ok {
			return nil, false
		}
		out = append(out, s)
	}
	return out, true
}

// uniqueEnough tells whether a jti can hold 128 bits. A UUID passes by the same rule: 36 of these characters.
func uniqueEnough(jti string) bool {
	if len(jti) < 22 || len(jti) > 200 {
		return false
	}
	for _, r := range jti {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' {
			return false
		}
	}
	return true
}

// newID gives 128 random bits.
func newID() string {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails (crypto/rand)
	return base64url.EncodeToString(id)
}

// TokenClaims is what an agency says in a token.
type TokenClaims struct {
	Agency                broker.OIN
	Worker                broker.WorkerID
	Role                  broker.Role
	Audience              string
	IssuedAt              time.Time
	Lifetime              time.Duration // 300 s when 0
	ID                    string        // jti; 128 random bits when ""
	CertificateThumbprint string        // x5t#S256 of the client certificate the token will be sent with, or ""
	KeyThumbprint         string        // jkt of the key that DPoP proofs will be signed with, or "" (ProofKey)
}

// SignToken makes a bearer token, as an agency's system does for its worker.
func SignToken(key keys.Signer, c TokenClaims) (string, error) {
	if c.Lifetime == 0 {
		c.Lifetime = maxLifetime
	}
	if c.ID == "" {
		c.ID = newID()
	}
	claims := map[string]any{
		"iss": c.Agency, "sub": c.Worker, "role": c.Role, "aud": c.Audience, "jti": c.ID,
		"iat": c.IssuedAt.Unix(), "exp": c.IssuedAt.Add(c.Lifetime).Unix(),
	}
	cnf := map[string]string{}
	if c.CertificateThumbprint != "" {
		cnf["x5t#S256"] = c.CertificateThumbprint
	}
	if c.KeyThumbprint != "" {
		cnf["jkt"] = c.KeyThumbprint
	}
	if len(cnf) > 0 {
		claims["cnf"] = cnf
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	signed, err := key.Sign(map[string]any{"typ": TokenType}, payload)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return signed, nil
}
