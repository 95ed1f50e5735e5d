package schakel.law.wmo_onderzoek_test

import data.schakel.testing

# wmo-consulent, wmo-onderzoek: precies dit en niets anders – exactly this and nothing else.
test_onderzoek_gives_exactly if {
	found := testing.decision(testing.asked("wmo-consulent", "wmo-onderzoek", "gemeente"))
	found.grants == testing.flat({
		"wmo-2.3.2": {
			"age-band": {
				"huishouden.leeftijdenKinderen",
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
			},
		},
		"wmo-5.1.1": {
			"exact": {
				"ggz.behandelaar.contact",
				"wmo.aanbieder.contact",
				"wmo.voorziening.soort",
			},
		},
	})
	testing.refusals(found) == testing.rest(found, {
		"contact-only": {
			"ggz.inBehandeling",
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
onderzoek_sample := testing.changed(testing.asked("wmo-consulent", "wmo-onderzoek", "gemeente"), {"fields": {
	"contact.emailadres",
	"ggz.behandelaar.contact",
	"huishouden.aantalPersonen",
	"huishouden.leeftijdenKinderen",
	"huishouden.minderjarigenAanwezig",
	"persoon.adressering.adresregel1",
	"persoon.indicatieCurateleRegister",
	"wmo.aanbieder.contact",
}})

test_onderzoek_needs_the_case if testing.all_refused(testing.changed(onderzoek_sample, {"relation": {"case": "agency"}}), "no-relation")

test_onderzoek_works_for_the_team if testing.all_granted(testing.changed(onderzoek_sample, {"relation": {"case": "team"}}))

test_onderzoek_needs_no_signal_or_claim if testing.all_granted(testing.changed(onderzoek_sample, {"relation": {"signal": false, "claim": false}}))

test_onderzoek_needs_an_agreement if testing.all_refused(testing.changed(onderzoek_sample, {"agreements": []}), "no-agreement")

test_onderzoek_needs_the_right_kind if testing.all_refused(testing.changed(onderzoek_sample, {"agency": {"kind": "rvig"}}), "agency-kind-not-allowed")

test_onderzoek_needs_the_mandate if testing.all_refused(testing.changed(onderzoek_sample, {"agency": {"mandates": ["jeugdwet", "leerplicht", "participatiewet", "wgs"]}}), "mandate-missing")

test_onderzoek_needs_no_other_mandate if testing.all_granted(testing.changed(onderzoek_sample, {"agency": {"mandates": ["wmo"]}}))

test_onderzoek_not_in_another_municipality if testing.all_refused(testing.changed(onderzoek_sample, {"relation": {"municipality": "other"}}), "other-municipality")

test_onderzoek_not_in_an_unknown_municipality if testing.all_refused(testing.changed(onderzoek_sample, {"relation": {"municipality": "unknown"}}), "other-municipality")

test_onderzoek_needs_no_coordination if testing.all_granted(testing.changed(onderzoek_sample, {"relation": {"coordinator": false}}))

test_onderzoek_needs_consent_or_release if testing.only_refused(testing.changed(onderzoek_sample, {"subject": {"consent": [], "release": []}}), {"release-missing": {
	"ggz.behandelaar.contact",
}})

test_onderzoek_takes_no_release_for_consent if testing.all_granted(testing.changed(onderzoek_sample, {"subject": {"consent": []}}))

test_onderzoek_takes_no_consent_for_release if testing.only_refused(testing.changed(onderzoek_sample, {"subject": {"release": []}}), {"release-missing": {
	"ggz.behandelaar.contact",
}})

test_onderzoek_not_at_age_0_11 if testing.only_refused(testing.changed(onderzoek_sample, {"subject": {"age": "0-11"}}), {"release-missing": {
	"ggz.behandelaar.contact",
}})

test_onderzoek_not_at_age_12_15 if testing.only_refused(testing.changed(onderzoek_sample, {"subject": {"age": "12-15"}}), {"release-missing": {
	"ggz.behandelaar.contact",
}})

test_onderzoek_not_at_age_unknown if testing.only_refused(testing.changed(onderzoek_sample, {"subject": {"age": "unknown"}}), {"release-missing": {
	"ggz.behandelaar.contact",
}})

test_onderzoek_from_sixteen if testing.all_granted(testing.changed(onderzoek_sample, {"subject": {"age": "16-17"}}))

test_onderzoek_off_when_switched_off if {
	testing.all_refused(onderzoek_sample, "not-in-force") with data.schakel.settings.switched_off as ["wmo-onderzoek"]
}

test_onderzoek_never_for_enforcement if {
	testing.all_refused(onderzoek_sample, "care-not-for-enforcement") with data.schakel.settings.enforcement as ["wmo-onderzoek"]
}

test_onderzoek_not_for_the_household_as_a_whole if testing.only_refused(testing.changed(onderzoek_sample, {"subject": {"kind": "household"}}), {"wrong-subject": {
	"contact.emailadres",
	"ggz.behandelaar.contact",
	"persoon.adressering.adresregel1",
	"persoon.indicatieCurateleRegister",
	"wmo.aanbieder.contact",
}})
