package workbench_test

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/broker/workbench"
	"github.com/schakel/schakel/policies"
)

// The count itself is held against a log that was counted another way in cmd/schakel.

func recordedOnce(q broker.Query, decision string) workbench.Recorded {
	return workbench.Recorded{Event: "gw 1-1", Queries: []json.RawMessage{q.Bytes()}, Decisions: []json.RawMessage{json.RawMessage(decision)},
		Revisions: []broker.Revision{policies.Revision(policies.Files())}, Subjects: []workbench.RecordedSubject{{Queries: []int{0}}}, Agency: "a", Case: "c"}
}

func each(list ...workbench.Recorded) iter.Seq2[workbench.Recorded, error] {
	return func(yield func(workbench.Recorded, error) bool) {
		for _, r := range list {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// TestImpactNamesWhatItCantReplay: what can't be decided again is counted apart, with its reason; and a record that its own
// revision does not come to any more is called a fault.
func TestImpactNamesWhatItCantReplay(t *testing.T) {
	q := decide.Unrelated("huur.contactpersoon")
	const refused = `{"grants":{},"refusals":{"huur.contactpersoon":["no-relation"]},"obligations":[]}`
	good, lied, newer, garbled := recordedOnce(q, refused), recordedOnce(q, `{"grants":{},"refusals":{"huur.contactpersoon":["changed"]},"obligations":[]}`),
		recordedOnce(q, refused), recordedOnce(q, refused)
	newer.Queries = []json.RawMessage{json.RawMessage(`{"v":2}`)}
	garbled.Queries = []json.RawMessage{append(json.RawMessage(" "), q.Bytes()...)}
	other := recordedOnce(q, refused)
	other.Revisions = []broker.Revision{"0"}
	got, err := workbench.Impact(context.Background(), workbench.ImpactConfig{Base: policies.Files(), Draft: policies.Files(),
		Requests: each(good, good, lied, newer, garbled, other, workbench.Recorded{Event: "gw 1-9", Damaged: true})})
	if err != nil {
		t.Fatal(err)
	}
	if got.Requests != 7 || got.Replayed != 4 || got.Unlike != 1 || got.Otherwise != 1 || got.Decisions != 4 || len(got.Changes) != 0 || got.Changed != 0 || got.Quietly != 0 {
		t.Errorf("got %+v", got)
	}
	if len(got.NotReplayed) != 3 || got.NotReplayed[2].Events[0] != "gw 1-9" {
		t.Errorf("got %+v", got.NotReplayed)
	}
}

func TestImpactEnds(t *testing.T) {
	down := errors.New("down")
	_, err := workbench.Impact(context.Background(), workbench.ImpactConfig{Base: policies.Files(), Draft: policies.Files(),
		Requests: func(yield func(workbench.Recorded, error) bool) { yield(workbench.Recorded{}, down) }})
	if !errors.Is(err, down) {
		t.Errorf("the log fails: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	last := workbench.ImpactProgress{}
	_, err = workbench.Impact(ctx, workbench.ImpactConfig{Base: policies.Files(), Draft: policies.Files(),
		Progress: func(p workbench.ImpactProgress) { last = p },
		Requests: func(yield func(workbench.Recorded, error) bool) {
			for yield(recordedOnce(decide.Unrelated("x"), `{}`), nil) {
				if last.Requests >= 2000 {
					cancel()
				}
			}
		}})
	if !errors.Is(err, context.Canceled) || last.Requests != 2000 {
		t.Errorf("cancelled: %v after %+v", err, last)
	}
}

// TestCount: a small number is not told, not even in JSON, and a kept report with one is not read.
func TestCount(t *testing.T) {
	text, err := json.Marshal([]workbench.Count{0, workbench.Few, 10})
	if string(text) != `[0,"\u003c10",10]` || err != nil {
		t.Errorf("got %s, %v", text, err)
	}
	var back []workbench.Count
	if err := json.Unmarshal(text, &back); err != nil || len(back) != 3 || back[1] != workbench.Few || back[1].Text().NL != "minder dan 10" {
		t.Errorf("got %v, %v", back, err)
	}
	for _, wrong := range []string{"[3]", "[-1]", `["<9"]`, "[null]"} {
		if json.Unmarshal([]byte(wrong), &back) == nil {
			t.Errorf("%s is read", wrong)
		}
	}
}

// TestImpactOfALookup: what a holder is asked by goes to the holder, so that the agency that asks is not counted.
func TestImpactOfALookup(t *testing.T) {
	draft := policies.Files()
	const settings = "schakel/settings/data.json"
	draft[settings] = []byte(strings.Replace(string(draft[settings]), "\"never\": [\n", "\"never\": [\n    \"persoon.geboorte.datum\",\n", 1))
	q := broker.Query{V: broker.QueryVersion, Agency: broker.QueryAgency{Kind: "woningcorporatie"}, Role: broker.RoleHolder, Purpose: "ontruiming-voorkomen",
		Relation:   broker.Relation{Case: broker.CaseAgency, Municipality: broker.MunicipalitySame},
		Subject:    broker.QuerySubject{Kind: broker.SubjectPerson, Age: broker.Age18Plus},
		Agreements: []broker.Domain{"persoon"}, Fields: []broker.Field{"persoon.geboorte.datum"}}.Canonical()
	var asked []workbench.Recorded
	for i := range 12 {
		r := recordedOnce(q, "{}")
		r.Revisions[0], r.Subjects[0].Lookup = "0", true
		r.Agency, r.Case = string(rune('a'+i)), string(rune('a'+i))
		asked = append(asked, r)
	}
	got, err := workbench.Impact(context.Background(), workbench.ImpactConfig{Base: policies.Files(), Draft: draft, Requests: each(asked...)})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Changes) != 1 || got.Changes[0].Requests != 12 || got.Changes[0].Cases != 12 || got.Changes[0].Agencies != 0 {
		t.Errorf("got %+v", got)
	}
}
