package schakel.law.incasso_sociale_incasso_test

import data.schakel.testing

# medewerker-sociale-incasso, ontruiming-voorkomen: precies dit en niets anders – exactly this and nothing else.
test_sociale_incasso_gives_exactly if {
	found := testing.decision(testing.asked("medewerker-sociale-incasso", "ontruiming-voorkomen", "woningcorporatie"))
	found.grants == testing.flat({
		"avg-6-1a": {
			"amount-band": {
				"schulden.totaalbedrag",
			},
			"yes-no": {
				"schulden.beslag",
				"schulden.schuldhulptraject",
			},
		},
	})
	testing.refusals(found) == testing.rest(found, {
		"form-unavailable": {
			"schulden.aantalSchuldeisers",
			"schulden.beslagvrijeVoet",
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
		"use-for-this-purpose-only",
	}
}

# Van elk soort veld een – One of each kind of field.
sociale_incasso_sample := testing.changed(testing.asked("medewerker-sociale-incasso", "ontruiming-voorkomen", "woningcorporatie"), {"fields": {
	"schulden.beslag",
	"schulden.schuldhulptraject",
	"schulden.totaalbedrag",
}})

test_sociale_incasso_needs_a_claim if testing.all_refused(testing.changed(sociale_incasso_sample, {"relation": {"claim": false}}), "no-relation")

test_sociale_incasso_needs_no_case if testing.all_granted(testing.changed(sociale_incasso_sample, {"relation": {"case": "none"}}))

test_sociale_incasso_needs_an_agreement if testing.all_refused(testing.changed(sociale_incasso_sample, {"agreements": []}), "no-agreement")

test_sociale_incasso_needs_the_right_kind if testing.all_refused(testing.changed(sociale_incasso_sample, {"agency": {"kind": "rvig"}}), "agency-kind-not-allowed")

test_sociale_incasso_needs_no_mandate if testing.all_granted(testing.changed(sociale_incasso_sample, {"agency": {"mandates": []}, "relation": {"municipality": "unknown"}}))

test_sociale_incasso_needs_no_coordination if testing.all_granted(testing.changed(sociale_incasso_sample, {"relation": {"coordinator": false}}))

test_sociale_incasso_needs_consent_or_release if testing.only_refused(testing.changed(sociale_incasso_sample, {"subject": {"consent": [], "release": []}}), {"consent-missing": {
	"schulden.beslag",
	"schulden.schuldhulptraject",
	"schulden.totaalbedrag",
}})

test_sociale_incasso_takes_no_release_for_consent if testing.only_refused(testing.changed(sociale_incasso_sample, {"subject": {"consent": []}}), {"consent-missing": {
	"schulden.beslag",
	"schulden.schuldhulptraject",
	"schulden.totaalbedrag",
}})

test_sociale_incasso_takes_no_consent_for_release if testing.all_granted(testing.changed(sociale_incasso_sample, {"subject": {"release": []}}))

test_sociale_incasso_not_at_age_0_11 if testing.only_refused(testing.changed(sociale_incasso_sample, {"subject": {"age": "0-11"}}), {"consent-missing": {
	"schulden.beslag",
	"schulden.schuldhulptraject",
	"schulden.totaalbedrag",
}})

test_sociale_incasso_not_at_age_12_15 if testing.only_refused(testing.changed(sociale_incasso_sample, {"subject": {"age": "12-15"}}), {"consent-missing": {
	"schulden.beslag",
	"schulden.schuldhulptraject",
	"schulden.totaalbedrag",
}})

test_sociale_incasso_not_at_age_unknown if testing.only_refused(testing.changed(sociale_incasso_sample, {"subject": {"age": "unknown"}}), {"consent-missing": {
	"schulden.beslag",
	"schulden.schuldhulptraject",
	"schulden.totaalbedrag",
}})

test_sociale_incasso_from_sixteen if testing.all_granted(testing.changed(sociale_incasso_sample, {"subject": {"age": "16-17"}}))

test_sociale_incasso_off_when_switched_off if {
	testing.all_refused(sociale_incasso_sample, "not-in-force") with data.schakel.settings.switched_off as ["ontruiming-voorkomen"]
}

test_sociale_incasso_never_for_enforcement if {
	testing.all_refused(sociale_incasso_sample, "care-not-for-enforcement") with data.schakel.settings.enforcement as ["ontruiming-voorkomen"]
}

test_sociale_incasso_not_for_the_household_as_a_whole if testing.only_refused(testing.changed(sociale_incasso_sample, {"subject": {"kind": "household"}}), {"wrong-subject": {
	"schulden.beslag",
	"schulden.schuldhulptraject",
	"schulden.totaalbedrag",
}})
