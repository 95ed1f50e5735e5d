package broker

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strconv"
	"time"
)

// Config is what a Broker is made of. All fields but Admit, Pseudonym and SourceTimeout are required.
type Config struct {
	Opener   Opener
	Register Register
	Decider  Decider
	Sources  Sources
	Journal  Journal
	Sealer   Sealer

	Now   func() time.Time
	NewID func() RequestID // a UUIDv7
	Rand  io.Reader        // cryptographic: nonces and the order of persons

	// Pseudonym stands for a person towards one recipient (form pseudonym). Without it that form is unavailable.
	Pseudonym func(OIN, BSN) string
	// Admit tells whether an agency may ask now (its token bucket). nil admits all.
	Admit func(OIN) bool
	// SourceTimeout bounds each of the two rounds of questions to holders. Default 3 s.
	SourceTimeout time.Duration
}

// Broker answers requests. Its methods may be called concurrently.
type Broker struct{ cfg Config }

// New makes a Broker. A missing part is an error that names it.
func New(c Config) (*Broker, error) {
	for name, missing := range map[string]bool{
		"Opener": c.Opener == nil, "Register": c.Register == nil, "Decider": c.Decider == nil, "Sources": c.Sources == nil,
		"Journal": c.Journal == nil, "Sealer": c.Sealer == nil, "Now": c.Now == nil, "NewID": c.NewID == nil, "Rand": c.Rand == nil,
	} {
		if missing {
			return nil, fmt.Errorf("new broker: %s is missing", name)
		}
	}
	if c.SourceTimeout == 0 {
		c.SourceTimeout = 3 * time.Second
	}
	return &Broker{c}, nil
}

// Call is one request as it came in.
type Call struct {
	Token          string
	Channel        Channel
	Body           []byte
	Language       string // nl or en
	Compact        bool   // application/jose was asked for
	IdempotencyKey string // "" without
	TraceID        string // of the request's W3C trace context, 32 hex digits
	SpanID         string // our own span, 16 hex digits
	Trace          Trace
}

// recordTimeout bounds what is done after the last holder answered. The journal has a limit of its own, far below.
const recordTimeout = 5 * time.Second

// maxTries bounds how often changed facts send a request back to the decision.
const maxTries = 3

// Disclose answers one request. What it returns was recorded durably before. Every error is an *Error; with an error
// nothing leaves but a problem without data. A refusal is no error but an Envelope.
func (b *Broker) Disclose(ctx context.Context, call Call) (Envelope, error) {
	caller, err := b.cfg.Opener.Open(ctx, call.Token, call.Channel)
	if err != nil {
		return Envelope{}, portError(err)
	}
	request, facts, catalog, err := b.read(ctx, caller, call)
	if err != nil {
		return Envelope{}, portError(err)
	}
	u := newRuling(request, catalog, facts)
	u.trace = call.Trace
	if err := u.shuffle(b.cfg.Rand); err != nil {
		return Envelope{}, portError(err)
	}
	if err := u.decide(ctx, b.cfg.Decider, b.cfg.Now(), first); err != nil {
		return Envelope{}, portError(err)
	}
	// A holder that is asked learns something. That is recorded, also when the asker does not wait for the answer.
	kept, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*b.cfg.SourceTimeout+recordTimeout)
	defer cancel()
	got, err := b.fetch(ctx, kept, u)
	if err != nil {
		return Envelope{}, portError(err)
	}
	for range maxTries {
		envelope, err := b.record(kept, call, u, got)
		if !errors.Is(err, ErrStale) {
			return envelope, portError(err)
		}
		if facts, err = b.cfg.Register.Facts(kept, request); err != nil {
			return Envelope{}, portError(err)
		}
		if catalog, err = b.cfg.Decider.Catalog(facts.Revision); err != nil {
			return Envelope{}, portError(err)
		}
		u.refresh(facts, catalog)
		if err := u.decide(kept, b.cfg.Decider, b.cfg.Now(), stale); err != nil {
			return Envelope{}, portError(err)
		}
		u.withdrawn(got)
		u.compose(got, b.cfg.Now())
	}
	return Envelope{}, Fail(KindUnavailable, "facts-keep-changing", nil)
}

// read checks the request against the catalog of the revision in force, and takes the facts. Where another revision was
// activated in between, its catalog reads the request again: one revision both reads and decides.
func (b *Broker) read(ctx context.Context, caller Caller, call Call) (r Request, f Facts, c *Catalog, err error) {
	if b.cfg.Admit != nil && !b.cfg.Admit(caller.Agency) {
		return r, f, nil, Fail(KindBusy, "too-many-requests", nil)
	}
	c, revision, err := b.Catalog()
	if err != nil {
		return r, f, nil, err
	}
	id := b.cfg.NewID()
	agency, _ := b.cfg.Register.Agency(caller.Agency)
	parse := func() error {
		r, err = ReadRequest(call.Body, caller, c, c.MayHaveBSN(agency.Kind, agency.Mandates))
		r.ID = id
		return err
	}
	if err = parse(); err != nil {
		return r, f, nil, err
	}
	if f, err = b.cfg.Register.Facts(ctx, r); err != nil || f.Revision == revision {
		return r, f, c, err
	}
	if c, err = b.cfg.Decider.Catalog(f.Revision); err == nil {
		err = parse()
	}
	return r, f, c, err
}

