package workbench

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
)

// Text gives the report as a page, Dutch first.
func (r ImpactReport) Text() string {
	var b strings.Builder
	both := func(nl, en string, args ...any) { fmt.Fprintf(&b, nl+"\n"+en+"\n", append(args, args...)...) }
	fmt.Fprintf(&b, "# Gevolgen van het voorstel – Impact of the draft\n\nvan – from: %s\nnaar – to: %s\nverzoeken – requests: %s – %s\n\n",
		r.Base, r.Draft, day(r.Since), day(r.Until))
	both("%d van %d verzoeken opnieuw besloten: %d besluiten, %d verschillende vragen.",
		"%d of %d requests decided again: %d decisions, %d different queries.", r.Replayed, r.Requests, r.Decisions, r.Queries)
	for _, n := range r.NotReplayed {
		both("Niet opnieuw besloten: %d.", "Not decided again: %d.", n.Requests)
		fmt.Fprintf(&b, "  %s\n  %s\n  %s\n", n.Reason.NL, n.Reason.EN, strings.Join(n.Events, ", "))
	}
	if r.Otherwise > 0 {
		both("%d verzoeken zijn indertijd door een andere revisie besloten dan deze twee; hier tellen de besluiten van deze twee.",
			"%d requests were decided by another revision than these two then; what these two decide counts here.", r.Otherwise)
	}
	if r.Unlike > 0 {
		both("LET OP: %d verzoeken zijn indertijd door dezelfde revisie anders besloten dan nu. Dat mag niet voorkomen; meld het.",
			"MIND: %d requests were decided otherwise then than now by the same revision. That must not happen; report it.", r.Unlike)
	}
	if r.Closed > 0 {
		both("Van %d verzoeken is niet te lezen wie ze deed; hun organisaties en zaken zijn niet meegeteld. Is de sleutelbos erbij?",
			"Of %d requests it can't be read who made them; their agencies and cases are not counted. Is the key ring at hand?", r.Closed)
	}
	fmt.Fprintf(&b, "\nVerzoeken die iets krijgen of verliezen – Requests that gain or lose something: %s\n"+
		"Alleen een andere grondslag, reden of plicht – Only another basis, reason or obligation: %s\n", r.Changed.short(), r.Quietly.short())
	if len(r.Changes) > 0 {
		b.WriteString("\n| veld – field | klasse – class | van – from | naar – to | verzoeken – requests | organisaties – agencies | zaken – cases | rollen – roles |\n|---|---|---|---|---|---|---|---|\n")
		for _, c := range r.Changes {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", c.Field, c.Class, form(c.From), form(c.To),
				c.Requests.short(), c.Agencies.short(), c.Cases.short(), list(c.Roles))
		}
	}
	both("\nDit vergelijkt besluiten. Wat werkelijk is gegeven, kan minder zijn: een houder had niets of gaf geen antwoord.",
		"This compares decisions. What was really given can be less: a holder had nothing or gave no answer.")
	both("Aantallen onder %d staan er niet bij: een zeldzame combinatie kan één gezin zijn.",
		"Numbers under %d are not shown: a rare combination can be one family.", Fewest)
	return b.String()
}

func form(f broker.Form) string { return cmp.Or(string(f), "geweigerd – refused") }

// short gives the number for a table.
func (c Count) short() string {
	if c == Few {
		return fmt.Sprintf("<%d", Fewest)
	}
	return c.Text().EN
}

func day(t time.Time) string {
	if t.IsZero() {
		return "…"
	}
	return t.UTC().Format("2006-01-02 15:04")
}
