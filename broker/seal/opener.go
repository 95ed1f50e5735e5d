package seal

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/keys"
)

// Limits of a token.
const (
	maxToken    = 8 << 10
	maxLifetime = 300 * time.Second
	maxSkew     = 30 * time.Second
)

// The codes of refused tokens, one for each case.
const (
	codeMissing        = "token-missing"
	codeTooLarge       = "token-too-large"
	codeMalformed      = "token-malformed"
	codeDuplicate      = "token-duplicate-claim"
	codeType           = "token-typ"
	codeAlgorithm      = "token-alg"
	codeEmbedded       = "token-embedded-key"
	codeCritical       = "token-crit"
	codeKey            = "token-kid"
	codeAgency         = "agency-unknown"
	codeSignature      = "token-signature"
	codeSuspended      = "agency-suspended"
	codeKeySuspended   = "key-suspended"
	codeAudience       = "token-audience"
	codeExpired        = "token-expired"
	codeNotYet         = "token-not-yet-valid"
	codeLifetime       = "token-lifetime"
	codeRole           = "token-role"
	codeClaims         = "token-claims"
	codeCertificate    = "token-certificate"
	codeDPoP           = "token-dpop"
	defaultCacheTokens = 10_000
)

// TokenCodes lists every code an Opener refuses a token or its proof with: the gateway must have a text for each.
func TokenCodes() []string {
	return []string{codeMissing, codeTooLarge, codeMalformed, codeDuplicate, codeType, codeAlgorithm, codeEmbedded,
		codeCritical, codeKey, codeAgency, codeSignature, codeSuspended, codeKeySuspended, codeAudience, codeExpired,
		codeNotYet, codeLifetime, codeRole, codeClaims, codeCertificate, codeDPoP, codeProofMissing, codeProofMalformed,
		codeProofType, codeProofAlgorithm, codeProofJWK, codeProofKey, codeProofClaims, codeProofMethod, codeProofURL,
		codeProofToken, codeProofTime, codeProofNonce, codeProofSignature, codeProofReplayed}
}

// OpenerConfig is what an Opener is made of. Agencies and Audience are required.
type OpenerConfig struct {
	// Agencies finds an agency as it is at this moment: asked with every token, so that suspension holds at once.
	Agencies func(broker.OIN) (broker.Agency, bool)
	// Audience is what this server is called in aud; a token must name one of them.
	Audience []string
	// RequireCertificate demands of every token that it is bound to the client certificate, as the binding
	// mtls does of one agency.
	RequireCertificate bool
	// MACNonce authenticates the nonces of DPoP proofs. All gateways of a deployment have the same (keys.Ring.MACNonce),
	// so that a client may be sent from one to another. nil: a secret of this Opener.
	MACNonce  func(nonce []byte) []byte
	Now       func() time.Time // time.Now when nil
	CacheSize int              // verified tokens kept in memory; 10,000 when 0, none when negative
}

// Opener verifies tokens and DPoP proofs. It implements broker.Opener.
type Opener struct {
	cfg    OpenerConfig
	cache  *cache
	nonces nonces
	proofs proofs
}

