package schakel.law.opvraag_test

import data.schakel.testing

key := {
	"persoon.naam.voornamen",
	"persoon.naam.voorvoegsel",
	"persoon.naam.geslachtsnaam",
	"persoon.geboorte.datum",
	"persoon.adressering.adresregel1",
	"persoon.adressering.adresregel2",
}

# Zo vraagt Schakel het voordat een houder bevraagd wordt – So Schakel asks before a holder is asked.
lookup(kind, purpose) := testing.changed(testing.base, {
	"agency": {"kind": kind, "mandates": []},
	"role": "gegevenshouder",
	"purpose": purpose,
	"relation": {"case": "agency", "coordinator": false, "signal": false, "claim": false, "municipality": "unknown"},
	"subject": {"age": "unknown", "consent": [], "release": []},
	"agreements": ["persoon"],
	"fields": key,
})

allowed := {
	"woningcorporatie": {"vroegsignalering", "ontruiming-voorkomen", "schuldhulp-toegang", "schuldhulp-uitvoering"},
	"energieleverancier": {"vroegsignalering", "afsluiting-voorkomen", "schuldhulp-toegang", "schuldhulp-uitvoering"},
	"drinkwaterbedrijf": {"vroegsignalering", "afsluiting-voorkomen", "schuldhulp-toegang", "schuldhulp-uitvoering"},
}

test_a_holder_gets_the_key if {
	every kind, purposes in allowed {
		every purpose in purposes {
			testing.decision(lookup(kind, purpose)) == {
				"grants": {path: {"form": "exact", "basis": "wgs-8"} | some path in key},
				"refusals": {},
				"obligations": {"use-for-lookup-only"},
			}
		}
	}
}

test_not_for_another_purpose if {
	every kind, purposes in allowed {
		every purpose in {term.id | some term in data.schakel.catalog.purposes} - ({"handhaving", "gecoordineerde-aanpak"} | purposes) {
			testing.all_refused(lookup(kind, purpose), "purpose-not-allowed")
		}
	}
}

test_nothing_but_the_key if {
	asked := testing.changed(lookup("woningcorporatie", "ontruiming-voorkomen"), {"fields": testing.paths, "agreements": testing.domains})
	object.keys(testing.decision(asked).grants) == key
}

test_not_another_kind if {
	every kind in {"gemeente", "kredietbank", "welzijnsorganisatie", "zorgverzekeraar"} {
		testing.all_refused(lookup(kind, "ontruiming-voorkomen"), "purpose-not-allowed")
	}
}

test_a_restricted_person_is_not_looked_up if {
	every kind, purposes in allowed {
		every purpose in purposes {
			asked := testing.changed(lookup(kind, purpose), {"subject": {"disclosure_restricted": true}})
			testing.all_refused(asked, "disclosure-restricted")
		}
	}
}

test_only_where_the_holder_is_named if {
	every relation in {"none", "assigned", "team"} {
		asked := testing.changed(lookup("woningcorporatie", "ontruiming-voorkomen"), {"relation": {"case": relation}})
		testing.all_refused(asked, "no-relation")
	}
}

test_only_with_an_agreement_on_the_person if {
	testing.all_refused(testing.changed(lookup("woningcorporatie", "ontruiming-voorkomen"), {"agreements": ["huur"]}), "no-agreement")
}

test_only_about_a_person if {
	testing.all_refused(testing.changed(lookup("woningcorporatie", "ontruiming-voorkomen"), {"subject": {"kind": "household"}}), "wrong-subject")
}

test_the_holder_is_no_worker if {
	asked := testing.changed(lookup("woningcorporatie", "ontruiming-voorkomen"), {"role": "medewerker-sociale-incasso", "relation": {"claim": true}})
	testing.all_refused(asked, "purpose-not-allowed")
}

test_no_special_category_in_the_key if {
	special := [object.union(field, {"class": "bijzonder"}) | some field in data.schakel.catalog.fields]
	testing.all_refused(lookup("woningcorporatie", "ontruiming-voorkomen"), "special-category") with data.schakel.catalog.fields as special
}

test_no_emergency_for_a_holder if {
	asked := testing.changed(lookup("woningcorporatie", "ontruiming-voorkomen"), {
		"emergency": {"active": true, "domains": ["ggz"]},
		"agreements": ["ggz"],
		"fields": ["ggz.behandelaar.contact"],
	})
	testing.all_refused(asked, "purpose-not-allowed")
}
