package console

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/audit/search"
)

// Auditing is what the pages about the log work at. What a method gives about events was first recorded as a look of who
// asks, for a purpose and on a ground: its errors are those of Desk.Decision, and with any error nothing is given.
type Auditing interface {
	// Purposes lists for what somebody may ask a question of the log, as the policy in force has it; none where they may not.
	Purposes(ctx context.Context, by Person, of Question) ([]broker.Term, error)
	// Search finds disclosures, newest first; begin is 0, or the Next of the page before.
	Search(ctx context.Context, by Person, why Ground, q search.Query, begin uint64) (search.Found, error)
	// Event gives one disclosure.
	Event(ctx context.Context, by Person, why Ground, writer string, id audit.ID) (search.Hit, error)
	// Prove proves that an event is in the Merkle log. It tells of nobody, and needs no look.
	Prove(ctx context.Context, writer string, id audit.ID) (Proof, error)
	// Replay decides one event again. The event was looked at.
	Replay(ctx context.Context, writer string, id audit.ID) (audit.ReplayReport, error)
	// Case gives what happened to one case.
	Case(ctx context.Context, by Person, why Ground, id broker.CaseID) (CaseTimeline, error)
	// Looks ranks the looks of a window that nothing explains. It takes as long as reading the window, and a year before it; read
	// is told how many entries it read.
	Looks(ctx context.Context, by Person, why Ground, since, until time.Time, read func(entries int)) (LookList, error)
	// Review records what came of asking about a look: an outcome and, where it is not "", a note of Reviews.
	Review(ctx context.Context, by Person, why Ground, writer string, id audit.ID, outcome, note string) error
	// Reviews lists the outcomes and notes that there are.
	Reviews() (outcomes, notes []broker.Term)
	// Integrity tells how far the log is sealed. It tells of nobody, and needs no look.
	Integrity(ctx context.Context) (Integrity, error)
	// Verify verifies the whole log, and remembers what it found. Nor does it need a look.
	Verify(ctx context.Context, read func(entries int)) (Verification, error)
}

// ErrNoIndex tells that the log can't be searched yet.
var ErrNoIndex = mistake{"Het logboek kan nu even niet worden doorzocht: de zoekindex is nog niet open. Op de pagina Integriteit staat hoe het ermee is.",
	"The log can't be searched at the moment: the search index is not open yet. The page Integrity tells how it is."}

// Question is a kind of question of the log that begins on a page of its own, by the name that the policy has for it.
type Question string

// Closed list of Question.
const (
	QuestionSearch Question = "console zoeken"
	QuestionLooks  Question = "console inzagen"
)

// groundForm is the part of a form that asks for which purpose and on which ground.
type groundForm struct {
	Ground
	Purposes []choice
}

// groundForm refuses who may ask that question for no purpose.
func (k *Console) groundForm(c *call, g Ground, of Question) (groundForm, error) {
	list, err := k.cfg.Auditing.Purposes(c.r.Context(), *c.person, of)
	if err != nil {
		return groundForm{}, fmt.Errorf("read for what the log may be searched: %w", err)
	}
	if len(list) == 0 {
		return groundForm{}, errForbidden
	}
	return groundForm{g, c.terms(list, g.Purpose)}, nil
}

// Ground is for which purpose somebody looks at the log and on which ground.
type Ground struct{ Purpose, Ground string }

// groundKept is how long a purpose and a ground count for what a session looks at.
const groundKept = time.Hour

// purposeWord is what a purpose is: a word of a list that each organisation has of its own.
var purposeWord = regexp.MustCompile(`^[a-z][a-z-]{2,39}$`)

// What the session holds of a ground.
const (
	sessionPurpose = "look-purpose"
	sessionGround  = "look-ground"
	sessionGround0 = "look-since" // Unix seconds
)

// errNoGround sends a reader to say first what they look for.
var errNoGround = errors.New("no purpose and ground")

