package schakel.law.leerplicht_schoolverzuim_test

import data.schakel.testing

# leerplichtambtenaar, schoolverzuim-aanpak: precies dit en niets anders – exactly this and nothing else.
test_schoolverzuim_gives_exactly if {
	found := testing.decision(testing.asked("leerplichtambtenaar", "schoolverzuim-aanpak", "gemeente"))
	found.grants == testing.flat({
		"leerplichtwet-21a": {
			"exact": {
				"contact.emailadres",
				"contact.telefoonnummer",
				"contact.vertegenwoordiger",
				"contact.voorkeurstaal",
				"jeugd.aanbieder.contact",
				"onderwijs.school",
				"onderwijs.verzuim.uren",
				"onderwijs.zorgcoordinator.contact",
				"persoon.adressering.adresregel1",
				"persoon.adressering.adresregel2",
				"persoon.burgerservicenummer",
				"persoon.geboorte.datum",
				"persoon.gemeenteVanInschrijving",
				"persoon.gezag",
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
				"persoon.indicatieCurateleRegister",
			},
		},
	})
	testing.refusals(found) == testing.rest(found, {
		"contact-only": {
			"jeugd.ondertoezichtstelling",
			"jeugd.voorziening.actief",
			"jeugd.voorziening.einddatum",
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
schoolverzuim_sample := testing.changed(testing.asked("leerplichtambtenaar", "schoolverzuim-aanpak", "gemeente"), {"fields": {
	"contact.emailadres",
	"jeugd.aanbieder.contact",
	"onderwijs.school",
	"persoon.adressering.adresregel1",
	"persoon.indicatieCurateleRegister",
}})

test_schoolverzuim_needs_the_case if testing.all_refused(testing.changed(schoolverzuim_sample, {"relation": {"case": "agency"}}), "no-relation")

test_schoolverzuim_works_for_the_team if testing.all_granted(testing.changed(schoolverzuim_sample, {"relation": {"case": "team"}}))

test_schoolverzuim_needs_no_signal_or_claim if testing.all_granted(testing.changed(schoolverzuim_sample, {"relation": {"signal": false, "claim": false}}))

test_schoolverzuim_needs_an_agreement if testing.all_refused(testing.changed(schoolverzuim_sample, {"agreements": []}), "no-agreement")

test_schoolverzuim_needs_the_right_kind if testing.all_refused(testing.changed(schoolverzuim_sample, {"agency": {"kind": "rvig"}}), "agency-kind-not-allowed")

test_schoolverzuim_needs_the_mandate if testing.all_refused(testing.changed(schoolverzuim_sample, {"agency": {"mandates": ["jeugdwet", "participatiewet", "wgs", "wmo"]}}), "mandate-missing")

test_schoolverzuim_needs_no_other_mandate if testing.all_granted(testing.changed(schoolverzuim_sample, {"agency": {"mandates": ["leerplicht"]}}))

test_schoolverzuim_not_in_another_municipality if testing.all_refused(testing.changed(schoolverzuim_sample, {"relation": {"municipality": "other"}}), "other-municipality")

test_schoolverzuim_not_in_an_unknown_municipality if testing.all_refused(testing.changed(schoolverzuim_sample, {"relation": {"municipality": "unknown"}}), "other-municipality")

test_schoolverzuim_needs_no_coordination if testing.all_granted(testing.changed(schoolverzuim_sample, {"relation": {"coordinator": false}}))

test_schoolverzuim_needs_consent_or_release if testing.only_refused(testing.changed(schoolverzuim_sample, {"subject": {"consent": [], "release": []}}), {"release-missing": {
	"jeugd.aanbieder.contact",
}})

test_schoolverzuim_takes_no_release_for_consent if testing.all_granted(testing.changed(schoolverzuim_sample, {"subject": {"consent": []}}))

test_schoolverzuim_takes_no_consent_for_release if testing.only_refused(testing.changed(schoolverzuim_sample, {"subject": {"release": []}}), {"release-missing": {
	"jeugd.aanbieder.contact",
}})

test_schoolverzuim_not_at_age_0_11 if testing.only_refused(testing.changed(schoolverzuim_sample, {"subject": {"age": "0-11"}}), {"release-missing": {
	"jeugd.aanbieder.contact",
}})

test_schoolverzuim_not_at_age_12_15 if testing.only_refused(testing.changed(schoolverzuim_sample, {"subject": {"age": "12-15"}}), {"release-missing": {
	"jeugd.aanbieder.contact",
}})

test_schoolverzuim_not_at_age_unknown if testing.only_refused(testing.changed(schoolverzuim_sample, {"subject": {"age": "unknown"}}), {"release-missing": {
	"jeugd.aanbieder.contact",
}})

test_schoolverzuim_from_sixteen if testing.all_granted(testing.changed(schoolverzuim_sample, {"subject": {"age": "16-17"}}))

test_schoolverzuim_off_when_switched_off if {
	testing.all_refused(schoolverzuim_sample, "not-in-force") with data.schakel.settings.switched_off as ["schoolverzuim-aanpak"]
}

test_schoolverzuim_never_for_enforcement if {
	testing.all_refused(schoolverzuim_sample, "care-not-for-enforcement") with data.schakel.settings.enforcement as ["schoolverzuim-aanpak"]
}

test_schoolverzuim_not_for_the_household_as_a_whole if testing.only_refused(testing.changed(schoolverzuim_sample, {"subject": {"kind": "household"}}), {"wrong-subject": {
	"contact.emailadres",
	"jeugd.aanbieder.contact",
	"onderwijs.school",
	"persoon.adressering.adresregel1",
	"persoon.indicatieCurateleRegister",
}})
