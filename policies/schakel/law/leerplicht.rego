# METADATA
# title: Leerplichtwet – Compulsory Education Act
# description: |
#   NL: De rijen van de tabel die op de Leerplichtwet rusten.
#   EN: The rows of the table that rest on the Compulsory Education Act.
# schemas:
#   - input: schema.question
#   - data.schakel.catalog: schema.catalog
#   - data.schakel.settings: schema.settings
package schakel.law.leerplicht

# METADATA
# title: Aanpak van schoolverzuim – Tackling school absence
# description: |
#   NL: Persoon, met het gezag, contact en onderwijs.
#   EN: Person, with parental authority, contact and education.
# custom:
#   basis: Leerplichtwet 21a
rows contains {"give": "exact", "basis": "leerplichtwet-21a", "mandate": "leerplicht"} if {
	input.role == "leerplichtambtenaar"
	input.purpose == "schoolverzuim-aanpak"
	input.field.domain in {"persoon", "contact", "onderwijs"}
}

# METADATA
# title: Aanpak van schoolverzuim, contact met de jeugdhulp – Tackling school absence, contact with youth care
# description: |
#   NL: Met wie kan worden overlegd, als de betrokkene daarmee instemt.
#   EN: Whom to consult, where the person released it.
# custom:
#   basis: Leerplichtwet 21a; Jeugdwet 7.3.11
rows contains {"give": "contact-on-release", "basis": "leerplichtwet-21a", "mandate": "leerplicht"} if {
	input.role == "leerplichtambtenaar"
	input.purpose == "schoolverzuim-aanpak"
	input.field.domain == "jeugd"
}
