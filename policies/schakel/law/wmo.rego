# METADATA
# title: Wet maatschappelijke ondersteuning – Social Support Act
# description: |
#   NL: De rijen van de tabel die op de Wmo 2015 rusten.
#   EN: The rows of the table that rest on the Wmo 2015.
# schemas:
#   - input: schema.question
#   - data.schakel.catalog: schema.catalog
#   - data.schakel.settings: schema.settings
package schakel.law.wmo

# METADATA
# title: Wmo-onderzoek, wie het zijn – Wmo assessment, who they are
# description: |
#   NL: Persoon, huisgenoten en contact. Het gezag hoort daar niet bij.
#   EN: Person, housemates and contact. Parental authority is not part of that.
# custom:
#   basis: Wmo 2.3.2, 5.1.1
rows contains {"give": "exact-with-special", "basis": "wmo-2.3.2", "mandate": "wmo"} if {
	input.role == "wmo-consulent"
	input.purpose == "wmo-onderzoek"
	input.field.domain in {"persoon", "contact", "huishouden"}
	not input.field.path in data.schakel.settings.groups.gezag
}

# METADATA
# title: Wmo-onderzoek, ondersteuning – Wmo assessment, support
# description: |
#   NL: De ondersteuning die er al is; dat is een gegeven over gezondheid.
#   EN: The support that is there already; that is data on health.
# custom:
#   basis: Wmo 5.1.1
rows contains {"give": "exact-with-special", "basis": "wmo-5.1.1", "mandate": "wmo"} if {
	input.role == "wmo-consulent"
	input.purpose == "wmo-onderzoek"
	input.field.domain == "wmo"
}

# METADATA
# title: Wmo-onderzoek, contact met de ggz – Wmo assessment, contact with mental health care
# description: |
#   NL: Met wie kan worden overlegd, als de betrokkene daarmee instemt.
#   EN: Whom to consult, where the person released it.
# custom:
#   basis: Wmo 5.1.1
rows contains {"give": "contact-on-release", "basis": "wmo-5.1.1", "mandate": "wmo"} if {
	input.role == "wmo-consulent"
	input.purpose == "wmo-onderzoek"
	input.field.domain == "ggz"
}
