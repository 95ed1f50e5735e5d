package console

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/audit/search"
)

// ErrNotSealed tells that no checkpoint covers an event yet.
var ErrNotSealed = errors.New("no checkpoint covers this event yet")

// Proof proves that an event is in the Merkle log, by a checkpoint whose signatures were verified (RFC 6962, C2SP tlog-proof).
type Proof struct {
	File      []byte        // for `schakel verify`
	Keys      []string      // verifier keys of the log, for the same
	Leaf      []byte        // what was hashed: writer, id and hash of the event
	Index     uint64        // of the leaf, from 0
	Size      uint64        // leaves in the tree
	Hashes    []broker.Hash // from the leaf to the root
	Root      broker.Hash   // as the checkpoint says it
	Origin    string        // the log's name
	Witnesses []string      // that cosigned
}

// ProofStep is one hash on the way from a leaf to the root.
type ProofStep struct {
	Left bool        // the other hash comes first
	With broker.Hash // the other hash
	Gives,
	From broker.Hash
}

// Steps walks from the leaf to the root, as RFC 6962 (2.1.1) says; holds tells whether it ends at the checkpoint's root.
func (p Proof) Steps() (steps []ProofStep, leaf broker.Hash, holds bool) {
	leaf = sha256.Sum256(append([]byte{0}, p.Leaf...))
	at, last, hash := p.Index, p.Size-1, leaf
	if p.Index >= p.Size {
		return nil, leaf, false
	}
	for _, with := range p.Hashes {
		if last == 0 {
			return steps, leaf, false
		}
		s := ProofStep{With: with, From: hash, Left: at%2 == 1 || at == last}
		if s.Left {
			hash = sha256.Sum256(append(append([]byte{1}, with[:]...), hash[:]...))
			for at%2 == 0 && at != 0 { // no right neighbour at these levels
				at, last = at/2, last/2
			}
		} else {
			hash = sha256.Sum256(append(append([]byte{1}, hash[:]...), with[:]...))
		}
		at, last = at/2, last/2
		s.Gives = hash
		steps = append(steps, s)
	}
	return steps, leaf, last == 0 && hash == p.Root
}

// lookedEvent is an event that this session looked at, and what was found out of it since.
type lookedEvent struct {
	logRow
	Words    *broker.Catalog // of the revision that decided; empty where that is not kept
	Proof    *Proof
	Unproved error
	Replay   *audit.ReplayReport
}

// eventView is the page of one event.
type eventView struct {
	lookedEvent
	Key   string // that this session has the event under
	Asked []askedPart
	Work  stepState // of the explanation
	At    string    // its address, while it is being found out
	Parts []whyPart
	Steps []ProofStep
	Leaf  broker.Hash
	Holds bool
	NoWhy bool // the revision is not kept
}

// askedPart is one query with its decision.
type askedPart struct {
	About           string
	Fields          []askedField
	Query, Decision string
	Revision        broker.Revision
}

type askedField struct {
	broker.Field
	Given   *broker.Grant
	Reasons []broker.Reason
}

var writerName = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

// openEvent opens one event. That somebody looks at it is recorded first.
func (k *Console) openEvent(c *call) error {
	writer := c.r.PostFormValue("schrijver")
	var id audit.ID
	if !writerName.MatchString(writer) || id.UnmarshalText([]byte(c.r.PostFormValue("nummer"))) != nil {
		return errNotFound
	}
	hit, err := looked(c, func(why Ground) (search.Hit, error) {
		return k.cfg.Auditing.Event(c.r.Context(), *c.person, why, writer, id)
	})
	if errors.Is(err, ErrNoDecision) {
		return mistake{"Deze gebeurtenis staat niet in het logboek van deze Schakel.", "This event is not in the log of this Schakel."}
	}
	if err != nil {
		return err
	}
	key, e := random(), lookedEvent{logRow: k.logRow(hit), Words: &broker.Catalog{}}
	switch a, err := k.answeredBy(c, hit); {
	case err == nil && len(a.parts) > 0:
		if e.Words, err = k.cfg.Desk.Catalog(a.parts[0].files); err != nil {
			return err
		}
		k.questions.start(c.whyKey(key), false, []step{{askWhy, a.explain}})
	case err != nil && !errors.Is(err, errNotFound):
		return err
	}
	k.looked.put(c.mine(key), e, k.now())
	c.redirect("/logboek/gebeurtenis/" + key)
	return nil
}

// answeredBy is what an explanation of an event needs; errNotFound where a revision is not kept.
func (k *Console) answeredBy(c *call, h search.Hit) (*answered, error) {
	a := &answered{decision: &Decision{Event: h.Writer + " " + h.ID.String(), Time: h.Time}}
	for _, s := range h.Subjects {
		for _, n := range s.Queries {
			p := answeredPart{DecisionPart: DecisionPart{Subject: s.Subject, Lookup: s.Lookup, Revision: h.Revisions[n]}}
			if err := json.Unmarshal(h.Queries[n], &p.Query); err != nil {
				return nil, fmt.Errorf("read recorded query: %w", err)
			}
			var err error
			if p.files, p.draft, err = k.policyOf(c.r.Context(), p.Revision); err != nil {
				return nil, err
			}
			a.parts = append(a.parts, p)
		}
	}
	return a, nil
}