// Catalog gives the catalog of the revision in force.
func (b *Broker) Catalog() (*Catalog, Revision, error) {
	revision, ok := b.cfg.Register.Revision()
	if !ok {
		return nil, "", Fail(KindUnavailable, "no-policy", nil)
	}
	catalog, err := b.cfg.Decider.Catalog(revision)
	return catalog, revision, err
}

// record turns a ruling and what was fetched into the answer, makes its event durable, and seals it: in that order.
func (b *Broker) record(ctx context.Context, call Call, u *ruling, got *fetched) (Envelope, error) {
	refusing := u.refusing()
	if refusing {
		for _, s := range u.subjects {
			clear(s.grants)
		}
	}
	u.name()
	release := Minimise(u.catalog, b.slices(u, got), b.cfg.Now())
	heading := Heading{ID: u.request.ID, IssuedAt: b.cfg.Now(), Recipient: u.request.Agency, Purpose: u.request.Purpose,
		Revision: u.facts.Revision, Obligations: u.obligations(), Language: call.Language}
	encode := Encode
	if refusing {
		encode = EncodeRefusal
	}
	body, err := encode(heading, release)
	if err != nil {
		return Envelope{}, err
	}
	var nonce Nonce
	if _, err := io.ReadFull(b.cfg.Rand, nonce[:]); err != nil {
		return Envelope{}, fmt.Errorf("draw nonce: %w", err)
	}
	event := u.event(call, got, release, b.cfg.Decider.Engine())
	event.Common.Refused = refusing
	event.Common.Request, event.Common.Answer = nonce.Digest(call.Body), nonce.Digest(body)
	receipt, err := b.cfg.Journal.Append(ctx, event)
	if err != nil {
		return Envelope{}, err
	}
	envelope, err := b.cfg.Sealer.Seal(ctx, Sealing{Body: body, Refusal: refusing, Receipt: receipt, Nonce: nonce,
		IssuedAt: heading.IssuedAt, Compact: call.Compact, EncryptionKey: u.facts.Agency.EncryptionKey})
	if err != nil {
		return Envelope{}, err
	}
	envelope.ID, envelope.Refusal = u.request.ID, refusing
	envelope.Summary = Summary{Role: u.request.Role, Purpose: u.request.Purpose, Granted: len(release.granted),
		Withheld: len(release.withheld), Unavailable: len(release.unavailable), Asked: len(got.asked), Tries: u.rounds}
	return envelope, nil
}

func (b *Broker) slices(u *ruling, got *fetched) []Slice {
	var out []Slice
	for _, s := range u.subjects {
		if len(s.fields) == 0 {
			continue
		}
		sl := Slice{Subject: s.ref, Fields: s.fields, Grants: s.grants, Refused: s.refused,
			Missing: got.missing[s], Holders: got.from[s]}
		if rec := got.records[s]; rec != nil {
			sl.Record = *rec
		}
		if s.bsn != "" && b.cfg.Pseudonym != nil {
			sl.Pseudonym = b.cfg.Pseudonym(u.request.Agency, s.bsn)
		}
		out = append(out, sl)
	}
	return out
}

// obligations of the decisions that left something granted.
func (u *ruling) obligations() []Obligation {
	var out []Obligation
	for _, s := range u.subjects {
		if len(s.grants) > 0 {
			out = append(out, s.obligations...)
		}
	}
	return set(out)
}

// shuffle puts the persons in random order, before anything is decided, asked or recorded in that order: the order of
// the register would tell who is the parent.
func (u *ruling) shuffle(random io.Reader) error {
	persons := u.subjects[1:]
	for i := len(persons) - 1; i > 0; i-- {
		j, err := rand.Int(random, big.NewInt(int64(i+1)))
		if err != nil {
			return fmt.Errorf("shuffle persons: %w", err)
		}
		persons[i], persons[j.Int64()] = persons[j.Int64()], persons[i]
	}
	return nil
}

// name gives the persons p1, p2, …, those with a grant first: a gap in the numbers would tell of a person left out.
func (u *ruling) name() {
	persons := u.subjects[1:]
	slices.SortStableFunc(persons, func(a, b *subject) int {
		return cmp.Compare(min(1, len(b.grants)), min(1, len(a.grants)))
	})
	for i, s := range persons {
		s.ref = Subject("p" + strconv.Itoa(i+1))
	}
}
