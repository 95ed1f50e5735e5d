package schakel.law.schuldhulp_toegang_test

import data.schakel.testing

# schuldhulpverlener, schuldhulp-toegang: precies dit en niets anders – exactly this and nothing else.
test_toegang_gives_exactly if {
	found := testing.decision(testing.asked("schuldhulpverlener", "schuldhulp-toegang", "gemeente"))
	found.grants == testing.flat({
		"wgs-4a": {
			"age-band": {
				"huishouden.leeftijdenKinderen",
			},
			"exact": {
				"contact.emailadres",
				"contact.telefoonnummer",
				"contact.vertegenwoordiger",
				"contact.voorkeurstaal",
				"energie.achterstand.bedrag",
				"energie.afsluiting.datum",
				"huishouden.aantalPersonen",
				"huur.achterstand.bedrag",
				"huur.achterstand.maanden",
				"huur.contactpersoon",
				"huur.ontruiming.datum",
				"inkomen.loon.maandbedrag",
				"inkomen.verzamelinkomen",
				"persoon.adressering.adresregel1",
				"persoon.adressering.adresregel2",
				"persoon.burgerservicenummer",
				"persoon.geboorte.datum",
				"persoon.gemeenteVanInschrijving",
				"persoon.leeftijd",
				"persoon.naam.geslachtsnaam",
				"persoon.naam.volledigeNaam",
				"persoon.naam.voornamen",
				"persoon.naam.voorvoegsel",
				"persoon.overlijden.datum",
				"persoon.verblijfplaats.verblijfadres.huisnummer",
				"persoon.verblijfplaats.verblijfadres.postcode",
				"schulden.aantalSchuldeisers",
				"schulden.beslagvrijeVoet",
				"schulden.totaalbedrag",
				"uitkering.bijstand.bedrag",
				"uitkering.toeslagen.voorschot",
				"water.achterstand.bedrag",
				"water.afsluiting.datum",
				"zorgverzekering.achterstand.bedrag",
			},
			"yes-no": {
				"huishouden.minderjarigenAanwezig",
				"huur.ontruiming.vonnis",
				"inkomen.onderMinimagrens",
				"persoon.indicatieCurateleRegister",
				"schulden.beslag",
				"schulden.schuldhulptraject",
				"uitkering.bijstand.actief",
				"uitkering.bijstand.verlaging",
				"zorgverzekering.wanbetalersregeling",
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
	}
}

# Van elk soort veld een – One of each kind of field.
toegang_sample := testing.changed(testing.asked("schuldhulpverlener", "schuldhulp-toegang", "gemeente"), {"fields": {
	"contact.emailadres",
	"energie.achterstand.bedrag",
	"huishouden.aantalPersonen",
	"huishouden.leeftijdenKinderen",
	"huishouden.minderjarigenAanwezig",
	"huur.achterstand.bedrag",
	"huur.ontruiming.vonnis",
	"inkomen.loon.maandbedrag",
	"inkomen.onderMinimagrens",
	"persoon.adressering.adresregel1",
	"persoon.indicatieCurateleRegister",
	"schulden.aantalSchuldeisers",
	"schulden.beslag",
	"uitkering.bijstand.actief",
	"uitkering.bijstand.bedrag",
	"water.achterstand.bedrag",
	"zorgverzekering.achterstand.bedrag",
	"zorgverzekering.wanbetalersregeling",
}})

test_toegang_needs_the_case if testing.all_refused(testing.changed(toegang_sample, {"relation": {"case": "agency"}}), "no-relation")

test_toegang_works_for_the_team if testing.all_granted(testing.changed(toegang_sample, {"relation": {"case": "team"}}))

test_toegang_needs_no_signal_or_claim if testing.all_granted(testing.changed(toegang_sample, {"relation": {"signal": false, "claim": false}}))

test_toegang_needs_an_agreement if testing.all_refused(testing.changed(toegang_sample, {"agreements": []}), "no-agreement")

test_toegang_needs_the_right_kind if testing.all_refused(testing.changed(toegang_sample, {"agency": {"kind": "rvig"}}), "agency-kind-not-allowed")

test_toegang_needs_the_mandate if testing.all_refused(testing.changed(toegang_sample, {"agency": {"mandates": ["jeugdwet", "leerplicht", "participatiewet", "wmo"]}}), "mandate-missing")

test_toegang_needs_no_other_mandate if testing.all_granted(testing.changed(toegang_sample, {"agency": {"mandates": ["wgs"]}}))

test_toegang_not_in_another_municipality if testing.all_refused(testing.changed(toegang_sample, {"relation": {"municipality": "other"}}), "other-municipality")

test_toegang_not_in_an_unknown_municipality if testing.all_refused(testing.changed(toegang_sample, {"relation": {"municipality": "unknown"}}), "other-municipality")

test_toegang_needs_no_coordination if testing.all_granted(testing.changed(toegang_sample, {"relation": {"coordinator": false}}))

test_toegang_needs_no_consent if testing.all_granted(testing.changed(toegang_sample, {"subject": {"consent": [], "release": [], "age": "unknown"}}))

test_toegang_off_when_switched_off if {
	testing.all_refused(toegang_sample, "not-in-force") with data.schakel.settings.switched_off as ["schuldhulp-toegang"]
}

test_toegang_never_for_enforcement if {
	testing.all_refused(toegang_sample, "care-not-for-enforcement") with data.schakel.settings.enforcement as ["schuldhulp-toegang"]
}

test_toegang_not_for_the_household_as_a_whole if testing.only_refused(testing.changed(toegang_sample, {"subject": {"kind": "household"}}), {"wrong-subject": {
	"contact.emailadres",
	"inkomen.loon.maandbedrag",
	"inkomen.onderMinimagrens",
	"persoon.adressering.adresregel1",
	"persoon.indicatieCurateleRegister",
	"schulden.aantalSchuldeisers",
	"schulden.beslag",
	"uitkering.bijstand.actief",
	"uitkering.bijstand.bedrag",
	"zorgverzekering.achterstand.bedrag",
	"zorgverzekering.wanbetalersregeling",
}})
