# Hulp voor de toetsen: een vraag waarbij aan elke voorwaarde is voldaan, en wat er verandert als één ervan wegvalt.
# Help for the tests: a question for which every condition holds, and what changes when one of them falls away.
package schakel.testing

import data.schakel.access

paths := {field.path | some field in data.schakel.catalog.fields}

domains := {field.domain | some field in data.schakel.catalog.fields}

base := {
	"v": 1,
	"agency": {"kind": "", "mandates": ["jeugdwet", "leerplicht", "participatiewet", "wgs", "wmo"]},
	"role": "",
	"purpose": "",
	"relation": {"case": "assigned", "coordinator": true, "signal": true, "claim": true, "municipality": "same"},
	"subject": {"kind": "person", "age": "18+", "disclosure_restricted": false, "consent": domains, "release": domains},
	"agreements": domains,
	"emergency": {"active": false, "domains": []},
	"fields": paths,
}

asked(role, purpose, kind) := changed(base, {"role": role, "purpose": purpose, "agency": {"kind": kind}})

changed(query, change) := object.union(query, change)

decision(query) := found if found := access.decision with input as query

refusals(found) := {path: {reason | some reason in reasons} | some path, reasons in found.refusals}

# Uitgeschreven per grondslag en vorm – Written out by basis and form.
flat(expected) := {path: {"form": form, "basis": basis} |
	some basis, forms in expected
	some form, listed in forms
	some path in listed
}

# Wat niet gegeven en niet genoemd is, past niet bij het doel – What is neither given nor named does not fit the purpose.
rest(found, named) := object.union(
	{path: {"purpose-not-allowed"} | some path in paths; not path in object.keys(found.grants)},
	{path: {reason} | some reason, listed in named; some path in listed},
)

all_granted(query) if {
	found := decision(query)
	found.refusals == {}
	object.keys(found.grants) == {path | some path in query.fields}
}

all_refused(query, reason) if {
	found := decision(query)
	found.grants == {}
	found.obligations == set()
	refusals(found) == {path: {reason} | some path in query.fields}
}

# Alleen deze velden vallen weg – Only these fields fall away.
only_refused(query, lost) if {
	found := decision(query)
	refusals(found) == {path: {reason} | some reason, listed in lost; some path in listed}
	count(found.grants) + count(found.refusals) == count(query.fields)
}
