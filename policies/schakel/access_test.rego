package schakel.access_test

import data.schakel.access
import data.schakel.testing

# Het voorbeeld uit het ontwerp – The example of the design.
test_the_example if {
	access.decision == {
		"grants": {"huur.achterstand.bedrag": {"form": "exact", "basis": "wgs-8"}},
		"refusals": {"ggz.behandelaar.contact": {"release-missing"}},
		"obligations": {"inform-household"},
	} with input as {
		"v": 1,
		"agency": {"kind": "gemeente", "mandates": ["wgs"]},
		"role": "wijkteammedewerker",
		"purpose": "ontruiming-voorkomen",
		"relation": {"case": "assigned", "coordinator": false, "signal": false, "claim": false, "municipality": "same"},
		"subject": {"kind": "person", "age": "18+", "disclosure_restricted": false, "consent": ["schulden"], "release": []},
		"agreements": ["huur", "schulden"],
		"emergency": {"active": false, "domains": []},
		"fields": ["huur.achterstand.bedrag", "ggz.behandelaar.contact"],
	}
}

unrelated := {
	"v": 1,
	"agency": {"kind": "gemeente", "mandates": ["jeugdwet", "leerplicht", "participatiewet", "wgs", "wmo"]},
	"role": "wijkteammedewerker",
	"purpose": "ontruiming-voorkomen",
	"relation": {"case": "none", "coordinator": false, "signal": false, "claim": false, "municipality": "unknown"},
	"subject": {"kind": "household", "age": "unknown", "disclosure_restricted": false, "consent": [], "release": []},
	"agreements": [],
	"emergency": {"active": false, "domains": []},
	"fields": testing.paths,
}

# Onbekend is verboden: één reden, voor elk veld – Unknown is forbidden: one reason, for every field.
test_the_constant_query if testing.all_refused(unrelated, "no-relation")

# Voor elke rol en elk doel, ook die er niet toe doen – For every role and purpose, those that don't matter too.
test_the_constant_query_of_every_role if {
	every role in data.schakel.catalog.roles {
		testing.all_refused(object.union(unrelated, {"role": role.id, "fields": ["huur.contactpersoon", "x"]}), "no-relation")
	}
}

test_the_constant_query_of_every_purpose if {
	every purpose in data.schakel.catalog.purposes {
		testing.all_refused(object.union(unrelated, {"purpose": purpose.id, "fields": ["huur.contactpersoon"]}), "no-relation")
	}
}

# Een veld dat er niet is – A field that does not exist.
test_an_unknown_field if {
	asked := testing.asked("wijkteammedewerker", "ontruiming-voorkomen", "gemeente")
	testing.all_refused(testing.changed(asked, {"fields": ["huur.hond", "persoon", "bankrekening.saldo"]}), "field-unknown")
}

# Zonder velden een leeg besluit – Without fields an empty decision.
test_no_fields if {
	asked := testing.asked("wijkteammedewerker", "ontruiming-voorkomen", "gemeente")
	testing.decision(testing.changed(asked, {"fields": []})) == {"grants": {}, "refusals": {}, "obligations": set()}
}
