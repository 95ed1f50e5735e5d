package schakel.law.participatie_bijstand_test

import data.schakel.testing

# inkomensconsulent, bijstand-beoordelen: precies dit en niets anders – exactly this and nothing else.
test_bijstand_gives_exactly if {
	found := testing.decision(testing.asked("inkomensconsulent", "bijstand-beoordelen", "gemeente"))
	found.grants == testing.flat({
		"participatiewet-53a": {
			"age-band": {
				"huishouden.leeftijdenKinderen",
			},
			"amount-band": {
				"schulden.totaalbedrag",
			},
			"exact": {
				"contact.emailadres",
				"contact.telefoonnummer",
				"contact.vertegenwoordiger",
				"contact.voorkeurstaal",
				"huishouden.aantalPersonen",
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
			},
			"yes-no": {
				"huishouden.minderjarigenAanwezig",
				"persoon.indicatieCurateleRegister",
				"schulden.beslag",
				"schulden.schuldhulptraject",
			},
		},
		"participatiewet-64": {
			"exact": {
				"inkomen.loon.maandbedrag",
				"inkomen.verzamelinkomen",
				"uitkering.bijstand.bedrag",
				"uitkering.toeslagen.voorschot",
			},
			"yes-no": {
				"inkomen.onderMinimagrens",
				"uitkering.bijstand.actief",
				"uitkering.bijstand.verlaging",
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
bijstand_sample := testing.changed(testing.asked("inkomensconsulent", "bijstand-beoordelen", "gemeente"), {"fields": {
	"contact.emailadres",
	"huishouden.aantalPersonen",
	"huishouden.leeftijdenKinderen",
	"huishouden.minderjarigenAanwezig",
	"inkomen.loon.maandbedrag",
	"inkomen.onderMinimagrens",
	"persoon.adressering.adresregel1",
	"persoon.indicatieCurateleRegister",
	"schulden.beslag",
	"schulden.totaalbedrag",
	"uitkering.bijstand.actief",
	"uitkering.bijstand.bedrag",
}})

test_bijstand_needs_the_case if testing.all_refused(testing.changed(bijstand_sample, {"relation": {"case": "agency"}}), "no-relation")

test_bijstand_works_for_the_team if testing.all_granted(testing.changed(bijstand_sample, {"relation": {"case": "team"}}))

test_bijstand_needs_no_signal_or_claim if testing.all_granted(testing.changed(bijstand_sample, {"relation": {"signal": false, "claim": false}}))

test_bijstand_needs_an_agreement if testing.all_refused(testing.changed(bijstand_sample, {"agreements": []}), "no-agreement")

test_bijstand_needs_the_right_kind if testing.all_refused(testing.changed(bijstand_sample, {"agency": {"kind": "rvig"}}), "agency-kind-not-allowed")

test_bijstand_needs_the_mandate if testing.all_refused(testing.changed(bijstand_sample, {"agency": {"mandates": ["jeugdwet", "leerplicht", "wgs", "wmo"]}}), "mandate-missing")

test_bijstand_needs_no_other_mandate if testing.all_granted(testing.changed(bijstand_sample, {"agency": {"mandates": ["participatiewet"]}}))

test_bijstand_not_in_another_municipality if testing.all_refused(testing.changed(bijstand_sample, {"relation": {"municipality": "other"}}), "other-municipality")

test_bijstand_not_in_an_unknown_municipality if testing.all_refused(testing.changed(bijstand_sample, {"relation": {"municipality": "unknown"}}), "other-municipality")

test_bijstand_needs_no_coordination if testing.all_granted(testing.changed(bijstand_sample, {"relation": {"coordinator": false}}))

test_bijstand_needs_no_consent if testing.all_granted(testing.changed(bijstand_sample, {"subject": {"consent": [], "release": [], "age": "unknown"}}))

test_bijstand_off_when_switched_off if {
	testing.all_refused(bijstand_sample, "not-in-force") with data.schakel.settings.switched_off as ["bijstand-beoordelen"]
}

test_bijstand_never_for_enforcement if {
	testing.all_refused(bijstand_sample, "care-not-for-enforcement") with data.schakel.settings.enforcement as ["bijstand-beoordelen"]
}

test_bijstand_not_for_the_household_as_a_whole if testing.only_refused(testing.changed(bijstand_sample, {"subject": {"kind": "household"}}), {"wrong-subject": {
	"contact.emailadres",
	"inkomen.loon.maandbedrag",
	"inkomen.onderMinimagrens",
	"persoon.adressering.adresregel1",
	"persoon.indicatieCurateleRegister",
	"schulden.beslag",
	"schulden.totaalbedrag",
	"uitkering.bijstand.actief",
	"uitkering.bijstand.bedrag",
}})
