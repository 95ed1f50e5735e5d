package schakel.law.wgs_vroegsignalering_test

import data.schakel.testing

# medewerker-vroegsignalering, vroegsignalering: precies dit en niets anders – exactly this and nothing else.
test_vroegsignalering_gives_exactly if {
	found := testing.decision(testing.asked("medewerker-vroegsignalering", "vroegsignalering", "gemeente"))
	found.grants == testing.flat({
		"wgs-3-1b": {
			"exact": {
				"energie.achterstand.bedrag",
				"huur.achterstand.bedrag",
				"huur.achterstand.maanden",
				"water.achterstand.bedrag",
				"zorgverzekering.achterstand.bedrag",
			},
		},
		"wgs-8": {
			"amount-band": {
				"schulden.totaalbedrag",
			},
			"exact": {
				"contact.emailadres",
				"contact.telefoonnummer",
				"contact.vertegenwoordiger",
				"contact.voorkeurstaal",
				"persoon.adressering.adresregel1",
				"persoon.adressering.adresregel2",
				"persoon.naam.geslachtsnaam",
				"persoon.naam.volledigeNaam",
				"persoon.naam.voornamen",
				"persoon.naam.voorvoegsel",
				"persoon.verblijfplaats.verblijfadres.huisnummer",
				"persoon.verblijfplaats.verblijfadres.postcode",
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
	}
}

# Van elk soort veld een – One of each kind of field.
vroegsignalering_sample := testing.changed(testing.asked("medewerker-vroegsignalering", "vroegsignalering", "gemeente"), {"fields": {
	"contact.emailadres",
	"energie.achterstand.bedrag",
	"huur.achterstand.bedrag",
	"persoon.adressering.adresregel1",
	"schulden.beslag",
	"schulden.totaalbedrag",
	"water.achterstand.bedrag",
	"zorgverzekering.achterstand.bedrag",
}})

test_vroegsignalering_needs_a_signal if testing.all_refused(testing.changed(vroegsignalering_sample, {"relation": {"signal": false}}), "no-relation")

test_vroegsignalering_needs_no_case if testing.all_granted(testing.changed(vroegsignalering_sample, {"relation": {"case": "none"}}))

test_vroegsignalering_needs_an_agreement if testing.all_refused(testing.changed(vroegsignalering_sample, {"agreements": []}), "no-agreement")

test_vroegsignalering_needs_the_right_kind if testing.all_refused(testing.changed(vroegsignalering_sample, {"agency": {"kind": "rvig"}}), "agency-kind-not-allowed")

test_vroegsignalering_needs_the_mandate if testing.all_refused(testing.changed(vroegsignalering_sample, {"agency": {"mandates": ["jeugdwet", "leerplicht", "participatiewet", "wmo"]}}), "mandate-missing")

test_vroegsignalering_needs_no_other_mandate if testing.all_granted(testing.changed(vroegsignalering_sample, {"agency": {"mandates": ["wgs"]}}))

test_vroegsignalering_not_in_another_municipality if testing.all_refused(testing.changed(vroegsignalering_sample, {"relation": {"municipality": "other"}}), "other-municipality")

test_vroegsignalering_not_in_an_unknown_municipality if testing.all_refused(testing.changed(vroegsignalering_sample, {"relation": {"municipality": "unknown"}}), "other-municipality")

test_vroegsignalering_needs_no_coordination if testing.all_granted(testing.changed(vroegsignalering_sample, {"relation": {"coordinator": false}}))

test_vroegsignalering_needs_no_consent if testing.all_granted(testing.changed(vroegsignalering_sample, {"subject": {"consent": [], "release": [], "age": "unknown"}}))

test_vroegsignalering_off_when_switched_off if {
	testing.all_refused(vroegsignalering_sample, "not-in-force") with data.schakel.settings.switched_off as ["vroegsignalering"]
}

test_vroegsignalering_never_for_enforcement if {
	testing.all_refused(vroegsignalering_sample, "care-not-for-enforcement") with data.schakel.settings.enforcement as ["vroegsignalering"]
}

test_vroegsignalering_not_for_the_household_as_a_whole if testing.only_refused(testing.changed(vroegsignalering_sample, {"subject": {"kind": "household"}}), {"wrong-subject": {
	"contact.emailadres",
	"persoon.adressering.adresregel1",
	"schulden.beslag",
	"schulden.totaalbedrag",
	"zorgverzekering.achterstand.bedrag",
}})
