package schakel.law.noodsituatie_test

import data.schakel.testing

secret := {"ggz.behandelaar.contact", "jeugd.aanbieder.contact", "wmo.aanbieder.contact"}

emergency := {
	"subject": {"consent": [], "release": []},
	"emergency": {"active": true, "domains": ["ggz", "jeugd", "wmo"]},
	"fields": secret,
}

team := testing.changed(testing.asked("wijkteammedewerker", "afsluiting-voorkomen", "gemeente"), emergency)

# Zonder noodsituatie niets, met noodsituatie contact – Without an emergency nothing, with one contact.
test_an_emergency_gives_contact if {
	testing.decision(team) == {
		"grants": {path: {"form": "exact", "basis": "avg-9-2c"} | some path in secret},
		"refusals": {},
		"obligations": {"inform-directly", "record-balance"},
	}
}

test_only_contact if {
	all := testing.changed(team, {"fields": testing.paths, "agreements": ["ggz", "jeugd", "wmo"]})
	object.keys(testing.decision(all).grants) == secret
}

test_only_in_an_emergency if {
	testing.all_refused(testing.changed(team, {"emergency": {"active": false}}), "purpose-not-allowed")
}

test_only_where_the_holder_agrees if {
	testing.only_refused(testing.changed(team, {"emergency": {"domains": ["wmo"]}}), {"purpose-not-allowed": {"ggz.behandelaar.contact", "jeugd.aanbieder.contact"}})
}

test_only_care_domains if {
	asked := testing.changed(team, {"emergency": {"domains": ["onderwijs", "schulden"]}, "fields": ["onderwijs.zorgcoordinator.contact", "schulden.aantalSchuldeisers"]})
	testing.refusals(testing.decision(asked)) == {
		"onderwijs.zorgcoordinator.contact": {"purpose-not-allowed"},
		"schulden.aantalSchuldeisers": {"form-unavailable"},
	}
}

test_only_with_an_agreement if testing.all_refused(testing.changed(team, {"agreements": []}), "purpose-not-allowed")

test_a_case_of_a_colleague_is_enough if testing.all_granted(testing.changed(team, {"relation": {"case": "agency"}}))

test_a_case_of_the_team_is_enough if testing.all_granted(testing.changed(team, {"relation": {"case": "team"}}))

test_no_case_is_not_enough if {
	testing.all_refused(testing.changed(team, {"relation": {"case": "none", "signal": false, "claim": false}}), "no-relation")
}

test_only_with_the_mandate if testing.all_refused(testing.changed(team, {"agency": {"mandates": ["jeugdwet", "wmo"]}}), "purpose-not-allowed")

test_only_in_the_own_municipality if testing.all_refused(testing.changed(team, {"relation": {"municipality": "other"}}), "purpose-not-allowed")

test_only_the_right_kind if testing.all_refused(testing.changed(team, {"agency": {"kind": "woningcorporatie"}}), "purpose-not-allowed")

test_only_about_a_person if testing.all_refused(testing.changed(team, {"subject": {"kind": "household"}}), "purpose-not-allowed")

test_never_what_is_never_shared if {
	testing.all_refused(testing.changed(team, {"fields": ["wmo.aanbieder.contact"]}), "never-shared") with data.schakel.settings.never as ["wmo.aanbieder.contact"]
}

test_not_when_switched_off if {
	testing.all_refused(team, "not-in-force") with data.schakel.settings.switched_off as ["afsluiting-voorkomen"]
}

test_not_for_enforcement if {
	testing.all_refused(team, "care-not-for-enforcement") with data.schakel.settings.enforcement as ["afsluiting-voorkomen"]
}

test_the_coordinator_coordinates if {
	asked := testing.changed(testing.asked("casusregisseur", "ontruiming-voorkomen", "gemeente"), emergency)
	testing.all_granted(asked)
	not testing.all_granted(testing.changed(asked, {"relation": {"coordinator": false}}))
}

# Met instemming blijft de gewone rij gelden – With release the ordinary row still holds.
test_release_goes_before_emergency if {
	asked := testing.changed(testing.asked("wijkteammedewerker", "ontruiming-voorkomen", "gemeente"), {
		"emergency": {"active": true, "domains": ["ggz"]},
		"fields": ["ggz.behandelaar.contact"],
	})
	found := testing.decision(asked)
	found.grants == {"ggz.behandelaar.contact": {"form": "exact", "basis": "wgbo-7-457"}}
	found.obligations == {"inform-household"}
}

roles := {
	["wijkteammedewerker", "ontruiming-voorkomen", "gemeente", "wgs"],
	["wijkteammedewerker", "afsluiting-voorkomen", "welzijnsorganisatie", "wgs"],
	["casusregisseur", "ontruiming-voorkomen", "gemeente", "wgs"],
	["schuldhulpverlener", "schuldhulp-toegang", "gemeente", "wgs"],
	["schuldhulpverlener", "schuldhulp-uitvoering", "kredietbank", "wgs"],
	["wmo-consulent", "wmo-onderzoek", "gemeente", "wmo"],
	["jeugdconsulent", "jeugdhulp-toegang", "gemeente", "jeugdwet"],
}

test_who_may_in_an_emergency if {
	every row in roles {
		[role, purpose, kind, mandate] := row
		asked := testing.changed(testing.asked(role, purpose, kind), emergency)
		testing.all_granted(testing.changed(asked, {"agency": {"mandates": [mandate]}, "relation": {"case": "agency"}}))
		testing.all_refused(testing.changed(asked, {"agency": {"mandates": [mandate]}, "relation": {"case": "agency", "municipality": "unknown"}}), "no-relation")
	}
}

test_the_youth_protector_in_an_emergency if {
	asked := testing.changed(testing.asked("jeugdbeschermer", "ondertoezichtstelling", "gecertificeerde-instelling"), emergency)
	testing.all_granted(testing.changed(asked, {"agency": {"mandates": []}, "relation": {"case": "agency", "municipality": "unknown"}}))
}

# Wie geen hulp biedt, krijgt niets extra – Who offers no help gets nothing more.
others := {
	["medewerker-vroegsignalering", "vroegsignalering", "gemeente"],
	["inkomensconsulent", "bijstand-beoordelen", "gemeente"],
	["medewerker-minimaregelingen", "kindregeling", "gemeente"],
	["ggz-behandelaar", "behandeling-afstemmen", "ggz-aanbieder"],
	["medewerker-sociale-incasso", "ontruiming-voorkomen", "woningcorporatie"],
	["medewerker-invordering", "invordering-opschorten", "belastingdienst"],
	["wijkteammedewerker", "wmo-onderzoek", "gemeente"],
	["wijkteammedewerker", "jeugdhulp-toegang", "gemeente"],
	["wijkteammedewerker", "ondertoezichtstelling", "gemeente"],
	["wmo-consulent", "jeugdhulp-toegang", "gemeente"],
	["jeugdconsulent", "schuldhulp-toegang", "gemeente"],
	["jeugdbeschermer", "wmo-onderzoek", "gecertificeerde-instelling"],
}

test_who_may_not_in_an_emergency if {
	every row in others {
		[role, purpose, kind] := row
		testing.all_refused(testing.changed(testing.asked(role, purpose, kind), emergency), "purpose-not-allowed")
	}
}

test_enforcement_is_no_help if {
	testing.all_refused(testing.changed(testing.asked("sociaal-rechercheur", "handhaving", "gemeente"), emergency), "care-not-for-enforcement")
}
