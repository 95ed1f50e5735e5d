package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/looks"
)

// TestLookOf: what the rules about looks get of an event: fields once for all persons, and nothing of what a holder may be
// asked by.
func TestLookOf(t *testing.T) {
	query := func(role broker.Role, relation broker.Relation, fields ...broker.Field) json.RawMessage {
		return broker.Query{Role: role, Relation: relation, Emergency: broker.QueryEmergency{Active: role != broker.RoleHolder}, Fields: fields}.Canonical().Bytes()
	}
	mine := broker.Relation{Case: broker.CaseTeam, Signal: true}
	r := audit.Request{
		Time: time.Unix(1_800_000_000, 0), Agency: "1", Worker: "w", Role: "r", Purpose: "p", Case: "z", Answer: "a", Refused: true,
		Queries: []json.RawMessage{query("r", mine, "huur.a", "huur.b"), query("r", mine, "huur.b", "ggz.c"),
			query(broker.RoleHolder, broker.Relation{Case: broker.CaseNone, Claim: true}, "persoon.naam", "persoon.adres")},
		Subjects: []broker.SubjectQueries{{Subject: "household", Queries: []int{0}}, {Subject: "p1", Queries: []int{0, 1}},
			{Subject: "p1", Queries: []int{2}, Lookup: "woningcorporatie"}},
	}
	want := looks.Look{Answer: "a", Time: r.Time, Worker: looks.Worker{Agency: "1", ID: "w"}, Role: "r", Purpose: "p", Case: "z",
		Relation: broker.CaseTeam, Signal: true, Emergency: true, Fields: 3, Refused: true}
	if got, ok := lookOf(r); !ok || got != want {
		t.Errorf("%+v %v, want %+v", got, ok, want)
	}
	for name, bend := range map[string]func(*audit.Request){
		"damaged":  func(r *audit.Request) { r.Damaged = true },
		"erased":   func(r *audit.Request) { r.StaffState = audit.PartErased },
		"no query": func(r *audit.Request) { r.Subjects = r.Subjects[2:] },
		"no JSON":  func(r *audit.Request) { r.Queries = []json.RawMessage{[]byte("7"), r.Queries[1], r.Queries[2]} },
	} {
		bent := r
		if bend(&bent); func() bool { _, ok := lookOf(bent); return ok }() {
			t.Errorf("%s: it passed for a look", name)
		}
	}
}