// ground gives the purpose and ground of this session; errNoGround where there are none, or none of the last hour.
func (c *call) ground() (Ground, error) {
	ctx := c.r.Context()
	since, err := strconv.ParseInt(c.session.GetString(ctx, sessionGround0), 10, 64)
	if err != nil || c.site.now().Sub(time.Unix(since, 0)) > groundKept {
		return Ground{}, errNoGround
	}
	return Ground{c.session.GetString(ctx, sessionPurpose), c.session.GetString(ctx, sessionGround)}, nil
}

// tellGround reads purpose and ground from a form, and keeps them for an hour.
func (c *call) tellGround() (Ground, error) {
	g := Ground{strings.TrimSpace(c.r.PostFormValue("doel")), strings.TrimSpace(c.r.PostFormValue("grond"))}
	if err := g.check(); err != nil {
		return g, err
	}
	ctx := c.r.Context()
	c.session.Put(ctx, sessionPurpose, g.Purpose)
	c.session.Put(ctx, sessionGround, g.Ground)
	c.session.Put(ctx, sessionGround0, strconv.FormatInt(c.site.now().Unix(), 10))
	return g, nil
}

func (g Ground) check() error {
	switch {
	case !purposeWord.MatchString(g.Purpose):
		return mistake{"Waarvoor kijkt u? Kies een doel.", "What do you look for? Choose a purpose."}
	case len(g.Ground) < 3 || len(g.Ground) > 400:
		return mistake{"Op welke grond kijkt u? Noem de wet en het kenmerk van uw dossier, in 3 tot 400 tekens.",
			"On which ground do you look? Name the law and your file's reference, in 3 to 400 characters."}
	}
	return nil
}

// looked does a look for the session, and turns what stands in the way into a page.
func looked[T any](c *call, look func(why Ground) (T, error)) (T, error) {
	var none T
	why, err := c.ground()
	if err != nil {
		c.notice("Zeg eerst waarvoor u kijkt en op welke grond.", "First say what you look for and on which ground.")
		return none, err
	}
	got, err := look(why)
	if errors.Is(err, ErrMayNotLook) {
		err = refusal{err}
	}
	return got, err
}

// shelf keeps what was looked at for the session that looked, so that a page can be gone back to. The oldest goes first.
type shelf struct {
	mu    sync.Mutex
	kept  map[string]shelved
	order []string
}

type shelved struct {
	what any
	at   time.Time
}

// Of a shelf: how much, and for how long.
const (
	shelfSize = 400
	shelfTime = time.Hour
)

func (s *shelf) put(key string, what any, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil {
		s.kept = map[string]shelved{}
	}
	for len(s.order) > 0 && (len(s.order) >= shelfSize || now.Sub(s.kept[s.order[0]].at) > shelfTime) {
		delete(s.kept, s.order[0])
		s.order = s.order[1:]
	}
	if _, there := s.kept[key]; !there {
		s.order = append(s.order, key)
	}
	s.kept[key] = shelved{what, now}
}

// shelfGet gives what is kept under a key, if it is of this kind.
func shelfGet[T any](s *shelf, key string, now time.Time) (T, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.kept[key]
	what, is := one.what.(T)
	return what, ok && is && now.Sub(one.at) <= shelfTime
}

// mine names something that was looked at: it is there for the session that did.
func (c *call) mine(id string) string { return c.formToken() + "/" + id }

// keepLook keeps what was looked at, and goes to its page.
func (k *Console) keepLook(c *call, path string, what any) {
	id := random()
	k.looked.put(c.mine(id), what, k.now())
	c.redirect(path + "/" + id)
}

// AgencyName names an agency as the register does.
func (k *Console) agencyName(oin broker.OIN) string {
	for _, a := range k.cfg.Desk.Agencies() {
		if a.OIN == oin {
			return a.Name
		}
	}
	return ""
}
