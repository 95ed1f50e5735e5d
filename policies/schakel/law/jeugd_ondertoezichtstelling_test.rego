package schakel.law.jeugd_ondertoezichtstelling_test

import data.schakel.testing

# jeugdbeschermer, ondertoezichtstelling: precies dit en niets anders – exactly this and nothing else.
test_ondertoezichtstelling_gives_exactly if {
	found := testing.decision(testing.asked("jeugdbeschermer", "ondertoezichtstelling", "gecertificeerde-instelling"))
	found.grants == testing.flat({
		"jeugdwet-7.3.11-4": {
			"age-band": {
				"huishouden.leeftijdenKinderen",
			},
			"exact": {
				"contact.emailadres",
				"contact.telefoonnummer",
				"contact.vertegenwoordiger",
				"contact.voorkeurstaal",
				"ggz.behandelaar.contact",
				"huishouden.aantalPersonen",
				"jeugd.aanbieder.contact",
				"jeugd.voorziening.einddatum",
				"onderwijs.school",
				"onderwijs.verzuim.uren",
				"onderwijs.zorgcoordinator.contact",
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
				"jeugd.ondertoezichtstelling",
				"jeugd.voorziening.actief",
				"persoon.indicatieCurateleRegister",
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
ondertoezichtstelling_sample := testing.changed(testing.asked("jeugdbeschermer", "ondertoezichtstelling", "gecertificeerde-instelling"), {"fields": {
	"contact.emailadres",
	"ggz.behandelaar.contact",
	"huishouden.aantalPersonen",
	"huishouden.leeftijdenKinderen",
	"huishouden.minderjarigenAanwezig",
	"jeugd.aanbieder.contact",
	"jeugd.ondertoezichtstelling",
	"onderwijs.school",
	"persoon.adressering.adresregel1",
	"persoon.indicatieCurateleRegister",
}})

test_ondertoezichtstelling_needs_the_case if testing.all_refused(testing.changed(ondertoezichtstelling_sample, {"relation": {"case": "agency"}}), "no-relation")

test_ondertoezichtstelling_works_for_the_team if testing.all_granted(testing.changed(ondertoezichtstelling_sample, {"relation": {"case": "team"}}))

test_ondertoezichtstelling_needs_no_signal_or_claim if testing.all_granted(testing.changed(ondertoezichtstelling_sample, {"relation": {"signal": false, "claim": false}}))

test_ondertoezichtstelling_needs_an_agreement if testing.all_refused(testing.changed(ondertoezichtstelling_sample, {"agreements": []}), "no-agreement")

test_ondertoezichtstelling_needs_the_right_kind if testing.all_refused(testing.changed(ondertoezichtstelling_sample, {"agency": {"kind": "rvig"}}), "agency-kind-not-allowed")

test_ondertoezichtstelling_needs_no_mandate if testing.all_granted(testing.changed(ondertoezichtstelling_sample, {"agency": {"mandates": []}, "relation": {"municipality": "unknown"}}))

test_ondertoezichtstelling_needs_no_coordination if testing.all_granted(testing.changed(ondertoezichtstelling_sample, {"relation": {"coordinator": false}}))

test_ondertoezichtstelling_needs_no_consent if testing.all_granted(testing.changed(ondertoezichtstelling_sample, {"subject": {"consent": [], "release": [], "age": "unknown"}}))

test_ondertoezichtstelling_off_when_switched_off if {
	testing.all_refused(ondertoezichtstelling_sample, "not-in-force") with data.schakel.settings.switched_off as ["ondertoezichtstelling"]
}

test_ondertoezichtstelling_never_for_enforcement if {
	testing.all_refused(ondertoezichtstelling_sample, "care-not-for-enforcement") with data.schakel.settings.enforcement as ["ondertoezichtstelling"]
}

test_ondertoezichtstelling_not_for_the_household_as_a_whole if testing.only_refused(testing.changed(ondertoezichtstelling_sample, {"subject": {"kind": "household"}}), {"wrong-subject": {
	"contact.emailadres",
	"ggz.behandelaar.contact",
	"jeugd.aanbieder.contact",
	"jeugd.ondertoezichtstelling",
	"onderwijs.school",
	"persoon.adressering.adresregel1",
	"persoon.indicatieCurateleRegister",
}})
