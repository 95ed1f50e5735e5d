package schakel.law.wgs_wijkteam_ontruiming_test

import data.schakel.testing

# wijkteammedewerker, ontruiming-voorkomen: precies dit en niets anders – exactly this and nothing else.
test_wijkteam_ontruiming_gives_exactly if {
	found := testing.decision(testing.asked("wijkteammedewerker", "ontruiming-voorkomen", "gemeente"))
	found.grants == testing.flat({
		"wgbo-7-457": {
			"exact": {
				"ggz.behandelaar.contact",
			},
		},
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
				"huur.achterstand.bedrag",
				"huur.achterstand.maanden",
				"huur.contactpersoon",
				"huur.ontruiming.datum",
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
				"huur.ontruiming.vonnis",
				"persoon.indicatieCurateleRegister",
				"schulden.beslag",
				"schulden.schuldhulptraject",
			},
		},
	})
	testing.refusals(found) == testing.rest(found, {
		"contact-only": {
			"ggz.inBehandeling",
		},
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
wijkteam_ontruiming_sample := testing.changed(testing.asked("wijkteammedewerker", "ontruiming-voorkomen", "gemeente"), {"fields": {
	"contact.emailadres",
	"ggz.behandelaar.contact",
	"huishouden.leeftijdenKinderen",
	"huishouden.minderjarigenAanwezig",
	"huur.achterstand.bedrag",
	"huur.ontruiming.vonnis",
	"persoon.adressering.adresregel1",
	"persoon.indicatieCurateleRegister",
	"schulden.beslag",
	"schulden.totaalbedrag",
}})

test_wijkteam_ontruiming_needs_the_case if testing.all_refused(testing.changed(wijkteam_ontruiming_sample, {"relation": {"case": "agency"}}), "no-relation")

test_wijkteam_ontruiming_works_for_the_team if testing.all_granted(testing.changed(wijkteam_ontruiming_sample, {"relation": {"case": "team"}}))

test_wijkteam_ontruiming_needs_no_signal_or_claim if testing.all_granted(testing.changed(wijkteam_ontruiming_sample, {"relation": {"signal": false, "claim": false}}))

test_wijkteam_ontruiming_needs_an_agreement if testing.all_refused(testing.changed(wijkteam_ontruiming_sample, {"agreements": []}), "no-agreement")

test_wijkteam_ontruiming_needs_the_right_kind if testing.all_refused(testing.changed(wijkteam_ontruiming_sample, {"agency": {"kind": "rvig"}}), "agency-kind-not-allowed")

test_wijkteam_ontruiming_needs_the_mandate if testing.all_refused(testing.changed(wijkteam_ontruiming_sample, {"agency": {"mandates": ["jeugdwet", "leerplicht", "participatiewet", "wmo"]}}), "mandate-missing")

test_wijkteam_ontruiming_needs_no_other_mandate if testing.all_granted(testing.changed(wijkteam_ontruiming_sample, {"agency": {"mandates": ["wgs"]}}))

test_wijkteam_ontruiming_not_in_another_municipality if testing.all_refused(testing.changed(wijkteam_ontruiming_sample, {"relation": {"municipality": "other"}}), "other-municipality")

test_wijkteam_ontruiming_not_in_an_unknown_municipality if testing.all_refused(testing.changed(wijkteam_ontruiming_sample, {"relation": {"municipality": "unknown"}}), "other-municipality")

test_wijkteam_ontruiming_needs_no_coordination if testing.all_granted(testing.changed(wijkteam_ontruiming_sample, {"relation": {"coordinator": false}}))

test_wijkteam_ontruiming_needs_consent_or_release if testing.only_refused(testing.changed(wijkteam_ontruiming_sample, {"subject": {"consent": [], "release": []}}), {"release-missing": {
	"ggz.behandelaar.contact",
}})

test_wijkteam_ontruiming_takes_no_release_for_consent if testing.all_granted(testing.changed(wijkteam_ontruiming_sample, {"subject": {"consent": []}}))

test_wijkteam_ontruiming_takes_no_consent_for_release if testing.only_refused(testing.changed(wijkteam_ontruiming_sample, {"subject": {"release": []}}), {"release-missing": {
	"ggz.behandelaar.contact",
}})

test_wijkteam_ontruiming_not_at_age_0_11 if testing.only_refused(testing.changed(wijkteam_ontruiming_sample, {"subject": {"age": "0-11"}}), {"release-missing": {
	"ggz.behandelaar.contact",
}})

test_wijkteam_ontruiming_not_at_age_12_15 if testing.only_refused(testing.changed(wijkteam_ontruiming_sample, {"subject": {"age": "12-15"}}), {"release-missing": {
	"ggz.behandelaar.contact",
}})

test_wijkteam_ontruiming_not_at_age_unknown if testing.only_refused(testing.changed(wijkteam_ontruiming_sample, {"subject": {"age": "unknown"}}), {"release-missing": {
	"ggz.behandelaar.contact",
}})

test_wijkteam_ontruiming_from_sixteen if testing.all_granted(testing.changed(wijkteam_ontruiming_sample, {"subject": {"age": "16-17"}}))

test_wijkteam_ontruiming_off_when_switched_off if {
	testing.all_refused(wijkteam_ontruiming_sample, "not-in-force") with data.schakel.settings.switched_off as ["ontruiming-voorkomen"]
}

test_wijkteam_ontruiming_never_for_enforcement if {
	testing.all_refused(wijkteam_ontruiming_sample, "care-not-for-enforcement") with data.schakel.settings.enforcement as ["ontruiming-voorkomen"]
}

test_wijkteam_ontruiming_not_for_the_household_as_a_whole if testing.only_refused(testing.changed(wijkteam_ontruiming_sample, {"subject": {"kind": "household"}}), {"wrong-subject": {
	"contact.emailadres",
	"ggz.behandelaar.contact",
	"persoon.adressering.adresregel1",
	"persoon.indicatieCurateleRegister",
	"schulden.beslag",
	"schulden.totaalbedrag",
}})
