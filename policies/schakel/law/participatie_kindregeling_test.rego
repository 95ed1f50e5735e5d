package schakel.law.participatie_kindregeling_test

import data.schakel.testing

# medewerker-minimaregelingen, kindregeling: precies dit en niets anders – exactly this and nothing else.
test_kindregeling_gives_exactly if {
	found := testing.decision(testing.asked("medewerker-minimaregelingen", "kindregeling", "gemeente"))
	found.grants == testing.flat({
		"participatiewet-35": {
			"age-band": {
				"huishouden.leeftijdenKinderen",
			},
			"amount-band": {
				"inkomen.loon.maandbedrag",
				"inkomen.verzamelinkomen",
			},
			"yes-no": {
				"huishouden.minderjarigenAanwezig",
				"inkomen.onderMinimagrens",
			},
		},
	})
	testing.refusals(found) == testing.rest(found, {
		"form-unavailable": {
			"huishouden.aantalPersonen",
		},
		"never-shared": {
			"energie.kwetsbareConsument",
			"ggz.diagnose",
			"justitie.detentie.einddatum",
			"uitkering.arbeidsongeschiktheid",
		},
	})
	found.obligations == {
		"inform-household",
	}
}

# Van elk soort veld een – One of each kind of field.
kindregeling_sample := testing.changed(testing.asked("medewerker-minimaregelingen", "kindregeling", "gemeente"), {"fields": {
	"huishouden.leeftijdenKinderen",
	"huishouden.minderjarigenAanwezig",
	"inkomen.loon.maandbedrag",
	"inkomen.onderMinimagrens",
}})

test_kindregeling_needs_the_case if testing.all_refused(testing.changed(kindregeling_sample, {"relation": {"case": "agency"}}), "no-relation")

test_kindregeling_works_for_the_team if testing.all_granted(testing.changed(kindregeling_sample, {"relation": {"case": "team"}}))

test_kindregeling_needs_no_signal_or_claim if testing.all_granted(testing.changed(kindregeling_sample, {"relation": {"signal": false, "claim": false}}))

test_kindregeling_needs_an_agreement if testing.all_refused(testing.changed(kindregeling_sample, {"agreements": []}), "no-agreement")

test_kindregeling_needs_the_right_kind if testing.all_refused(testing.changed(kindregeling_sample, {"agency": {"kind": "rvig"}}), "agency-kind-not-allowed")

test_kindregeling_needs_the_mandate if testing.all_refused(testing.changed(kindregeling_sample, {"agency": {"mandates": ["jeugdwet", "leerplicht", "wgs", "wmo"]}}), "mandate-missing")

test_kindregeling_needs_no_other_mandate if testing.all_granted(testing.changed(kindregeling_sample, {"agency": {"mandates": ["participatiewet"]}}))

test_kindregeling_not_in_another_municipality if testing.all_refused(testing.changed(kindregeling_sample, {"relation": {"municipality": "other"}}), "other-municipality")

test_kindregeling_not_in_an_unknown_municipality if testing.all_refused(testing.changed(kindregeling_sample, {"relation": {"municipality": "unknown"}}), "other-municipality")

test_kindregeling_needs_no_coordination if testing.all_granted(testing.changed(kindregeling_sample, {"relation": {"coordinator": false}}))

test_kindregeling_needs_no_consent if testing.all_granted(testing.changed(kindregeling_sample, {"subject": {"consent": [], "release": [], "age": "unknown"}}))

test_kindregeling_off_when_switched_off if {
	testing.all_refused(kindregeling_sample, "not-in-force") with data.schakel.settings.switched_off as ["kindregeling"]
}

test_kindregeling_never_for_enforcement if {
	testing.all_refused(kindregeling_sample, "care-not-for-enforcement") with data.schakel.settings.enforcement as ["kindregeling"]
}

test_kindregeling_not_for_the_household_as_a_whole if testing.only_refused(testing.changed(kindregeling_sample, {"subject": {"kind": "household"}}), {"wrong-subject": {
	"inkomen.loon.maandbedrag",
	"inkomen.onderMinimagrens",
}})
