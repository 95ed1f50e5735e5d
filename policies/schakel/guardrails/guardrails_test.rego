package schakel.guardrails_test

import data.schakel.guardrails

# Een gegeven waaraan niets mis is – A grant with nothing wrong.
base := {
	"v": 1,
	"agency": {"kind": "gemeente", "mandates": ["wmo"]},
	"role": "wmo-consulent",
	"purpose": "wmo-onderzoek",
	"relation": {"case": "assigned", "coordinator": false, "signal": false, "claim": false, "municipality": "same"},
	"subject": {"kind": "person", "age": "18+", "disclosure_restricted": false, "consent": [], "release": []},
	"agreements": ["wmo"],
	"emergency": {"active": false, "domains": []},
	"field": {"path": "wmo.aanbieder.contact", "domain": "wmo", "class": "bijzonder", "forms": ["exact"], "subject": "person", "label": {}, "holders": []},
	"grant": {"form": "exact", "basis": "wmo-5.1.1"},
	"obligations": [],
	"calm": true,
}

broken(change) := found if found := guardrails.broken with input as object.union(base, change)

test_nothing_wrong if broken({}) == set()

test_special_needs_an_exception if {
	broken({"grant": {"basis": "wgs-3-1b"}}) == {"special-category-exception"}
	broken({"field": {"domain": "uitkering"}}) == {"special-category-exception"}
	broken({"field": {"domain": "uitkering", "class": "gewoon"}}) == set()
}

test_a_domain_is_special_whatever_the_catalog_says if {
	broken({"field": {"class": "gewoon"}, "grant": {"basis": "wgs-3-1b"}}) == {"special-category-exception"}
}

test_an_exception_has_an_article if {
	nameless := [{"basis": "wmo-5.1.1", "domains": ["wmo"], "by": "statute", "article": ""}]
	found := guardrails.broken with input as base with data.schakel.guardrails.law.exceptions as nameless
	found == {"special-category-exception"}
}

test_release_is_for_the_domain if {
	ggz := {"field": {"domain": "ggz"}}
	broken(ggz) == {"special-category-exception"}
	broken(object.union(ggz, {"subject": {"consent": ["ggz"], "release": ["wmo"]}})) == {"special-category-exception"}
	broken(object.union(ggz, {"subject": {"release": ["ggz"]}})) == set()
}

test_consent_is_for_the_domain if {
	consent := {"grant": {"basis": "avg-9-2a"}}
	broken(consent) == {"special-category-exception"}
	broken(object.union(consent, {"subject": {"consent": ["ggz"], "release": ["wmo"]}})) == {"special-category-exception"}
	broken(object.union(consent, {"subject": {"consent": ["wmo"]}})) == set()
}

test_vital_interest_needs_danger if {
	vital := {"grant": {"basis": "avg-9-2c"}}
	broken(vital) == {"special-category-exception"}
	broken(object.union(vital, {"emergency": {"active": true}})) == set()
}

bsn := {"field": {"path": "persoon.burgerservicenummer", "domain": "persoon", "class": "bsn"}}

agency(kind, mandates) := {"agency": {"kind": kind, "mandates": mandates}}

test_bsn_needs_a_ground if {
	broken(object.union(bsn, agency("gemeente", []))) == set()
	broken(object.union(bsn, agency("woningcorporatie", ["wgs"]))) == {"bsn-ground"}
	broken(object.union(bsn, agency("welzijnsorganisatie", ["wgs"]))) == set()
	broken(object.union(bsn, agency("welzijnsorganisatie", []))) == {"bsn-ground"}
}

test_a_bsn_is_one_by_class_or_by_name if {
	renamed := object.union(bsn, {"field": {"class": "gewoon"}})
	broken(object.union(renamed, agency("woningcorporatie", []))) == {"bsn-ground"}
	other := object.union(bsn, {"field": {"path": "persoon.nummer"}})
	broken(object.union(other, agency("woningcorporatie", []))) == {"bsn-ground"}
}

none := {"relation": {"case": "none"}}

test_nothing_without_a_tie if {
	broken(none) == {"no-relation"}
	broken({"relation": {"case": "none", "signal": true}}) == set()
	broken({"relation": {"case": "none", "claim": true}}) == set()
	broken(object.union(none, {"emergency": {"active": true}})) == set()
}

test_form_is_in_the_catalog if broken({"grant": {"form": "yes-no"}}) == {"form-in-catalog"}

test_care_is_not_for_enforcement if {
	broken({"purpose": "handhaving"}) == {"care-not-for-enforcement"}
	broken({"purpose": "handhaving", "field": {"domain": "huur", "class": "gevoelig"}}) == set()
}

test_an_emergency_opens_no_criminal_data if {
	criminal := {"field": {"path": "justitie.detentie.einddatum", "domain": "justitie", "class": "strafrechtelijk"}}
	danger := {"emergency": {"active": true}, "calm": false}
	broken(object.union(criminal, danger)) == {"no-criminal-in-emergency"}
	broken(criminal) == set()
	broken(object.union(danger, {"field": {"class": "gewoon", "domain": "justitie"}})) == {"no-criminal-in-emergency"}
	broken(object.union(danger, {"field": {"class": "strafrechtelijk", "domain": "huur"}})) == {"no-criminal-in-emergency"}
	broken(danger) == set()
}
