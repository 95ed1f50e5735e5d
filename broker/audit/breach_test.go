package audit

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// lossyVault has lost the keys of the staff parts of some events.
type lossyVault struct {
	Opener
	lost func(part keys.Part) bool
}

func (v lossyVault) OpenAll(ctx context.Context, parts []keys.Part, plains []keys.Plain) error {
	err := v.Opener.OpenAll(ctx, parts, plains)
	for i, p := range parts {
		if v.lost(p) {
			plains[i].Err = keys.ErrErased
		}
	}
	return err
}

// breachLog is a log in which two workers of two agencies, with two keys, looked at two households.
func breachLog(t *testing.T) *fakeStore {
	t.Helper()
	s := newStore(t)
	c := config(s, "gw", freshView{})
	now := testTime
	c.Now = func() time.Time { return now }
	w := open(t, c)
	for _, a := range []struct {
		agency, worker, key, household string
		fields                         []broker.Field // of p1
		down                           bool           // its holder
	}{
		{"1", "anna", "k1", "a", []broker.Field{"huur.achterstand.bedrag"}, false},
		{"1", "anna", "k1", "b", []broker.Field{"huur.achterstand.bedrag", "ggz.diagnose"}, false},
		{"1", "bert", "k2", "a", []broker.Field{"huur.achterstand.bedrag"}, false},
		{"2", "anna", "k1", "b", []broker.Field{"schulden.totaalbedrag"}, false},
		{"1", "anna", "k1", "a", []broker.Field{"huur.achterstand.bedrag"}, true},
		{"1", "anna", "k1", "", nil, false},
		{"1", "anna", "", "a", []broker.Field{"persoon.leeftijd"}, false},
	} {
		now = now.Add(time.Hour)
		e := disclosureEvent(int(now.Unix()))
		e.Staff.Agency, e.Staff.Worker, e.Staff.Key, e.Staff.Case = broker.OIN(a.agency), broker.WorkerID(a.worker), a.key, broker.CaseID(a.household)
		e.Common.Released, e.Common.Unavailable = nil, []broker.Unreached{}
		for _, f := range a.fields {
			e.Common.Released = append(e.Common.Released, broker.Released{Field: f, Subject: "p1", Form: "exact", Basis: "wgs-8"})
			if a.down {
				e.Common.Unavailable = append(e.Common.Unavailable, broker.Unreached{Field: f, Subject: "p1", Holder: "woningcorporatie"})
			}
		}
		e.Subjects = e.Subjects[:1]
		if e.Subjects[0].BSN = "999990019"; a.household == "b" {
			e.Subjects[0].BSN = "999990020"
		}
		if !a.down {
			e.Subjects[0].Released = e.Common.Released
		}
		if _, err := w.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, w)
	return s
}

// TestBreach: exactly what was given to whoever is sought, and what may hide more.
func TestBreach(t *testing.T) {
	s := breachLog(t)
	window := RequestsConfig{Store: s, Vault: newVault(s)}
	gather := func(c BreachConfig) BreachReport {
		t.Helper()
		if c.Window.Store == nil {
			c.Window = window
		}
		r, err := Breach(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	// spell gives a report in short: case, answers, without data, fields.
	spell := func(r BreachReport) string {
		var out []any
		for _, h := range r.Households {
			var fields []string
			for _, f := range h.Fields {
				fields = append(fields, string(f.Field))
			}
			out = append(out, []any{h.Case, h.Answers, h.Nothing, h.Persons, fields})
		}
		text, err := json.Marshal([]any{r.Answers, r.Nothing, r.Persons, r.Unsigned, r.Erased, len(r.Damaged), out})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, c := range []struct {
		sought BreachConfig
		want   string
	}{
		{BreachConfig{Agency: "1", Key: "k1"}, `[2,2,2,1,0,0,[["b",1,0,1,["ggz.diagnose","huur.achterstand.bedrag"]],["a",1,1,1,["huur.achterstand.bedrag"]],["",0,1,0,null]]]`},
		{BreachConfig{Worker: "bert"}, `[1,0,1,0,0,0,[["a",1,0,1,["huur.achterstand.bedrag"]]]]`},
		{BreachConfig{Agency: "2"}, `[1,0,1,0,0,0,[["b",1,0,1,["schulden.totaalbedrag"]]]]`},
		{BreachConfig{Agency: "2", Worker: "bert"}, `[0,0,0,0,0,0,null]`},
		{BreachConfig{Agency: "1", Worker: "anna"}, `[3,2,2,1,0,0,[["b",1,0,1,["ggz.diagnose","huur.achterstand.bedrag"]],["",0,1,0,null],["a",2,1,1,["huur.achterstand.bedrag","persoon.leeftijd"]]]]`},
	} {
		if got := spell(gather(c.sought)); got != c.want {
			t.Errorf("%+v:\ngot  %s\nwant %s", c.sought, got, c.want)
		}
	}

	part := window
	part.Since, part.Until = testTime.Add(2*time.Hour), testTime.Add(3*time.Hour)
	r := gather(BreachConfig{Window: part, Agency: "1"})
	if want := `[1,0,1,0,0,0,[["b",1,0,1,["ggz.diagnose","huur.achterstand.bedrag"]]]]`; spell(r) != want || !r.First.Equal(part.Since) || !r.Last.Equal(part.Since) {
		t.Errorf("a window: %s, %v", spell(r), r.First)
	}

	// Of whom the key was deleted may have been anybody; what is damaged is named.
	third := s.events("gw")[3].Staff
	lost := window
	lost.Vault = lossyVault{newVault(s), func(p keys.Part) bool { return slices.Equal(p.Box, third.Box) }}
	if r := gather(BreachConfig{Window: lost, Worker: "bert"}); spell(r) != `[0,0,0,0,1,0,null]` {
		t.Errorf("erased: %s", spell(r))
	}
	bent := window
	bent.Store = bentSource{s, func(_ journal.Stream, e []journal.Entry) []journal.Entry {
		for i := range e {
			if e[i].ID.Seq == 3 {
				e[i].Bytes = append([]byte{}, e[i].Bytes...)
				e[i].Bytes[0] = 'x'
			}
		}
		return e
	}}
	if r := gather(BreachConfig{Window: bent, Worker: "bert"}); !slices.Equal(r.Damaged, []string{"gw 1-3"}) {
		t.Errorf("damaged: %+v", r.Damaged)
	}
	if _, err := Breach(t.Context(), BreachConfig{Window: window}); err == nil {
		t.Error("everything is gathered for nobody")
	}
	if _, err := Breach(t.Context(), BreachConfig{Window: RequestsConfig{Store: s}, Worker: "bert"}); err == nil {
		t.Error("nothing is said without the key ring, and that is good news")
	}
}
