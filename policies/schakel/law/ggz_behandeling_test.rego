package schakel.law.ggz_behandeling_test

import data.schakel.testing

# ggz-behandelaar, behandeling-afstemmen: precies dit en niets anders – exactly this and nothing else.
test_behandeling_gives_exactly if {
	found := testing.decision(testing.asked("ggz-behandelaar", "behandeling-afstemmen", "ggz-aanbieder"))
	found.grants == testing.flat({
		"avg-9-2a": {
			"exact": {
				"contact.emailadres",
				"contact.telefoonnummer",
				"contact.vertegenwoordiger",
				"contact.voorkeurstaal",
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
behandeling_sample := testing.changed(testing.asked("ggz-behandelaar", "behandeling-afstemmen", "ggz-aanbieder"), {"fields": {
	"contact.emailadres",
	"contact.telefoonnummer",
	"contact.vertegenwoordiger",
	"contact.voorkeurstaal",
}})

test_behandeling_needs_the_case if testing.all_refused(testing.changed(behandeling_sample, {"relation": {"case": "agency"}}), "no-relation")

test_behandeling_works_for_the_team if testing.all_granted(testing.changed(behandeling_sample, {"relation": {"case": "team"}}))

test_behandeling_needs_no_signal_or_claim if testing.all_granted(testing.changed(behandeling_sample, {"relation": {"signal": false, "claim": false}}))

test_behandeling_needs_an_agreement if testing.all_refused(testing.changed(behandeling_sample, {"agreements": []}), "no-agreement")

test_behandeling_needs_the_right_kind if testing.all_refused(testing.changed(behandeling_sample, {"agency": {"kind": "rvig"}}), "agency-kind-not-allowed")

test_behandeling_needs_no_mandate if testing.all_granted(testing.changed(behandeling_sample, {"agency": {"mandates": []}, "relation": {"municipality": "unknown"}}))

test_behandeling_needs_no_coordination if testing.all_granted(testing.changed(behandeling_sample, {"relation": {"coordinator": false}}))

test_behandeling_needs_consent_or_release if testing.only_refused(testing.changed(behandeling_sample, {"subject": {"consent": [], "release": []}}), {"consent-missing": {
	"contact.emailadres",
	"contact.telefoonnummer",
	"contact.vertegenwoordiger",
	"contact.voorkeurstaal",
}})

test_behandeling_takes_no_release_for_consent if testing.only_refused(testing.changed(behandeling_sample, {"subject": {"consent": []}}), {"consent-missing": {
	"contact.emailadres",
	"contact.telefoonnummer",
	"contact.vertegenwoordiger",
	"contact.voorkeurstaal",
}})

test_behandeling_takes_no_consent_for_release if testing.all_granted(testing.changed(behandeling_sample, {"subject": {"release": []}}))

test_behandeling_not_at_age_0_11 if testing.only_refused(testing.changed(behandeling_sample, {"subject": {"age": "0-11"}}), {"consent-missing": {
	"contact.emailadres",
	"contact.telefoonnummer",
	"contact.vertegenwoordiger",
	"contact.voorkeurstaal",
}})

test_behandeling_not_at_age_12_15 if testing.only_refused(testing.changed(behandeling_sample, {"subject": {"age": "12-15"}}), {"consent-missing": {
	"contact.emailadres",
	"contact.telefoonnummer",
	"contact.vertegenwoordiger",
	"contact.voorkeurstaal",
}})

test_behandeling_not_at_age_unknown if testing.only_refused(testing.changed(behandeling_sample, {"subject": {"age": "unknown"}}), {"consent-missing": {
	"contact.emailadres",
	"contact.telefoonnummer",
	"contact.vertegenwoordiger",
	"contact.voorkeurstaal",
}})

test_behandeling_from_sixteen if testing.all_granted(testing.changed(behandeling_sample, {"subject": {"age": "16-17"}}))

test_behandeling_off_when_switched_off if {
	testing.all_refused(behandeling_sample, "not-in-force") with data.schakel.settings.switched_off as ["behandeling-afstemmen"]
}

test_behandeling_never_for_enforcement if {
	testing.all_refused(behandeling_sample, "care-not-for-enforcement") with data.schakel.settings.enforcement as ["behandeling-afstemmen"]
}

test_behandeling_not_for_the_household_as_a_whole if testing.only_refused(testing.changed(behandeling_sample, {"subject": {"kind": "household"}}), {"wrong-subject": {
	"contact.emailadres",
	"contact.telefoonnummer",
	"contact.vertegenwoordiger",
	"contact.voorkeurstaal",
}})
