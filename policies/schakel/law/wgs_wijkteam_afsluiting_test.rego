package schakel.law.wgs_wijkteam_afsluiting_test

import data.schakel.testing

# wijkteammedewerker, afsluiting-voorkomen: precies dit en niets anders – exactly this and nothing else.
test_wijkteam_afsluiting_gives_exactly if {
	found := testing.decision(testing.asked("wijkteammedewerker", "afsluiting-voorkomen", "gemeente"))
	found.grants == testing.flat({
		"wgs-8": {
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
				"energie.achterstand.bedrag",
				"energie.afsluiting.datum",
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
				"water.achterstand.bedrag",
				"water.afsluiting.datum",
			},
			"yes-no": {
				"huishouden.minderjarigenAanwezig",
				"persoon.indicatieCurateleRegister",
				"schulden.beslag",
				"schulden.schuldhulptraject",
			},
		},
	})
	testing.refusals(found) == testing.rest(found, {
		"form-unavailable": {
			"huishouden.aantalPersonen",
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
wijkteam_afsluiting_sample := testing.changed(testing.asked("wijkteammedewerker", "afsluiting-voorkomen", "gemeente"), {"fields": {
	"contact.emailadres",
	"energie.achterstand.bedrag",
	"huishouden.leeftijdenKinderen",
	"huishouden.minderjarigenAanwezig",
	"persoon.adressering.adresregel1",
	"persoon.indicatieCurateleRegister",
	"schulden.beslag",
	"schulden.totaalbedrag",
	"water.achterstand.bedrag",
}})

test_wijkteam_afsluiting_needs_the_case if testing.all_refused(testing.changed(wijkteam_afsluiting_sample, {"relation": {"case": "agency"}}), "no-relation")

test_wijkteam_afsluiting_works_for_the_team if testing.all_granted(testing.changed(wijkteam_afsluiting_sample, {"relation": {"case": "team"}}))

test_wijkteam_afsluiting_needs_no_signal_or_claim if testing.all_granted(testing.changed(wijkteam_afsluiting_sample, {"relation": {"signal": false, "claim": false}}))

test_wijkteam_afsluiting_needs_an_agreement if testing.all_refused(testing.changed(wijkteam_afsluiting_sample, {"agreements": []}), "no-agreement")

test_wijkteam_afsluiting_needs_the_right_kind if testing.all_refused(testing.changed(wijkteam_afsluiting_sample, {"agency": {"kind": "rvig"}}), "agency-kind-not-allowed")

test_wijkteam_afsluiting_needs_the_mandate if testing.all_refused(testing.changed(wijkteam_afsluiting_sample, {"agency": {"mandates": ["jeugdwet", "leerplicht", "participatiewet", "wmo"]}}), "mandate-missing")

test_wijkteam_afsluiting_needs_no_other_mandate if testing.all_granted(testing.changed(wijkteam_afsluiting_sample, {"agency": {"mandates": ["wgs"]}}))

test_wijkteam_afsluiting_not_in_another_municipality if testing.all_refused(testing.changed(wijkteam_afsluiting_sample, {"relation": {"municipality": "other"}}), "other-municipality")

test_wijkteam_afsluiting_not_in_an_unknown_municipality if testing.all_refused(testing.changed(wijkteam_afsluiting_sample, {"relation": {"municipality": "unknown"}}), "other-municipality")

test_wijkteam_afsluiting_needs_no_coordination if testing.all_granted(testing.changed(wijkteam_afsluiting_sample, {"relation": {"coordinator": false}}))

test_wijkteam_afsluiting_needs_no_consent if testing.all_granted(testing.changed(wijkteam_afsluiting_sample, {"subject": {"consent": [], "release": [], "age": "unknown"}}))

test_wijkteam_afsluiting_off_when_switched_off if {
	testing.all_refused(wijkteam_afsluiting_sample, "not-in-force") with data.schakel.settings.switched_off as ["afsluiting-voorkomen"]
}

test_wijkteam_afsluiting_never_for_enforcement if {
	testing.all_refused(wijkteam_afsluiting_sample, "care-not-for-enforcement") with data.schakel.settings.enforcement as ["afsluiting-voorkomen"]
}

test_wijkteam_afsluiting_not_for_the_household_as_a_whole if testing.only_refused(testing.changed(wijkteam_afsluiting_sample, {"subject": {"kind": "household"}}), {"wrong-subject": {
	"contact.emailadres",
	"persoon.adressering.adresregel1",
	"persoon.indicatieCurateleRegister",
	"schulden.beslag",
	"schulden.totaalbedrag",
}})
