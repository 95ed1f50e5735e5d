package schakel.law.jeugd_jeugdhulp_test

import data.schakel.testing

# jeugdconsulent, jeugdhulp-toegang: precies dit en niets anders – exactly this and nothing else.
test_jeugdhulp_gives_exactly if {
	found := testing.decision(testing.asked("jeugdconsulent", "jeugdhulp-toegang", "gemeente"))
	found.grants == testing.flat({
		"jeugdwet-2.3": {
			"exact": {
				"contact.emailadres",
				"contact.telefoonnummer",
				"contact.vertegenwoordiger",
				"contact.voorkeurstaal",
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
		"jeugdwet-7.4.0": {
			"exact": {
				"ggz.behandelaar.contact",
				"jeugd.aanbieder.contact",
				"jeugd.voorziening.einddatum",
				"onderwijs.zorgcoordinator.contact",
			},
			"yes-no": {
				"jeugd.ondertoezichtstelling",
				"jeugd.voorziening.actief",
			},
		},
	})
	testing.refusals(found) == testing.rest(found, {
		"contact-only": {
			"ggz.inBehandeling",
			"onderwijs.school",
			"onderwijs.verzuim.uren",
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
jeugdhulp_sample := testing.changed(testing.asked("jeugdconsulent", "jeugdhulp-toegang", "gemeente"), {"fields": {
	"contact.emailadres",
	"ggz.behandelaar.contact",
	"jeugd.aanbieder.contact",
	"jeugd.ondertoezichtstelling",
	"onderwijs.zorgcoordinator.contact",
	"persoon.adressering.adresregel1",
	"persoon.indicatieCurateleRegister",
}})

test_jeugdhulp_needs_the_case if testing.all_refused(testing.changed(jeugdhulp_sample, {"relation": {"case": "agency"}}), "no-relation")

test_jeugdhulp_works_for_the_team if testing.all_granted(testing.changed(jeugdhulp_sample, {"relation": {"case": "team"}}))

test_jeugdhulp_needs_no_signal_or_claim if testing.all_granted(testing.changed(jeugdhulp_sample, {"relation": {"signal": false, "claim": false}}))

test_jeugdhulp_needs_an_agreement if testing.all_refused(testing.changed(jeugdhulp_sample, {"agreements": []}), "no-agreement")

test_jeugdhulp_needs_the_right_kind if testing.all_refused(testing.changed(jeugdhulp_sample, {"agency": {"kind": "rvig"}}), "agency-kind-not-allowed")

test_jeugdhulp_needs_the_mandate if testing.all_refused(testing.changed(jeugdhulp_sample, {"agency": {"mandates": ["leerplicht", "participatiewet", "wgs", "wmo"]}}), "mandate-missing")

test_jeugdhulp_needs_no_other_mandate if testing.all_granted(testing.changed(jeugdhulp_sample, {"agency": {"mandates": ["jeugdwet"]}}))

test_jeugdhulp_not_in_another_municipality if testing.all_refused(testing.changed(jeugdhulp_sample, {"relation": {"municipality": "other"}}), "other-municipality")

test_jeugdhulp_not_in_an_unknown_municipality if testing.all_refused(testing.changed(jeugdhulp_sample, {"relation": {"municipality": "unknown"}}), "other-municipality")

test_jeugdhulp_needs_no_coordination if testing.all_granted(testing.changed(jeugdhulp_sample, {"relation": {"coordinator": false}}))

test_jeugdhulp_needs_consent_or_release if testing.only_refused(testing.changed(jeugdhulp_sample, {"subject": {"consent": [], "release": []}}), {
	"consent-missing": {
		"onderwijs.zorgcoordinator.contact",
	},
	"release-missing": {
		"ggz.behandelaar.contact",
	},
})

test_jeugdhulp_takes_no_release_for_consent if testing.only_refused(testing.changed(jeugdhulp_sample, {"subject": {"consent": []}}), {"consent-missing": {
	"onderwijs.zorgcoordinator.contact",
}})

test_jeugdhulp_takes_no_consent_for_release if testing.only_refused(testing.changed(jeugdhulp_sample, {"subject": {"release": []}}), {"release-missing": {
	"ggz.behandelaar.contact",
}})

test_jeugdhulp_not_at_age_0_11 if testing.only_refused(testing.changed(jeugdhulp_sample, {"subject": {"age": "0-11"}}), {
	"consent-missing": {
		"onderwijs.zorgcoordinator.contact",
	},
	"release-missing": {
		"ggz.behandelaar.contact",
	},
})

test_jeugdhulp_not_at_age_12_15 if testing.only_refused(testing.changed(jeugdhulp_sample, {"subject": {"age": "12-15"}}), {
	"consent-missing": {
		"onderwijs.zorgcoordinator.contact",
	},
	"release-missing": {
		"ggz.behandelaar.contact",
	},
})

test_jeugdhulp_not_at_age_unknown if testing.only_refused(testing.changed(jeugdhulp_sample, {"subject": {"age": "unknown"}}), {
	"consent-missing": {
		"onderwijs.zorgcoordinator.contact",
	},
	"release-missing": {
		"ggz.behandelaar.contact",
	},
})

test_jeugdhulp_from_sixteen if testing.all_granted(testing.changed(jeugdhulp_sample, {"subject": {"age": "16-17"}}))

test_jeugdhulp_off_when_switched_off if {
	testing.all_refused(jeugdhulp_sample, "not-in-force") with data.schakel.settings.switched_off as ["jeugdhulp-toegang"]
}

test_jeugdhulp_never_for_enforcement if {
	testing.all_refused(jeugdhulp_sample, "care-not-for-enforcement") with data.schakel.settings.enforcement as ["jeugdhulp-toegang"]
}

test_jeugdhulp_not_for_the_household_as_a_whole if testing.only_refused(testing.changed(jeugdhulp_sample, {"subject": {"kind": "household"}}), {"wrong-subject": {
	"contact.emailadres",
	"ggz.behandelaar.contact",
	"jeugd.aanbieder.contact",
	"jeugd.ondertoezichtstelling",
	"onderwijs.zorgcoordinator.contact",
	"persoon.adressering.adresregel1",
	"persoon.indicatieCurateleRegister",
}})