// lookedAt finds an event that this session looked at.
func (k *Console) lookedAt(c *call) (lookedEvent, string, error) {
	id := c.params.ByName("id")
	e, ok := shelfGet[lookedEvent](&k.looked, c.mine(id), k.now())
	if !ok {
		return e, id, errNotFound
	}
	return e, id, nil
}

func (k *Console) serveEvent(c *call) error {
	e, id, err := k.lookedAt(c)
	if err != nil {
		return err
	}
	v := eventView{lookedEvent: e, Key: id, Asked: c.asked(e.Hit)}
	if j := k.questions.get(c.whyKey(id)); j != nil {
		s, _ := j.now()
		v.Work = s.result(askWhy)
		if !s.Done {
			v.At = "/waarom/" + id
		}
		if a, _ := v.Work.Result.(*answered); a != nil && v.Work.Err == nil {
			for _, p := range a.parts {
				part, err := k.shown(c, p, c.about(p.DecisionPart))
				if err != nil {
					return err
				}
				v.Parts = append(v.Parts, part)
			}
		}
	} else {
		v.NoWhy = true
	}
	if e.Proof != nil {
		v.Steps, v.Leaf, v.Holds = e.Proof.Steps()
	}
	return c.render(http.StatusOK, "logevent", c.say("Gebeurtenis", "Event"), v, link{"/logboek", c.say("Logboek", "Log"), false})
}

// asked lists the queries of an event with what was decided.
func (c *call) asked(h search.Hit) (out []askedPart) {
	for _, s := range h.Subjects {
		for _, n := range s.Queries {
			part := askedPart{About: c.about(DecisionPart{Subject: s.Subject, Lookup: s.Lookup}), Query: string(h.Queries[n]), Decision: string(h.Decisions[n]), Revision: h.Revisions[n]}
			var d broker.Decision
			if json.Unmarshal(h.Decisions[n], &d) == nil {
				for _, f := range slices.Sorted(maps.Keys(d.Grants)) {
					g := d.Grants[f]
					part.Fields = append(part.Fields, askedField{f, &g, nil})
				}
				for _, f := range slices.Sorted(maps.Keys(d.Refusals)) {
					part.Fields = append(part.Fields, askedField{f, nil, d.Refusals[f]})
				}
				slices.SortFunc(part.Fields, func(a, b askedField) int { return cmp.Compare(a.Field, b.Field) })
			}
			out = append(out, part)
		}
	}
	return out
}

// proveEvent proves that the event is in the Merkle log.
func (k *Console) proveEvent(c *call) error {
	e, id, err := k.lookedAt(c)
	if err != nil {
		return err
	}
	p, err := k.cfg.Auditing.Prove(c.r.Context(), e.Writer, e.ID)
	if e.Proof, e.Unproved = &p, err; err != nil {
		e.Proof = nil
	}
	k.looked.put(c.mine(id), e, k.now())
	c.redirect("/logboek/gebeurtenis/" + id + "#bewijs")
	return nil
}

// serveEventProof gives the proof as a file.
func (k *Console) serveEventProof(c *call) error {
	e, _, err := k.lookedAt(c)
	if err != nil || e.Proof == nil {
		return errNotFound
	}
	c.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	c.w.Header().Set("Content-Disposition", `attachment; filename="`+e.Writer+"-"+e.ID.String()+`.tlog-proof"`)
	_, _ = c.w.Write(e.Proof.File) // the reader is gone: nobody to tell
	return nil
}

// replayEvent decides the event again, with the revision that decided it.
func (k *Console) replayEvent(c *call) error {
	e, id, err := k.lookedAt(c)
	if err != nil {
		return err
	}
	r, err := k.cfg.Auditing.Replay(c.r.Context(), e.Writer, e.ID)
	if err != nil {
		return err
	}
	e.Replay = &r
	k.looked.put(c.mine(id), e, k.now())
	c.redirect("/logboek/gebeurtenis/" + id + "#opnieuw")
	return nil
}

// B64 writes bytes for a script.
func (c *call) B64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// Unproved says why there is no proof.
func (c *call) Unproved(err error) string {
	if errors.Is(err, ErrNotSealed) {
		return c.say("Er is nog geen controlepunt dat deze gebeurtenis dekt; wacht een seconde. Blijft het zo, kijk dan op de pagina Integriteit.",
			"No checkpoint covers this event yet; wait a second. If it stays so, see the page Integrity.")
	}
	return err.Error()
}
