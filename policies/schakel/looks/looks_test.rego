package schakel.looks_test

import data.schakel.looks

# An ordinary look in the middle of a week, in a case of the worker's own.
ordinary := {
	"v": 1,
	"look": {"relation": "assigned", "signal": false, "claim": false, "emergency": false, "refused": false, "hour": 10, "weekday": 3, "first_of_week": false},
	"case": {"staffed": true, "colleague_days": -1, "quiet_days": 3, "onlookers": 0},
	"worker": {"history_days": 56, "looks": 100, "habit": 30, "refused_in_row": 0, "others": 5, "others_percent": 100, "breadth_percent": 30, "peers_breadth_percent": 30, "peers": 8},
}

but(part, changes) := object.union(ordinary, {part: object.union(ordinary[part], changes)})

both(look, changes) := object.union(but("look", look), {"case": object.union(ordinary.case, changes)})

explained(facts) := {e.id | some e in looks.judgement.explanations with input as facts}

found(facts) := {p.id | some p in looks.judgement.patterns with input as facts}

team := {"relation": "team"}

test_ordinary if {
	j := looks.judgement with input as ordinary
	j.patterns == []
	j.score == 0
	j.listed == false
	j.explanations == [{"id": "assigned", "nl": data.schakel.looks.explanations.assigned.nl, "en": data.schakel.looks.explanations.assigned.en}]
}

test_explanations if {
	explained(but("look", {"relation": "none", "signal": true})) == {"signal"}
	explained(but("look", {"relation": "none", "claim": true})) == {"claim"}
	explained(but("look", {"relation": "agency", "emergency": true})) == {"emergency"}
	explained(but("look", {"relation": "agency"})) == set()
	explained(but("look", {"relation": "none", "emergency": true})) == set()
}

test_team_is_explained_by_a_colleague if {
	explained(both(team, {"colleague_days": 0})) == {"team"}
	explained(both(team, {"colleague_days": 30})) == {"team"}
	explained(both(team, {"colleague_days": 31})) == set()
	explained(both(team, {"colleague_days": -1})) == set()
	explained(both({"relation": "agency"}, {"colleague_days": 0})) == set()
}

test_case_of_the_whole_team if {
	explained(both(team, {"staffed": false})) == {"team"}
	explained(both({"relation": "agency"}, {"staffed": false})) == set()
}

test_unexplained if {
	found(both(team, {"colleague_days": 31})) == {"unexplained"}
	looks.judgement.listed with input as both(team, {"colleague_days": 31})
	found(both(object.union(team, {"refused": true}), {"colleague_days": 31})) == set()
}

refused(n) := object.union(
	but("look", {"relation": "none", "refused": true}),
	{"worker": object.union(ordinary.worker, {"refused_in_row": n})},
)

test_fishing if {
	found(refused(2)) == set()
	found(refused(3)) == {"fishing"}
	looks.judgement.listed with input as refused(3)
	found(object.union(refused(3), {"look": object.union(ordinary.look, {"refused": true})})) == set()
	found(object.union(refused(3), {"look": object.union(ordinary.look, {"relation": "none"})})) == {"unexplained"}
}

late(look, worker) := {
	"v": 1,
	"look": object.union(ordinary.look, look),
	"case": object.union(ordinary.case, {"colleague_days": 1}),
	"worker": object.union(ordinary.worker, object.union({"habit": 2}, worker)),
}

test_hours_of_others if {
	found(late({"relation": "team", "hour": 19}, {})) == {"hours"}
	found(late({"relation": "team", "hour": 18}, {})) == set()
	found(late({"relation": "team", "hour": 6}, {})) == {"hours"}
	found(late({"relation": "team", "hour": 7}, {})) == set()
	found(late({"relation": "team", "weekday": 6}, {})) == {"hours"}
	found(late({"relation": "team", "weekday": 5}, {})) == set()
	found(late({"relation": "agency", "hour": 19, "emergency": true}, {})) == set()
}

test_hours_that_are_a_habit if {
	found(late({"relation": "team", "hour": 19}, {"habit": 3})) == set()
	found(late({"relation": "team", "hour": 19}, {"looks": 19})) == set()
	found(late({"relation": "team", "hour": 19}, {"looks": 20})) == {"hours"}
	found(late({"relation": "team", "hour": 19}, {"history_days": 27})) == set()
	found(late({"relation": "team", "hour": 19}, {"history_days": 28})) == {"hours"}
}

test_hours_in_own_cases_weigh_little if {
	found(late({"hour": 19}, {})) == {"hours-own"}
	found(late({"relation": "none", "signal": true, "hour": 19}, {})) == {"hours-own"}
	found(late({"relation": "none", "claim": true, "hour": 19}, {})) == {"hours-own"}
	not looks.judgement.listed with input as late({"hour": 19}, {})
}

test_popular if {
	found(both(team, {"colleague_days": 1, "onlookers": 5})) == set()
	found(both(team, {"colleague_days": 1, "onlookers": 6})) == {"popular"}
	found(both({}, {"onlookers": 6})) == set()
}

weekly(changes) := object.union(
	but("look", {"first_of_week": true}),
	{"worker": object.union(ordinary.worker, changes)},
)

many := {"history_days": 28, "peers": 5, "others": 30, "others_percent": 220}

test_volume if {
	found(weekly(many)) == {"volume"}
	every less in [{"history_days": 27}, {"peers": 4}, {"others": 29}, {"others_percent": 219}] {
		found(weekly(object.union(many, less))) == set()
	}
	found(but("worker", many)) == set()
}

test_old_case if {
	found(but("case", {"quiet_days": 179})) == set()
	found(but("case", {"quiet_days": 180})) == {"old-case"}
	found(both({"refused": true}, {"quiet_days": 180})) == set()
}

all_fields := {"history_days": 28, "peers": 5, "looks": 20, "breadth_percent": 85, "peers_breadth_percent": 60}

test_breadth if {
	found(weekly(all_fields)) == {"breadth"}
	every less in [{"history_days": 27}, {"peers": 4}, {"looks": 19}, {"breadth_percent": 84}, {"peers_breadth_percent": 61}] {
		found(weekly(object.union(all_fields, less))) == set()
	}
	found(but("worker", all_fields)) == set()
}

test_weights_add_up if {
	facts := late({"relation": "team", "hour": 22}, {})
	old := object.union(facts, {"case": object.union(facts.case, {"quiet_days": 400})})
	j := looks.judgement with input as old
	j.score == data.schakel.looks.patterns.hours.weight + data.schakel.looks.patterns["old-case"].weight
}

test_complete if {
	looks.complete
	every name in ["list_from", "colleague_days", "fishing", "hours", "popular", "volume", "old_case", "breadth"] {
		less := {k: v | some k, v in data.schakel.looks.thresholds; k != name}
		not looks.complete with data.schakel.looks.thresholds as less
	}
	every name in ["unexplained", "fishing", "hours", "hours-own", "popular", "volume", "old-case", "breadth"] {
		less := {k: v | some k, v in data.schakel.looks.patterns; k != name}
		not looks.complete with data.schakel.looks.patterns as less
	}
	not looks.complete with data.schakel.looks.explanations as {}
}
