package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sort"
	"strings"
	"text/tabwriter"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/seal"
)

// answerView is what the table needs of an answer or a refusal.
type answerView struct {
	ID          string
	Title       string
	Household   map[string]any
	Persons     []map[string]any
	Granted     []broker.Released
	Withheld    []broker.Withheld
	Unavailable []broker.Unreached
	Obligations []string
}

// show prints a verified answer for a professional, in Dutch; labels and reasons come from the server's catalog.
func (a *asker) show(ctx context.Context, client *http.Client, out io.Writer, v seal.Verified) error {
	var view answerView
	if err := json.Unmarshal(v.Body, &view); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	words := &words{}
	if data, err := get(ctx, client, a.server+"/v1/catalog", "nl"); err == nil {
		_ = json.Unmarshal(data, &words.Catalog) // without it the table shows paths instead of labels
	}
	w := tabwriter.NewWriter(out, 2, 4, 2, ' ', 0)
	line := func(cells ...string) { _, _ = fmt.Fprintln(w, strings.Join(cells, "\t")) }
	section := func(title string) { _ = w.Flush(); _, _ = fmt.Fprintf(out, "\n%s\n", title) }

	if v.Kind == seal.Refusal {
		line(view.Title + " (geweigerd)")
	} else {
		line("Verstrekt")
	}
	if len(view.Granted) > 0 {
		missing := map[string]bool{}
		for _, u := range view.Unavailable {
			missing[string(u.Subject)+" "+string(u.Field)] = true
		}
		for _, g := range view.Granted {
			if missing[string(g.Subject)+" "+string(g.Field)] {
				continue
			}
			line("  "+subjectName(g.Subject), words.field(g.Field), view.value(g.Subject, g.Field), string(g.Field),
				words.text(words.Bases, string(g.Basis)))
		}
	}
	view.markers(section, line)
	if len(view.Withheld) > 0 {
		section("Niet verstrekt")
		for _, x := range view.Withheld {
			for _, r := range x.Reasons {
				line("  "+subjectName(x.Subject), words.field(x.Field), words.text(words.Reasons, string(r)), string(r))
			}
		}
	}
	if len(view.Unavailable) > 0 {
		section("Toegestaan, maar de bronhouder gaf nu geen antwoord; vraag het later opnieuw")
		for _, x := range view.Unavailable {
			line("  "+subjectName(x.Subject), words.field(x.Field), "bronhouder "+x.Holder)
		}
	}
	if len(view.Obligations) > 0 {
		section("Wat u moet doen")
		for _, o := range view.Obligations {
			line("  - " + words.text(words.Obligations, o))
		}
	}
	section("Bewijs")
	line("  handtekening", "klopt, sleutel "+v.KeyID)
	line("  vastgelegd als", v.Receipt.Hash.String())
	line("  antwoord", view.ID)
	return w.Flush()
}

// markers shows what came along with the registry's fields, such as secrecy.
func (v answerView) markers(section func(string), line func(...string)) {
	said := false
	for _, p := range v.Persons {
		persoon, _ := p["persoon"].(map[string]any)
		if persoon["geheimhoudingPersoonsgegevens"] == true {
			if !said {
				section("Let op")
				said = true
			}
			subject, _ := p["subject"].(string)
			line("  "+subjectName(broker.Subject(subject)), "geheimhouding: geef deze gegevens niet door aan derden")
		}
	}
}

func (v answerView) value(s broker.Subject, f broker.Field) string {
	obj := v.Household
	for _, p := range v.Persons {
		if p["subject"] == string(s) {
			obj = p
		}
	}
	var at any = obj
	for _, part := range strings.Split(string(f), ".") {
		m, ok := at.(map[string]any)
		if !ok {
			return "-"
		}
		at = m[part]
	}
	return plain(at)
}

// plain writes a value as people do.
func plain(v any) string {
	switch v := v.(type) {
	case nil:
		return "(geen gegeven)"
	case bool:
		if v {
			return "ja"
		}
		return "nee"
	case string:
		return v
	case float64:
		return strings.TrimSuffix(strings.Replace(fmt.Sprintf("%.2f", v), ".", ",", 1), ",00")
	case []any:
		parts := make([]string, 0, len(v))
		for _, item := range v {
			parts = append(parts, plain(item))
		}
		return strings.Join(parts, "; ")
	case map[string]any:
		for _, key := range []string{"langFormaat", "omschrijving", "datum"} {
			if s, ok := v[key].(string); ok {
				return s
			}
		}
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		parts := make([]string, 0, len(v))
		for _, k := range keys {
			if k != "type" {
				parts = append(parts, k+" "+plain(v[k]))
			}
		}
		return strings.Join(parts, ", ")
	}
	return fmt.Sprint(v)
}

func subjectName(s broker.Subject) string {
	if s == broker.Household {
		return "huishouden"
	}
	return "persoon " + strings.TrimPrefix(string(s), "p")
}

// words is the catalog, for its Dutch texts.
type words struct{ broker.Catalog }

func (w *words) field(path broker.Field) string {
	if f, ok := w.Field(path); ok && f.Label.NL != "" {
		return f.Label.NL
	}
	return string(path)
}

func (w *words) text(list []broker.Term, id string) string {
	for _, t := range list {
		if t.ID == id {
			return t.Text.NL
		}
	}
	return id
}
