package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
)

// told is a decision as the policy of these tests makes it: revision "gives" grants the query's field, "age" too but as an
// age band, "none" refuses, "lost" is not kept.
func told(_ context.Context, r broker.Revision, query json.RawMessage) (broker.Decision, broker.Text) {
	field := broker.Field(strings.Trim(string(query), `"`))
	switch r {
	case "gives":
		return broker.Decision{Grants: map[broker.Field]broker.Grant{field: {Form: "exact", Basis: "wgs-8"}}}.Canonical(), broker.Text{}
	case "age":
		return broker.Decision{Grants: map[broker.Field]broker.Grant{field: {Form: "age-band", Basis: "wgs-8"}}}.Canonical(), broker.Text{}
	case "other-basis":
		return broker.Decision{Grants: map[broker.Field]broker.Grant{field: {Form: "exact", Basis: "avg-6"}}}.Canonical(), broker.Text{}
	case "none":
		return broker.Decision{Refusals: map[broker.Field][]broker.Reason{field: {"no-agreement"}}}.Canonical(), broker.Text{}
	}
	return broker.Decision{}, broker.Text{NL: "niet bewaard", EN: "not kept"}
}

// requestOf is event n with a decision for each field, as a revision makes it.
func requestOf(n int, by broker.Revision, engine string, fields ...string) Request {
	r := Request{Writer: "gw", ID: ID{Epoch: 1, Seq: uint64(n)}, Engine: engine}
	for _, f := range fields {
		q := json.RawMessage(`"` + f + `"`)
		d, _ := told(context.Background(), by, q)
		r.Queries, r.Decisions, r.Revisions = append(r.Queries, q), append(r.Decisions, d.Bytes()), append(r.Revisions, by)
	}
	return r
}

func given(requests ...Request) iter.Seq2[Request, error] {
	return func(yield func(Request, error) bool) {
		for _, r := range requests {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// TestReplayCountsTruly: every recorded decision is in exactly one of identical, different and not replayed, however many are
// equal, and what is wrong is named.
func TestReplayCountsTruly(t *testing.T) {
	var log []Request
	for n := range 30 {
		log = append(log, requestOf(n, "gives", "opa 2", "a", "b", "c"))
	}
	for n := 30; n < 35; n++ {
		log = append(log, requestOf(n, "none", "opa 1", "a"))
	}
	planted := requestOf(35, "none", "opa 2", "a", "b")
	planted.Decisions[1] = log[0].Decisions[1] // it says that b was given, which this revision does not do
	lost := requestOf(36, "gives", "opa 2", "a", "b")
	lost.Revisions[0] = "lost"
	log = append(log, planted, lost, Request{Writer: "gw", ID: ID{Epoch: 1, Seq: 37}, Damaged: true})

	report, err := Replay(t.Context(), ReplayConfig{Requests: given(log...), Engine: "opa 2", Decide: told})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := []int{report.Events, report.Decisions, report.Identical, report.OtherEngine, report.Different, report.NotReplayed, report.Damaged, report.Evaluated},
		[]int{38, 90 + 5 + 2 + 2, 90 + 5 + 1 + 1, 5, 1, 1, 1, 3 + 1 + 2 + 1}; !slices.Equal(got, want) {
		t.Errorf("got %d, want %d", got, want)
	}
	if report.OK() {
		t.Error("it is said to be identical")
	}
	if len(report.Differences) != 1 || report.Differences[0].Decisions != 1 || !slices.Equal(report.Differences[0].Events, []string{"gw 1-35"}) ||
		string(report.Differences[0].Recorded) != string(planted.Decisions[1]) || string(report.Differences[0].Again) == string(planted.Decisions[1]) {
		t.Errorf("%+v", report.Differences)
	}
	if len(report.Troubles) != 2 || report.Troubles[0].Revision != "lost" || !slices.Equal(report.Troubles[0].Events, []string{"gw 1-36"}) ||
		!slices.Equal(report.Troubles[1].Events, []string{"gw 1-37"}) {
		t.Errorf("%+v", report.Troubles)
	}

	report, err = Replay(t.Context(), ReplayConfig{Requests: given(log[:35]...), Engine: "opa 2", Decide: told})
	if err != nil || !report.OK() || report.Identical != 95 {
		t.Errorf("%v, %+v", err, report)
	}
}

// TestReplayIsOfTheRecordedBytes: a decision that says the same with other bytes differs.
func TestReplayIsOfTheRecordedBytes(t *testing.T) {
	r := requestOf(1, "gives", "opa", "a")
	r.Decisions[0] = json.RawMessage(strings.Replace(string(r.Decisions[0]), `"form":"exact","basis":"wgs-8"`, `"basis":"wgs-8","form":"exact"`, 1))
	report, err := Replay(t.Context(), ReplayConfig{Requests: given(r), Engine: "opa", Decide: told})
	if err != nil || report.Different != 1 || report.Identical != 0 {
		t.Errorf("%v, %+v", err, report)
	}
}

// TestReplayAgainst: what another revision gives more, less or otherwise, by field.
func TestReplayAgainst(t *testing.T) {
	var log []Request
	for n := range 12 {
		log = append(log, requestOf(n, "gives", "opa", "a", "b"))
	}
	log = append(log, requestOf(12, "none", "opa", "c"))
	for against, want := range map[broker.Revision]ReplayAgainst{
		"gives":       {Decisions: 25, Otherwise: 1, Changes: []ReplayChange{{"c", "", "exact", 1}}},
		"none":        {Decisions: 25, Otherwise: 24, Changes: []ReplayChange{{"a", "exact", "", 12}, {"b", "exact", "", 12}}},
		"age":         {Decisions: 25, Otherwise: 25, Changes: []ReplayChange{{"a", "exact", "age-band", 12}, {"b", "exact", "age-band", 12}, {"c", "", "age-band", 1}}},
		"other-basis": {Decisions: 25, Otherwise: 1, Quietly: 24, Changes: []ReplayChange{{"c", "", "exact", 1}}},
		"lost":        {NotReplayed: 25, Changes: []ReplayChange{}},
	} {
		want.Revision = against
		report, err := Replay(t.Context(), ReplayConfig{Requests: given(log...), Engine: "opa", Decide: told, Against: against})
		if err != nil || !report.OK() || !reflect.DeepEqual(*report.Against, want) {
			t.Errorf("%s: %v, %+v", against, err, report.Against)
		}
	}
}

// TestReplayThatCannotReadSaysSo: half a log is not replayed.
func TestReplayThatCannotReadSaysSo(t *testing.T) {
	down := errors.New("down")
	_, err := Replay(t.Context(), ReplayConfig{Decide: told, Requests: func(yield func(Request, error) bool) {
		_ = yield(requestOf(1, "gives", "opa", "a"), nil) && yield(Request{}, down)
	}})
	if !errors.Is(err, down) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	decide := func(ctx context.Context, r broker.Revision, q json.RawMessage) (broker.Decision, broker.Text) {
		cancel()
		return told(ctx, r, q)
	}
	var fields []string
	for n := range 100 {
		fields = append(fields, fmt.Sprint(n))
	}
	if _, err = Replay(ctx, ReplayConfig{Decide: decide, Requests: given(requestOf(1, "gives", "opa", fields...))}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
