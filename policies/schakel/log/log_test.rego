package schakel.log_test

import data.schakel.log

said(query, role, purpose) := permission if {
	permission := log.permission with input as {"v": 1, "query": query, "role": role, "purpose": purpose}
}

test_an_auditor_controls if said("audit looks", "auditor", "controle").allowed

test_an_auditor_answers_no_resident if {
	p := said("audit subject", "auditor", "inzage")
	not p.allowed
	p.purposes == set()
	p.roles == {"privacy-officer", "functionaris-gegevensbescherming"}
}

test_a_privacy_officer_answers_a_resident if {
	said("audit subject", "privacy-officer", "inzage").allowed
	not said("audit subject", "privacy-officer", "controle").allowed
}

test_for_another_purpose_it_says_which_may if {
	p := said("audit breach", "privacy-officer", "toezicht")
	not p.allowed
	p.purposes == {"datalek", "inzage", "klacht"}
}

test_a_jurist_sees_one_decision_and_not_many if {
	said("policy why", "jurist", "beleid").allowed
	not said("audit looks", "jurist", "controle").allowed
}

test_what_the_law_leaves_out_is_for_the_fg if {
	p := said("audit index not-named", "functionaris-gegevensbescherming", "toezicht")
	p.allowed
	p.roles == {"functionaris-gegevensbescherming"}
}

test_unknown_query if {
	p := said("audit everything", "auditor", "controle")
	not p.allowed
	p.roles == set()
}

test_complete if log.complete

permits(change) := [object.union(data.schakel.log.permits[0], change)]

test_incomplete if {
	not log.complete with data.schakel.log.permits as []
	not log.complete with data.schakel.log.permits as permits({"queries": ["audit everything"]})
	not log.complete with data.schakel.log.permits as permits({"purposes": ["zomaar"]})
	every text in [{"nl": 1, "en": "x"}, {"nl": "x", "en": 1}] {
		not log.complete with data.schakel.log.queries as object.union(data.schakel.log.queries, {"policy why": text})
		not log.complete with data.schakel.log.purposes as object.union(data.schakel.log.purposes, {"beleid": text})
	}
}
