# METADATA
# title: Toegang – Access
# description: |
#   NL: Het ene punt waar Schakel een besluit vraagt. Alleen hier worden de gevraagde velden gelezen; elke regel daarachter ziet één veld.
#   EN: The one place where Schakel asks for a decision. Only here are the requested fields read; every rule behind it sees one field.
# schemas:
#   - input: schema.query
#   - data.schakel.catalog: schema.catalog
#   - data.schakel.settings: schema.settings
package schakel.access

import data.schakel.answer

# METADATA
# title: Het besluit – The decision
# description: |
#   NL: Elk gevraagd veld staat in precies één van twee lijsten: gegeven of geweigerd.
#   EN: Every requested field is in exactly one of two lists: granted or refused.
# entrypoint: true
# custom:
#   basis: AVG 5, 6
decision := {
	"grants": {path: found.grant | some path, found in decided; found.granted},
	"refusals": {path: found.reasons | some path, found in decided; not found.granted},
	"obligations": {obligation | some found in decided; some obligation in found.obligations},
}

# METADATA
# title: Per veld – Per field
# description: |
#   NL: Stelt voor elk veld apart de vraag.
#   EN: Puts the question for each field by itself.
# custom:
#   basis: AVG 5(1)c
decided[path] := found if {
	some path in input.fields
	asked := question(path)
	found := answer.found with input as asked
}

# METADATA
# title: De vraag over één veld – The question about one field
# description: |
#   NL: Alles wat bekend is, met één veld in plaats van de lijst.
#   EN: All that is known, with one field in place of the list.
# custom:
#   basis: AVG 5(1)c
question(path) := {
	"v": input.v,
	"agency": input.agency,
	"role": input.role,
	"purpose": input.purpose,
	"relation": input.relation,
	"subject": input.subject,
	"agreements": input.agreements,
	"emergency": input.emergency,
	"field": catalogued(path),
}

# METADATA
# title: Het veld in de catalogus – The field in the catalog
# description: |
#   NL: Wat de catalogus over het veld zegt. Een onbekend veld heeft geen enkele vorm.
#   EN: What the catalog says about the field. An unknown field has no form at all.
# custom:
#   basis: AVG 5(1)c
catalogued(path) := entry if {
	entry := entries[path]
} else := {"path": path, "domain": "", "class": "", "forms": [], "subject": ""}

# METADATA
# title: De catalogus per pad – The catalog by path
# description: |
#   NL: Elk veld van de catalogus onder zijn pad.
#   EN: Every field of the catalog under its path.
# custom:
#   basis: AVG 5(1)c
entries := {entry.path: entry | some entry in data.schakel.catalog.fields}
