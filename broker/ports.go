package broker

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"time"
)

// The interfaces through which Disclose reaches the world. Each is declared here, where it is used; each says what its
// errors mean.

// Opener verifies a token, and the proof that it came with its key. Every error is an *Error of KindUnauthenticated, or of
// KindBusy for an agency that sends more proofs than can be remembered.
type Opener interface {
	Open(ctx context.Context, token string, channel Channel) (Caller, error)
}

// Channel is what is known of the connection a token came over.
type Channel struct {
	// CertificateThumbprint is the base64url SHA-256 of the client certificate (cnf.x5t#S256, RFC 8705), "" without.
	CertificateThumbprint string
	// DPoP tells that the token came under the scheme DPoP (RFC 9449) and not as a bearer token. Proof is the header DPoP,
	// "" without. Method and URL are those of the request, which a proof must be about: the URL as clients know it,
	// without query.
	DPoP               bool
	Proof, Method, URL string
}

// Caller is who asks: an agency, on behalf of its worker in a role.
type Caller struct {
	Agency OIN
	Worker WorkerID
	Role   Role
	Key    string // kid of the agency's key that signed the token
}

// Register knows the facts, in memory. Facts fails with an *Error of KindUnavailable when its view may be behind.
type Register interface {
	Agency(oin OIN) (Agency, bool)
	Revision() (Revision, bool)
	Facts(ctx context.Context, r Request) (Facts, error)
}

// Decider answers queries with one policy revision. It fails with an *Error of KindUnavailable when it does not have
// that revision, and of KindInternal for an undefined or malformed result: never a quiet refusal. Every field of the
// query is in exactly one of grants and refusals of what it returns; nothing is granted where the relation is none.
type Decider interface {
	Catalog(r Revision) (*Catalog, error)
	Decide(ctx context.Context, r Revision, q Query) (Decision, error)
	// Engine names the policy engine and its version, as recorded with each decision.
	Engine() string
}

// Sources finds the way to a holder. ok is false for a holder that is not configured.
type Sources interface {
	Source(holder OIN) (s Source, ok bool)
}

// Source asks one holder about one data subject.
type Source interface {
	// Key says what this holder is asked by.
	Key() KeyKind
	// Fetch asks for a.Fields and nothing more, by a.BSN or a.Identity as Key says. A field the holder has no value
	// for is absent from Record.Values. A record of another person than asked for MUST be an error. The error holds
	// no personal value; it makes the asked fields unavailable and never fails the rest.
	Fetch(ctx context.Context, a Ask) (Record, error)
}

// KeyKind is what a holder is asked by.
type KeyKind string

// Closed list of KeyKind.
const (
	KeyBSN      KeyKind = "bsn"
	KeyIdentity KeyKind = "identity" // name, birth date and address, for holders without a BSN ground
	KeyNone     KeyKind = "none"     // Schakel's own register
)

// Ask is one question to one holder. One of BSN and Identity is set.
type Ask struct {
	BSN       BSN
	Identity  *Identity
	Fields    []Field
	RequestID RequestID
	Trace     Trace
}

// Identity is how a person is known to a holder without a BSN ground.
type Identity struct {
	GivenNames  string `json:"voornamen,omitempty"`
	Prefix      string `json:"voorvoegsel,omitempty"`
	FamilyName  string `json:"geslachtsnaam"`
	Birth       Date   `json:"geboortedatum"`
	AddressLine string `json:"adresregel1"`
	PlaceLine   string `json:"adresregel2,omitempty"`
}

// Record is what a holder answered about one data subject. Values are JSON values as encoding/json decodes them into
// any with UseNumber: string, bool, json.Number, nil, []any, map[string]any.
type Record struct {
	Values     map[Field]any
	Companions map[Field]any
	// Stricter facts seen in the answer; zero values say nothing.
	Restricted bool
	Birth      Date
	Deceased   bool
}

// Trace is the W3C trace context of the request.
type Trace struct {
	Parent string // traceparent to pass on: our span as parent
	State  string // tracestate as received
}

// Journal makes events durable.
type Journal interface {
	// Append returns after e is durable, exactly once. ErrStale: nothing was appended since the facts of e no longer
	// hold. Any other error is an *Error of KindUnavailable and MUST be taken as unknown: no answer may leave.
	Append(ctx context.Context, e Event) (Receipt, error)
}

// Receipt proves to the recipient what the log must contain.
type Receipt struct {
	Log  string `json:"log"`  // the log's random id, from its genesis event
	Hash Hash   `json:"hash"` // of the event's stored bytes
}

// Sealer signs answers.
type Sealer interface {
	Seal(ctx context.Context, s Sealing) (Envelope, error)
}

// Sealing is what a signature is made over and says.
type Sealing struct {
	Body          []byte
	Refusal       bool // the body is a problem document, not an answer
	Receipt       Receipt
	Nonce         Nonce
	IssuedAt      time.Time
	Compact       bool            // the asker wants application/jose
	EncryptionKey json.RawMessage // public JWK of the asker: a compact answer is nested in a JWE for it
}

// Envelope is what leaves.
type Envelope struct {
	ID        RequestID
	Refusal   bool
	Body      []byte
	Signature string // detached compact JWS over Body; "" when Compact
	Compact   bool   // Body is a compact JWS or JWE (application/jose)
	Summary   Summary
}

// Summary is what the one log line of a request may say: counts and words from closed lists.
type Summary struct {
	Role                           Role
	Purpose                        Purpose
	Granted, Withheld, Unavailable int
	Asked                          int // questions put to holders
	Tries                          int // decisions made; more than one when facts changed on the way
}

// Nonce makes digests of small inputs unguessable. It goes into the protected header of the answer and never into
// the event.
type Nonce [16]byte

// Digest is SHA-256(nonce ‖ data): a bare digest of a request would reveal a BSN to whoever tries them all.
func (n Nonce) Digest(data []byte) Hash {
	h := sha256.New()
	h.Write(n[:])
	h.Write(data)
	return Hash(h.Sum(nil))
}
