package schakel.reasons_test

import data.schakel.testing

# Wat de tabel weglaat – What the table omits.
pairs := {
	"medewerker-vroegsignalering": {"vroegsignalering"},
	"wijkteammedewerker": {"ontruiming-voorkomen", "afsluiting-voorkomen"},
	"casusregisseur": {"ontruiming-voorkomen"},
	"schuldhulpverlener": {"schuldhulp-toegang", "schuldhulp-uitvoering"},
	"inkomensconsulent": {"bijstand-beoordelen"},
	"medewerker-minimaregelingen": {"kindregeling"},
	"wmo-consulent": {"wmo-onderzoek"},
	"jeugdconsulent": {"jeugdhulp-toegang"},
	"jeugdbeschermer": {"ondertoezichtstelling"},
	"leerplichtambtenaar": {"schoolverzuim-aanpak"},
	"ggz-behandelaar": {"behandeling-afstemmen"},
	"medewerker-sociale-incasso": {"ontruiming-voorkomen"},
	"medewerker-invordering": {"invordering-opschorten"},
}

open_purposes := {purpose.id |
	some purpose in data.schakel.catalog.purposes
	not purpose.id in {"gecoordineerde-aanpak", "handhaving"}
}

workers := {role.id | some role in data.schakel.catalog.roles; role.id != "gegevenshouder"}

# Elke rol met elk doel dat niet bij haar hoort – Every role with every purpose that is not its own.
test_every_pair_the_table_omits if {
	every role in workers {
		every purpose in open_purposes - object.get(pairs, role, set()) {
			asked := testing.asked(role, purpose, "gemeente")
			testing.all_refused(testing.changed(asked, {"fields": ["persoon.leeftijd", "schulden.beslag"]}), "purpose-not-allowed")
		}
	}
}

test_the_enforcer_gets_nothing if {
	testing.all_refused(testing.asked("sociaal-rechercheur", "handhaving", "gemeente"), "care-not-for-enforcement")
}

test_nobody_gets_anything_for_enforcement if {
	every role in workers {
		asked := testing.asked(role, "handhaving", "gemeente")
		testing.all_refused(testing.changed(asked, {"fields": ["persoon.leeftijd", "ggz.diagnose"]}), "care-not-for-enforcement")
	}
}

test_the_enforcer_without_a_case if {
	asked := testing.changed(testing.asked("sociaal-rechercheur", "handhaving", "gemeente"), {"relation": {"case": "agency"}})
	testing.all_refused(testing.changed(asked, {"fields": ["schulden.beslag"]}), "no-relation")
}

test_wams_is_switched_off if {
	testing.all_refused(testing.asked("casusregisseur", "gecoordineerde-aanpak", "gemeente"), "not-in-force")
}

test_wams_switched_on_gives_nothing_by_itself if {
	asked := testing.asked("casusregisseur", "gecoordineerde-aanpak", "gemeente")
	testing.all_refused(testing.changed(asked, {"fields": ["persoon.leeftijd"]}), "purpose-not-allowed") with data.schakel.settings.switched_off as []
}

test_an_unknown_role if {
	asked := testing.asked("burgemeester", "ontruiming-voorkomen", "gemeente")
	testing.all_refused(testing.changed(asked, {"fields": ["persoon.leeftijd"]}), "role-unknown")
}

test_an_unknown_purpose if {
	asked := testing.asked("wijkteammedewerker", "nieuwsgierigheid", "gemeente")
	testing.all_refused(testing.changed(asked, {"fields": ["persoon.leeftijd"]}), "purpose-not-allowed")
}

test_consoles_get_no_household_data if {
	every role in {"privacy-officer", "functionaris-gegevensbescherming", "auditor"} {
		asked := testing.asked(role, "ontruiming-voorkomen", "gemeente")
		testing.all_refused(testing.changed(asked, {"fields": ["huishouden.minderjarigenAanwezig"]}), "purpose-not-allowed")
	}
}

# Elke ontbrekende voorwaarde wordt genoemd – Every missing condition is named.
test_all_missing_conditions_are_named if {
	asked := testing.changed(testing.asked("casusregisseur", "ontruiming-voorkomen", "woningcorporatie"), {
		"agency": {"mandates": []},
		"relation": {"municipality": "other", "coordinator": false},
		"subject": {"kind": "household", "disclosure_restricted": true},
		"fields": ["persoon.burgerservicenummer"],
	})
	testing.refusals(testing.decision(asked)) == {"persoon.burgerservicenummer": {
		"agency-kind-not-allowed",
		"coordinator-only",
		"disclosure-restricted",
		"mandate-missing",
		"no-bsn-ground",
		"other-municipality",
		"wrong-subject",
	}}
}

# Of een houder bij dit huishouden hoort, hoort niet wie het gegeven toch niet kreeg. – Whether a holder belongs to this
# household is not for those who would not have received the field anyway.
test_a_missing_agreement_stays_hidden_behind_a_missing_release if {
	asked := testing.changed(testing.asked("wijkteammedewerker", "ontruiming-voorkomen", "gemeente"), {"fields": ["ggz.behandelaar.contact"]})
	unreleased := testing.changed(asked, {"subject": {"release": []}})
	testing.all_refused(unreleased, "release-missing")
	testing.all_refused(testing.changed(unreleased, {"agreements": []}), "release-missing")
	testing.all_refused(testing.changed(asked, {"agreements": []}), "no-agreement")
}
