package schakel.conditions_test

import data.schakel.testing

team := testing.asked("wijkteammedewerker", "ontruiming-voorkomen", "welzijnsorganisatie")

# Een welzijnsorganisatie met het mandaat doet het wijkteam – A welfare organisation with the mandate runs the team.
test_a_mandated_team if testing.all_granted(testing.changed(team, {"fields": ["persoon.burgerservicenummer", "huur.contactpersoon"]}))

test_a_team_without_mandate if {
	found := testing.decision(testing.changed(team, {"agency": {"mandates": []}, "fields": ["persoon.burgerservicenummer", "huur.contactpersoon"]}))
	testing.refusals(found) == {
		"persoon.burgerservicenummer": {"mandate-missing", "no-bsn-ground"},
		"huur.contactpersoon": {"mandate-missing"},
	}
}

test_a_mandated_credit_bank if {
	asked := testing.asked("schuldhulpverlener", "schuldhulp-uitvoering", "kredietbank")
	testing.all_granted(testing.changed(asked, {"fields": ["persoon.burgerservicenummer", "schulden.totaalbedrag"]}))
}

test_the_right_kind_of_every_role if {
	every role, kind in {
		"medewerker-vroegsignalering": "welzijnsorganisatie",
		"wijkteammedewerker": "woningcorporatie",
		"casusregisseur": "kredietbank",
		"schuldhulpverlener": "welzijnsorganisatie",
	} {
		not kind in data.schakel.settings.roles[role].kinds
	}
}

# Het burgerservicenummer – The BSN.
test_the_bsn_never_without_ground if {
	asked := testing.changed(testing.asked("wijkteammedewerker", "ontruiming-voorkomen", "woningcorporatie"), {"fields": ["persoon.burgerservicenummer"]})
	testing.all_refused(asked, "no-bsn-ground") with data.schakel.settings.roles as {"wijkteammedewerker": {"relation": "case", "kinds": ["woningcorporatie"]}}
}

test_the_bsn_of_an_unknown_kind if {
	asked := testing.changed(testing.asked("wijkteammedewerker", "ontruiming-voorkomen", "waterschap"), {"fields": ["persoon.burgerservicenummer"]})
	testing.all_refused(asked, "no-bsn-ground") with data.schakel.settings.roles as {"wijkteammedewerker": {"relation": "case", "kinds": ["waterschap"]}}
}

test_the_bsn_of_a_municipality_without_mandate if {
	asked := testing.asked("jeugdbeschermer", "ondertoezichtstelling", "gecertificeerde-instelling")
	testing.all_granted(testing.changed(asked, {"agency": {"mandates": []}, "fields": ["persoon.burgerservicenummer"]}))
}

# Verstrekkingsbeperking – Restricted disclosure.
restricted := {"subject": {"disclosure_restricted": true}, "fields": ["contact.emailadres", "huur.contactpersoon", "persoon.adressering.adresregel1", "persoon.leeftijd"]}

test_a_municipality_keeps_the_address if {
	testing.all_granted(testing.changed(testing.asked("wijkteammedewerker", "ontruiming-voorkomen", "gemeente"), restricted))
}

test_a_youth_protector_keeps_the_address if {
	asked := testing.asked("jeugdbeschermer", "ondertoezichtstelling", "gecertificeerde-instelling")
	testing.all_granted(testing.changed(asked, {"subject": {"disclosure_restricted": true}, "fields": ["persoon.adressering.adresregel1"]}))
}

test_a_third_party_loses_the_person if {
	testing.only_refused(testing.changed(team, restricted), {"disclosure-restricted": {"persoon.adressering.adresregel1", "persoon.leeftijd"}})
}

# Bijzondere persoonsgegevens – Special categories.
test_e_is_no_ground_for_a_special_category if {
	asked := testing.asked("schuldhulpverlener", "schuldhulp-toegang", "gemeente")
	testing.only_refused(testing.changed(asked, {"fields": ["uitkering.arbeidsongeschiktheid", "uitkering.bijstand.actief"]}), {"special-category": {"uitkering.arbeidsongeschiktheid"}}) with data.schakel.settings.never as []
}

test_v_is_no_ground_for_a_special_category if {
	special := [object.union(field, {"class": "bijzonder"}) | some field in data.schakel.catalog.fields]
	asked := testing.changed(testing.asked("medewerker-minimaregelingen", "kindregeling", "gemeente"), {"fields": ["inkomen.verzamelinkomen"]})
	testing.all_granted(asked)
	testing.all_refused(asked, "special-category") with data.schakel.catalog.fields as special
}

test_consent_is_no_ground_for_a_special_category if {
	special := [object.union(field, {"class": "bijzonder"}) | some field in data.schakel.catalog.fields]
	every asked in [
		testing.changed(testing.asked("ggz-behandelaar", "behandeling-afstemmen", "ggz-aanbieder"), {"fields": ["contact.emailadres"]}),
		testing.changed(testing.asked("medewerker-invordering", "invordering-opschorten", "belastingdienst"), {"fields": ["schulden.schuldhulptraject"]}),
	] {
		testing.all_granted(asked)
		testing.all_refused(asked, "special-category") with data.schakel.catalog.fields as special
	}
}

# Elk veld kan vol gegeven worden, zodat elke weigering een reden heeft – Every field has a full form, so that every
# refusal has a reason.
test_every_field_has_a_full_form if {
	every entry in data.schakel.catalog.fields {
		count({"exact", "yes-no", "age-band"} & {form | some form in entry.forms}) > 0
	}
}
