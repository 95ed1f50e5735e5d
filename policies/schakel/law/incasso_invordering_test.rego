package schakel.law.incasso_invordering_test

import data.schakel.testing

# medewerker-invordering, invordering-opschorten: precies dit en niets anders – exactly this and nothing else.
test_invordering_gives_exactly if {
	found := testing.decision(testing.asked("medewerker-invordering", "invordering-opschorten", "belastingdienst"))
	found.grants == testing.flat({
		"avg-6-1a": {
			"yes-no": {
				"schulden.schuldhulptraject",
			},
		},
	})
	testing.refusals(found) == testing.rest(found, {
		"never-shared": {
			"energie.kwetsbareConsument",
			"ggz.diagnose",
			"justitie.detentie.einddatum",
			"uitkering.arbeidsongeschiktheid",
		},
	})
	found.obligations == {
		"inform-household",
		"use-for-this-purpose-only",
	}
}

# Van elk soort veld een – One of each kind of field.
invordering_sample := testing.changed(testing.asked("medewerker-invordering", "invordering-opschorten", "belastingdienst"), {"fields": {
	"schulden.schuldhulptraject",
}})

test_invordering_needs_a_claim if testing.all_refused(testing.changed(invordering_sample, {"relation": {"claim": false}}), "no-relation")

test_invordering_needs_no_case if testing.all_granted(testing.changed(invordering_sample, {"relation": {"case": "none"}}))

test_invordering_needs_an_agreement if testing.all_refused(testing.changed(invordering_sample, {"agreements": []}), "no-agreement")

test_invordering_needs_the_right_kind if testing.all_refused(testing.changed(invordering_sample, {"agency": {"kind": "rvig"}}), "agency-kind-not-allowed")

test_invordering_needs_no_mandate if testing.all_granted(testing.changed(invordering_sample, {"agency": {"mandates": []}, "relation": {"municipality": "unknown"}}))

test_invordering_needs_no_coordination if testing.all_granted(testing.changed(invordering_sample, {"relation": {"coordinator": false}}))

test_invordering_needs_consent_or_release if testing.only_refused(testing.changed(invordering_sample, {"subject": {"consent": [], "release": []}}), {"consent-missing": {
	"schulden.schuldhulptraject",
}})

test_invordering_takes_no_release_for_consent if testing.only_refused(testing.changed(invordering_sample, {"subject": {"consent": []}}), {"consent-missing": {
	"schulden.schuldhulptraject",
}})

test_invordering_takes_no_consent_for_release if testing.all_granted(testing.changed(invordering_sample, {"subject": {"release": []}}))

test_invordering_not_at_age_0_11 if testing.only_refused(testing.changed(invordering_sample, {"subject": {"age": "0-11"}}), {"consent-missing": {
	"schulden.schuldhulptraject",
}})

test_invordering_not_at_age_12_15 if testing.only_refused(testing.changed(invordering_sample, {"subject": {"age": "12-15"}}), {"consent-missing": {
	"schulden.schuldhulptraject",
}})

test_invordering_not_at_age_unknown if testing.only_refused(testing.changed(invordering_sample, {"subject": {"age": "unknown"}}), {"consent-missing": {
	"schulden.schuldhulptraject",
}})

test_invordering_from_sixteen if testing.all_granted(testing.changed(invordering_sample, {"subject": {"age": "16-17"}}))

test_invordering_off_when_switched_off if {
	testing.all_refused(invordering_sample, "not-in-force") with data.schakel.settings.switched_off as ["invordering-opschorten"]
}

test_invordering_never_for_enforcement if {
	testing.all_refused(invordering_sample, "care-not-for-enforcement") with data.schakel.settings.enforcement as ["invordering-opschorten"]
}

test_invordering_not_for_the_household_as_a_whole if testing.only_refused(testing.changed(invordering_sample, {"subject": {"kind": "household"}}), {"wrong-subject": {
	"schulden.schuldhulptraject",
}})