// NewOpener makes an Opener.
func NewOpener(cfg OpenerConfig) (*Opener, error) {
	if cfg.Agencies == nil {
		return nil, errors.New("make opener: Agencies is required")
	}
	if len(cfg.Audience) == 0 || slices.Contains(cfg.Audience, "") {
		return nil, errors.New("make opener: Audience must name this server, as agencies write it in aud")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.CacheSize == 0 {
		cfg.CacheSize = defaultCacheTokens
	}
	return &Opener{cfg: cfg, cache: newCache(cfg.CacheSize), nonces: newNonces(cfg.MACNonce)}, nil
}

// refuse makes the 401 of a token. why never holds a value of the token.
func refuse(code, why string) error {
	return broker.Fail(broker.KindUnauthenticated, code, errors.New(why))
}

// Open verifies a token that came over channel. Whatever may change while a token lives (suspension, keys, roles,
// time, channel) is checked with every call; only the signature and the parsing are remembered.
func (o *Opener) Open(_ context.Context, token string, channel broker.Channel) (broker.Caller, error) {
	if token == "" {
		return broker.Caller{}, refuse(codeMissing, "send Authorization: Bearer with a token that your agency signed")
	}
	if len(token) > maxToken {
		return broker.Caller{}, refuse(codeTooLarge, "a token has at most 8 KB; leave out claims that are not asked for")
	}
	now := o.cfg.Now()
	id := sha256.Sum256([]byte(token))
	known, cached := o.cache.get(id, now)
	t := known.token
	if !cached {
		var err error
		if t, err = readToken(token); err != nil {
			return broker.Caller{}, err
		}
	}
	agency, ok := o.cfg.Agencies(t.issuer)
	if !ok {
		return broker.Caller{}, refuse(codeAgency, "no agency with this iss is registered here; register it, or check the OIN")
	}
	i := slices.IndexFunc(agency.Keys, func(k broker.AgencyKey) bool { return k.ID == t.kid })
	if i < 0 {
		return broker.Caller{}, refuse(codeKey, "the agency has no key with this kid; register the public key")
	}
	key := agency.Keys[i]
	if jwk := sha256.Sum256(key.JWK); !cached || jwk != known.jwk {
		if err := verify(token, t, key); err != nil {
			return broker.Caller{}, err
		}
		o.cache.put(id, verified{token: t, jwk: jwk})
	}
	switch {
	case agency.Suspended:
		return broker.Caller{}, refuse(codeSuspended, "the agency is suspended; ask the operator of this server")
	case key.Suspended:
		return broker.Caller{}, refuse(codeKeySuspended, "the key is suspended; sign with another registered key")
	}
	if err := o.judge(t, agency, channel, now); err != nil {
		return broker.Caller{}, err
	}
	if t.key != "" {
		if err := o.prove(token, t, channel, now); err != nil {
			return broker.Caller{}, err
		}
	}
	return broker.Caller{Agency: t.issuer, Worker: t.worker, Role: t.role, Key: key.ID}, nil
}

// verify checks the signature under the registered key, which alone decides on the algorithm.
func verify(token string, t token, key broker.AgencyKey) error {
	k, err := keys.ParsePublic(key.JWK)
	if err != nil {
		return broker.Fail(broker.KindUnauthenticated, codeKey, fmt.Errorf("the registered key can't be used, register it again: %w", err))
	}
	if string(k.Algorithm) != t.alg {
		return refuse(codeAlgorithm, "alg does not fit the registered key; sign with "+string(k.Algorithm))
	}
	if _, err := k.Verify(token); err != nil {
		return refuse(codeSignature, "the signature does not fit the registered key; sign with the private key that belongs to kid")
	}
	return nil
}

// judge checks what a well-signed token says.
func (o *Opener) judge(t token, agency broker.Agency, channel broker.Channel, now time.Time) error {
	switch {
	case t.claims != "":
		return refuse(codeClaims, t.claims)
	case !slices.ContainsFunc(t.audience, func(a string) bool { return slices.Contains(o.cfg.Audience, a) }):
		return refuse(codeAudience, "aud does not name this server")
	case !t.expires.After(t.issued) || t.expires.Sub(t.issued) > maxLifetime:
		return refuse(codeLifetime, "exp must be at most 300 s after iat")
	case now.Sub(t.expires) > maxSkew:
		return refuse(codeExpired, "make a new token; check the clock if this one is new")
	case t.issued.Sub(now) > maxSkew || t.notBefore.Sub(now) > maxSkew:
		return refuse(codeNotYet, "iat or nbf lies in the future; check the clock")
	case !slices.Contains(agency.Roles, t.role):
		return refuse(codeRole, "the agency may not assert this role; register it for the agency, or use another")
	}
	return o.bound(t, agency, channel)
}

// bound checks what a token is bound to, by what it says itself and by what the register asks of its agency. The proof of
// a key comes after this.
func (o *Opener) bound(t token, agency broker.Agency, channel broker.Channel) error {
	switch {
	case t.key != "" && !channel.DPoP:
		return refuse(codeDPoP, "a token with cnf.jkt is no bearer token: send Authorization: DPoP, and a proof in the header DPoP")
	case t.key == "" && (channel.DPoP || channel.Proof != ""):
		return refuse(codeDPoP, "a proof came with a token that is not bound to its key: add cnf with jkt")
	case t.key == "" && agency.Binding == broker.BindingDPoP:
		return refuse(codeDPoP, "the agency's tokens must be bound to a key: add cnf with jkt")
	case t.thumbprint != "":
		if subtle.ConstantTimeCompare([]byte(t.thumbprint), []byte(channel.CertificateThumbprint)) != 1 {
			return refuse(codeCertificate, "cnf.x5t#S256 is not the certificate of this connection")
		}
	case agency.Binding == broker.BindingCertificate || o.cfg.RequireCertificate:
		return refuse(codeCertificate, "the token must be bound to the client certificate: add cnf with x5t#S256")
	}
	return nil
}
