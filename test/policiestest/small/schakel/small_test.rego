package schakel.small_test

import data.schakel.access

asked := {
	"v": 1,
	"agency": {"kind": "gemeente", "mandates": []},
	"role": "wijkteammedewerker",
	"purpose": "ontruiming-voorkomen",
	"relation": {"case": "assigned", "coordinator": false, "signal": false, "claim": false, "municipality": "same"},
	"subject": {"kind": "household", "age": "unknown", "disclosure_restricted": false, "consent": [], "release": []},
	"agreements": ["huur"],
	"emergency": {"active": false, "domains": []},
	"fields": ["huur.achterstand.bedrag"],
}

decided(change) := found if found := access.decision with input as object.union(asked, change)

refused(change) if {
	found := decided(change)
	found.grants == {}
}

test_rent if {
	found := decided({})
	found.grants == {"huur.achterstand.bedrag": {"form": "exact", "basis": "wgs-3-1b"}}
	found.obligations == {"inform-household"}
}

test_each_condition if {
	refused({"role": "wmo-consulent"})
	refused({"purpose": "wmo-onderzoek"})
	refused({"relation": {"case": "team"}})
	refused({"agreements": []})
	refused({"fields": ["huur.achterstand.maanden"]})
}

test_reasons if {
	decided({"relation": {"case": "none"}}).refusals == {"huur.achterstand.bedrag": {"no-relation"}}
	decided({"agreements": []}).refusals == {"huur.achterstand.bedrag": {"purpose-not-allowed"}}
}

test_an_unknown_field if refused({"fields": ["bestaat.niet"]})
