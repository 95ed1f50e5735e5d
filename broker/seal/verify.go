package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/keys"
)

// Evidence is what an asker keeps of an answer: the exact bytes of the body and the detached signature of the header
// Payload-Signature, or the one compact JWS.
type Evidence struct {
	Body      []byte
	Signature string
	Compact   string
}

// evidenceFile is how Evidence stands in a file. The body is a text with exactly the bytes of the answer.
type evidenceFile struct {
	Body      string `json:"body,omitempty"`
	Signature string `json:"signature,omitempty"`
	Compact   string `json:"compact,omitempty"`
}

// Encode gives the file: {"body":"…","signature":"…"} or {"compact":"…"}.
func (e Evidence) Encode() ([]byte, error) {
	if !utf8.Valid(e.Body) {
		return nil, errors.New("save evidence: the body is not UTF-8, so it is no answer of this service")
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(evidenceFile{string(e.Body), e.Signature, e.Compact})
	return b.Bytes(), err
}

// ReadEvidence reads an evidence file, or a bare compact JWS.
func ReadEvidence(data []byte) (Evidence, error) {
	bad := func(why string) (Evidence, error) { return Evidence{}, errors.New("read evidence: " + why) }
	data = bytes.TrimSpace(data)
	if len(data) == 0 || data[0] != '{' {
		switch bytes.Count(data, []byte(".")) {
		case 2:
			if bytes.Contains(data, []byte("..")) {
				return bad("this is a signature without its body; give the file that `schakel ask --save` wrote, or put both in one: {\"body\":…,\"signature\":…}")
			}
			return Evidence{Compact: string(data)}, nil
		case 4:
			return bad("the answer is encrypted; decrypt it first with the private encryption key of the agency")
		}
		return bad("neither an evidence file nor a compact JWS; give the file that `schakel ask --save` wrote")
	}
	if !utf8.Valid(data) {
		return bad("the file is not UTF-8")
	}
	obj, err := broker.ParseObject(data)
	if err != nil {
		return Evidence{}, fmt.Errorf("read evidence: %w", err)
	}
	for name, v := range obj {
		_, isText := v.(string)
		if !isText || (name != "body" && name != "signature" && name != "compact") {
			return bad("the file may have body, signature and compact, all texts, and nothing else; an answer's own body is no evidence without its signature")
		}
	}
	e := Evidence{[]byte(text(obj, "body")), text(obj, "signature"), text(obj, "compact")}
	switch {
	case e.Compact != "" && len(e.Body) == 0 && e.Signature == "":
		e.Body = nil
	case e.Compact == "" && len(e.Body) != 0 && e.Signature != "":
	default:
		return bad("the file must have body and signature, or compact")
	}
	return e, nil
}

// Decrypt opens a nested answer (JWE) with the agency's private encryption JWK and gives the compact JWS inside.
func Decrypt(jwe string, privateJWK []byte) (string, error) {
	inner, cty, err := keys.Decrypt(strings.TrimSpace(jwe), privateJWK)
	if err != nil {
		return "", err
	}
	if cty != nestedType {
		return "", errors.New("decrypt: the cty of the JWE is not JOSE: not an answer of this service")
	}
	return string(inner), nil
}

// Kind is what was signed.
type Kind string

// Closed list of Kind.
const (
	Answer  Kind = "answer"
	Refusal Kind = "refusal"
)

// Verified is an answer whose signature fits.
type Verified struct {
	Kind     Kind
	KeyID    string
	IssuedAt time.Time
	Receipt  broker.Receipt // what the log must contain
	Nonce    broker.Nonce   // opens the log's digests of request and answer: Nonce.Digest(Body)
	Body     []byte
}

// Verify checks evidence against the JWK set of the server (/.well-known/jwks.json, kept or fetched). It needs nothing
// else, so it can be done years later.
func Verify(e Evidence, jwks []byte) (Verified, error) {
	compact := e.Compact
	if compact == "" {
		var ok bool
		if compact, ok = attach(strings.TrimSpace(e.Signature), e.Body); !ok {
			return Verified{}, errors.New("verify: the signature is not a detached JWS (header..signature); give the header Payload-Signature as it came")
		}
	}
	p, key, err := check(compact, jwks, keys.Answers)
	if err != nil {
		return Verified{}, fmt.Errorf("verify: %w", err)
	}
	v := Verified{KeyID: key, Body: p.payload}
	switch text(p.header, "typ") {
	case AnswerType:
		v.Kind = Answer
	case RefusalType:
		v.Kind = Refusal
	default:
		return Verified{}, errors.New("verify: well signed, but neither an answer nor a refusal; was it a token or a head?")
	}
	var ok bool
	if v.IssuedAt, ok = moment(p.header["iat"]); !ok {
		return Verified{}, errors.New("verify: well signed, but without iat")
	}
	nonce, err := decode(text(p.header, "nonce"))
	if err != nil || len(nonce) != len(v.Nonce) {
		return Verified{}, errors.New("verify: well signed, but without a nonce of 128 bits")
	}
	copy(v.Nonce[:], nonce)
	receipt, _ := p.header["receipt"].(map[string]any)
	v.Receipt.Log = text(receipt, "log")
	if err := v.Receipt.Hash.UnmarshalText([]byte(text(receipt, "hash"))); err != nil || v.Receipt.Log == "" {
		return Verified{}, errors.New("verify: well signed, but without a receipt of the log")
	}
	return v, nil
}

// check finds the key of a compact JWS in a JWK set and checks the signature.
func check(compact string, jwks []byte, use keys.Use) (jws, string, error) {
	p, err := parse(compact)
	if err != nil {
		return jws{}, "", err
	}
	set, err := keys.ParseJWKS(jwks)
	if err != nil {
		return jws{}, "", err
	}
	kid := text(p.header, "kid")
	for _, k := range set {
		switch {
		case k.ID != kid || kid == "":
		case k.Use != "" && k.Use != use:
			return jws{}, "", fmt.Errorf("signed with a key for %s, which may not sign %s", k.Use, use)
		case text(p.header, "alg") != string(k.Algorithm):
			return jws{}, "", errors.New("alg does not fit the key: it was altered, or is not of this service")
		default:
			if _, err := k.Verify(compact); err != nil {
				return jws{}, "", errors.New("the signature does not fit: the body or the signature was altered after it was signed; get the original again")
			}
			return p, kid, nil
		}
	}
	return jws{}, "", errors.New("the key that signed is not in this key set; get the key set of the server that answered (/.well-known/jwks.json), it keeps retired keys too")
}
