package schakel.law.schuldhulp_uitvoering_test

import data.schakel.testing

# schuldhulpverlener, schuldhulp-uitvoering: precies dit en niets anders – exactly this and nothing else.
test_uitvoering_gives_exactly if {
	found := testing.decision(testing.asked("schuldhulpverlener", "schuldhulp-uitvoering", "gemeente"))
	found.grants == testing.flat({
		"wgs-8": {
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
				"wmo.aanbieder.contact",
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
		"contact-only": {
			"wmo.voorziening.soort",
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
uitvoering_sample := testing.changed(testing.asked("schuldhulpverlener", "schuldhulp-uitvoering", "gemeente"), {"fields": {
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
	"wmo.aanbieder.contact",
	"zorgverzekering.achterstand.bedrag",
	"zorgverzekering.wanbetalersregeling",
}})

test_uitvoering_needs_the_case if testing.all_refused(testing.changed(uitvoering_sample, {"relation": {"case": "agency"}}), "no-relation")

test_uitvoering_works_for_the_team if testing.all_granted(testing.changed(uitvoering_sample, {"relation": {"case": "team"}}))

test_uitvoering_needs_no_signal_or_claim if testing.all_granted(testing.changed(uitvoering_sample, {"relation": {"signal": false, "claim": false}}))

test_uitvoering_needs_an_agreement if testing.all_refused(testing.changed(uitvoering_sample, {"agreements": []}), "no-agreement")

test_uitvoering_needs_the_right_kind if testing.all_refused(testing.changed(uitvoering_sample, {"agency": {"kind": "rvig"}}), "agency-kind-not-allowed")

test_uitvoering_needs_the_mandate if testing.all_refused(testing.changed(uitvoering_sample, {"agency": {"mandates": ["jeugdwet", "leerplicht", "participatiewet", "wmo"]}}), "mandate-missing")

test_uitvoering_needs_no_other_mandate if testing.all_granted(testing.changed(uitvoering_sample, {"agency": {"mandates": ["wgs"]}}))

test_uitvoering_not_in_another_municipality if testing.all_refused(testing.changed(uitvoering_sample, {"relation": {"municipality": "other"}}), "other-municipality")

test_uitvoering_not_in_an_unknown_municipality if testing.all_refused(testing.changed(uitvoering_sample, {"relation": {"municipality": "unknown"}}), "other-municipality")

test_uitvoering_needs_no_coordination if testing.all_granted(testing.changed(uitvoering_sample, {"relation": {"coordinator": false}}))

test_uitvoering_needs_consent_or_release if testing.only_refused(testing.changed(uitvoering_sample, {"subject": {"consent": [], "release": []}}), {"release-missing": {
	"wmo.aanbieder.contact",
}})

test_uitvoering_takes_no_release_for_consent if testing.all_granted(testing.changed(uitvoering_sample, {"subject": {"consent": []}}))

test_uitvoering_takes_no_consent_for_release if testing.only_refused(testing.changed(uitvoering_sample, {"subject": {"release": []}}), {"release-missing": {
	"wmo.aanbieder.contact",
}})

test_uitvoering_not_at_age_0_11 if testing.only_refused(testing.changed(uitvoering_sample, {"subject": {"age": "0-11"}}), {"release-missing": {
	"wmo.aanbieder.contact",
}})

test_uitvoering_not_at_age_12_15 if testing.only_refused(testing.changed(uitvoering_sample, {"subject": {"age": "12-15"}}), {"release-missing": {
	"wmo.aanbieder.contact",
}})

test_uitvoering_not_at_age_unknown if testing.only_refused(testing.changed(uitvoering_sample, {"subject": {"age": "unknown"}}), {"release-missing": {
	"wmo.aanbieder.contact",
}})

test_uitvoering_from_sixteen if testing.all_granted(testing.changed(uitvoering_sample, {"subject": {"age": "16-17"}}))

test_uitvoering_off_when_switched_off if {
	testing.all_refused(uitvoering_sample, "not-in-force") with data.schakel.settings.switched_off as ["schuldhulp-uitvoering"]
}

test_uitvoering_never_for_enforcement if {
	testing.all_refused(uitvoering_sample, "care-not-for-enforcement") with data.schakel.settings.enforcement as ["schuldhulp-uitvoering"]
}

test_uitvoering_not_for_the_household_as_a_whole if testing.only_refused(testing.changed(uitvoering_sample, {"subject": {"kind": "household"}}), {"wrong-subject": {
	"contact.emailadres",
	"inkomen.loon.maandbedrag",
	"inkomen.onderMinimagrens",
	"persoon.adressering.adresregel1",
	"persoon.indicatieCurateleRegister",
	"schulden.aantalSchuldeisers",
	"schulden.beslag",
	"uitkering.bijstand.actief",
	"uitkering.bijstand.bedrag",
	"wmo.aanbieder.contact",
	"zorgverzekering.achterstand.bedrag",
	"zorgverzekering.wanbetalersregeling",
}})
