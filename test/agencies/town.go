package agencies

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/source"
)

// Config says whom the stand-ins know and where they listen. The zero value generates persons and takes free ports on
// 127.0.0.1.
type Config struct {
	// People is who they know; the zero value stands for Generate(1).
	People Population
	// Host to listen on; "" is 127.0.0.1.
	Host string
	// Port of the first agency, the others follow in the order of Town.Agencies; 0 takes free ones.
	Port int
	// Advertise is the host in the addresses that Town.Agencies gives; "" is Host. A container has another name outside.
	Advertise string
	// Now is the clock that ages and dates are reckoned by; nil is the real one.
	Now func() time.Time
	// Log takes every question as a line of JSON, without its body, instead of Town.Log keeping all in memory.
	Log io.Writer
	// Patience is how long a Slow agency keeps a question; 0 is 10 s.
	Patience time.Duration
	// Mark, where it is set, gives the value of every field of every holder but the registry, instead of the holder's
	// own: a test marks what may not be found elsewhere. nil: the holder has none.
	Mark func(holder broker.AgencyKind, field broker.Field, kind source.Type, person broker.BSN) any
}

// Town is the stand-ins, running. Start one, Close it.
type Town struct {
	people   Population
	now      func() time.Time
	patience time.Duration
	mark     func(broker.AgencyKind, broker.Field, source.Type, broker.BSN) any
	agencies []Agency
	servers  []*http.Server
	closing  context.Context
	stop     context.CancelFunc
	wait     sync.WaitGroup

	mu        sync.Mutex
	log       []Entry
	record    *json.Encoder
	behaviour map[broker.OIN]Behaviour
}

// Entry is one question that reached an agency, answered or refused.
type Entry struct {
	Time      time.Time
	Holder    broker.OIN
	Kind      broker.AgencyKind
	Key       broker.KeyKind // what it was asked by; "" where the question had no key
	Fields    []string       // in the holder's own words
	Asked     []string       // likewise as catalog paths where the holder knows the word, for the registry as they are
	Subject   broker.BSN     // whom it was about, as far as the agency could find that out
	Client    string         // subject of the client certificate, or "api-key"
	RequestID string
	Trace     string // traceparent
	State     string // tracestate
	Status    int
	Path      string
	Body      []byte // the question as it came, for tests that look for what must not be in it
}

// Start starts every agency.
func Start(c Config) (*Town, error) {
	t := &Town{people: c.People, now: c.Now, patience: c.Patience, mark: c.Mark, behaviour: map[broker.OIN]Behaviour{}}
	if len(t.people.persons) == 0 {
		t.people = Generate(1)
	}
	if c.Log != nil {
		t.record = json.NewEncoder(c.Log)
	}
	if t.now == nil {
		t.now = time.Now
	}
	if t.patience == 0 {
		t.patience = 10 * time.Second
	}
	t.closing, t.stop = context.WithCancel(context.Background())
	host := c.Host
	if host == "" {
		host = "127.0.0.1"
	}
	for i, a := range register(t.people.Municipality()) {
		if a.Protocol == "" { // it asks, and holds nothing
			t.agencies = append(t.agencies, a)
			continue
		}
		port := 0
		if c.Port != 0 {
			port = c.Port + i
		}
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("start %s: %w", a.Kind, err), t.Close())
		}
		named := c.Advertise
		if named == "" {
			named = host
		}
		_, actual, _ := net.SplitHostPort(l.Addr().String())
		a.BaseURL = "http://" + net.JoinHostPort(named, actual) + a.path()
		t.agencies = append(t.agencies, a)
		s := &http.Server{Handler: t.handler(a), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second}
		t.servers = append(t.servers, s)
		t.wait.Go(func() { _ = s.Serve(l) }) // returns when Close closes it
	}
	return t, nil
}

// Close stops every agency and lets go of questions that a Slow one still holds.
func (t *Town) Close() error {
	t.stop()
	var errs []error
	for _, s := range t.servers {
		errs = append(errs, s.Close())
	}
	t.wait.Wait()
	return errors.Join(errs...)
}

// People gives who they know.
func (t *Town) People() Population { return t.people }

// Agencies gives every agency, those that only ask included.
func (t *Town) Agencies() []Agency { return slices.Clone(t.agencies) }

// Agency gives the one of a kind; the zero Agency where there is none.
func (t *Town) Agency(kind broker.AgencyKind) Agency {
	for _, a := range t.agencies {
		if a.Kind == kind {
			return a
		}
	}
	return Agency{}
}

// Log gives every question so far, oldest first.
func (t *Town) Log() []Entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.log)
}

// Forget empties the log.
func (t *Town) Forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.log = nil
}

// reply is what an agency would say, before its Behaviour has a say in it.
type reply struct {
	status      int
	contentType string
	body        map[string]any
}

const maxQuestion = 64 << 10

func (t *Town) handler(a Agency) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := Entry{Time: t.now(), Holder: a.OIN, Kind: a.Kind, RequestID: r.Header.Get("X-Request-Id"),
			Trace: r.Header.Get("Traceparent"), State: r.Header.Get("Tracestate"), Path: r.URL.RequestURI(), Client: "api-key"}
		if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
			e.Client = r.TLS.PeerCertificates[0].Subject.String()
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, maxQuestion+1))
		e.Body = body
		var out reply
		switch {
		case err != nil:
			return
		case r.Header.Get("X-API-KEY") != a.Header["X-API-KEY"]:
			e.Client = ""
			out = problem(http.StatusUnauthorized, "authentication", "Niet correct geauthenticeerd.")
		case r.URL.RequestURI() != a.questionPath():
			out = problem(http.StatusNotFound, "notFound", "Opgevraagde resource bestaat niet.")
		case r.Method != http.MethodPost:
			out = problem(http.StatusMethodNotAllowed, "methodNotAllowed", "Vraag met POST.")
		case len(body) > maxQuestion:
			out = problem(http.StatusRequestEntityTooLarge, "tooLarge", "Vraag is te groot.")
		case a.Protocol == ProtocolHaalCentraal:
			out = t.registry(body, &e)
		default:
			out = t.holder(a, body, &e)
		}
		e.Status = out.status
		t.mu.Lock()
		how := t.behaviour[a.OIN]
		if t.record == nil {
			t.log = append(t.log, e)
		} else {
			e.Body = nil
			_ = t.record.Encode(e) // a log of a try-out that can't be written must not change what the agency does
		}
		t.mu.Unlock()
		if how == OtherHousehold && out.status == http.StatusOK {
			out = t.aboutAnother(a, body, e)
		}
		t.behave(how, w, r, out)
	})
}

func problem(status int, code, detail string) reply {
	return reply{status, "application/problem+json", map[string]any{"status": status, "code": code, "title": http.StatusText(status), "detail": detail}}
}

func (r reply) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", r.contentType)
	w.WriteHeader(r.status)
	_, _ = w.Write(r.bytes())
}

// bytes encodes a reply; everything in it is of our own making.
func (r reply) bytes() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(r.body); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func texts(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, item := range list {
		if s, ok := item.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
