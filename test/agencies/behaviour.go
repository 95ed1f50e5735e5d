package agencies

import (
	"net/http"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
)

// Behaviour is how an agency treats the questions it gets.
type Behaviour string

// Behaviours. The zero value is honest.
const (
	Honest      Behaviour = ""
	Down        Behaviour = "down"         // breaks the connection
	Failing     Behaviour = "failing"      // 500
	Slow        Behaviour = "slow"         // keeps the question for Config.Patience
	Redirect    Behaviour = "redirect"     // sends the asker elsewhere, with the question
	Garbage     Behaviour = "garbage"      // not JSON
	Twice       Behaviour = "twice"        // a key stands twice
	Huge        Behaviour = "huge"         // two megabytes
	OtherPerson Behaviour = "other-person" // says that the answer is about someone else
	TwoPersons  Behaviour = "two-persons"  // answers about two persons (registry); elsewhere as OtherPerson
	WrongType   Behaviour = "wrong-type"   // a list where a value should stand
	Extra       Behaviour = "extra"        // adds what was not asked, a diagnosis and a BSN among it

	Endless        Behaviour = "endless"         // a hundred megabytes
	Bomb           Behaviour = "bomb"            // a hundred megabytes, zipped
	Drip           Behaviour = "drip"            // a few bytes at a time, without end
	RedirectLoop   Behaviour = "redirect-loop"   // sends the asker back to itself, with the question
	WrongContent   Behaviour = "wrong-content"   // a good answer that is called a web page
	Reset          Behaviour = "reset"           // half a good answer, then the connection is reset
	OtherHousehold Behaviour = "other-household" // a good answer to another question: about someone of another household
)

// ExtraValue stands in every value that an Extra agency adds, so that a test can look for it anywhere.
const ExtraValue = "NIET-GEVRAAGD"

// Set changes how an agency behaves from the next question on.
func (t *Town) Set(holder broker.OIN, b Behaviour) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.behaviour[holder] = b
}

func (t *Town) behave(how Behaviour, w http.ResponseWriter, r *http.Request, out reply) {
	persons, registry := out.body["personen"].([]any)
	switch how {
	case Endless, Bomb, Drip, RedirectLoop, WrongContent, Reset:
		t.lie(how, w, r, out)
		return
	case Down:
		if hj, ok := w.(http.Hijacker); ok {
			if conn, _, err := hj.Hijack(); err == nil {
				_ = conn.Close()
			}
		}
		return
	case Failing:
		out = problem(http.StatusInternalServerError, "serverError", "Interne server fout.")
	case Slow:
		select {
		case <-time.After(t.patience):
		case <-r.Context().Done():
			return
		case <-t.closing.Done():
			return
		}
	case Redirect:
		http.Redirect(w, r, "/elders", http.StatusTemporaryRedirect)
		return
	case Garbage:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"personen": [{"naam": <html>`))
		return
	case Twice:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"x":1,` + strings.TrimPrefix(strings.Replace(string(out.bytes()), "{", "{\"x\":2,", 1), "{")))
		return
	case Huge:
		out.body["vulling"] = strings.Repeat("x", 2<<20)
	case OtherPerson, TwoPersons:
		other := map[string]any{"burgerservicenummer": "999990019", "bsn": "999990019"}
		switch {
		case registry && how == TwoPersons:
			out.body["personen"] = append(persons, other)
		case registry:
			for _, p := range persons {
				p.(map[string]any)["burgerservicenummer"] = other["burgerservicenummer"]
			}
		default:
			out.body["bsn"] = other["bsn"]
		}
	case WrongType:
		spoil(out.body)
	case Extra:
		extra := map[string]any{"diagnose": ExtraValue, "kinderen": []any{map[string]any{"naam": ExtraValue}}, "partners": []any{ExtraValue}}
		for k, v := range extra {
			out.body[k] = v
		}
		for _, p := range persons {
			for k, v := range extra {
				p.(map[string]any)[k] = v
			}
		}
	}
	out.write(w)
}

// spoil puts a list in the place of every single value but those that say what the answer is.
func spoil(obj map[string]any) {
	for k, v := range obj {
		switch v := v.(type) {
		case map[string]any:
			spoil(v)
		case []any:
			for _, item := range v {
				if o, ok := item.(map[string]any); ok {
					spoil(o)
				}
			}
		default:
			if k != "type" && k != "status" && k != "burgerservicenummer" && k != "bsn" && k != "geslachtsnaam" && k != "geboortedatum" {
				obj[k] = []any{v}
			}
		}
	}
}
