# METADATA
# title: Schuldhulp volgens de Wgs – Debt help under the Wgs
# description: |
#   NL: De rijen van de tabel voor de schuldhulpverlener.
#   EN: The rows of the table for the debt counsellor.
# schemas:
#   - input: schema.question
#   - data.schakel.catalog: schema.catalog
#   - data.schakel.settings: schema.settings
package schakel.law.schuldhulp

# METADATA
# title: Toegang tot schuldhulp – Access to debt help
# description: |
#   NL: Het hele financiële beeld, om over schuldhulp te besluiten. Het gezag hoort daar niet bij.
#   EN: The whole financial picture, to decide on debt help. Parental authority is not part of that.
# custom:
#   basis: Wgs 4a, 8; Besluit gemeentelijke schuldhulpverlening
rows contains {"give": "exact", "basis": "wgs-4a", "mandate": "wgs"} if {
	input.role == "schuldhulpverlener"
	input.purpose == "schuldhulp-toegang"
	input.field.domain in {"persoon", "huishouden", "contact", "inkomen", "uitkering", "schulden", "huur", "energie", "water", "zorgverzekering"}
	not input.field.path in data.schakel.settings.groups.gezag
}

# METADATA
# title: Uitvoering van schuldhulp – Carrying out debt help
# description: |
#   NL: Hetzelfde beeld, om het plan uit te voeren. Het gezag hoort daar niet bij.
#   EN: The same picture, to carry out the plan. Parental authority is not part of that.
# custom:
#   basis: Wgs 8
rows contains {"give": "exact", "basis": "wgs-8", "mandate": "wgs"} if {
	input.role == "schuldhulpverlener"
	input.purpose == "schuldhulp-uitvoering"
	input.field.domain in {"persoon", "huishouden", "contact", "inkomen", "uitkering", "schulden", "huur", "energie", "water", "zorgverzekering"}
	not input.field.path in data.schakel.settings.groups.gezag
}

# METADATA
# title: Uitvoering van schuldhulp, contact met de Wmo-aanbieder – Carrying out debt help, contact with the Wmo provider
# description: |
#   NL: Met wie kan worden overlegd, als de betrokkene daarmee instemt.
#   EN: Whom to consult, where the person released it.
# custom:
#   basis: Wgs 8
rows contains {"give": "contact-on-release", "basis": "wgs-8", "mandate": "wgs"} if {
	input.role == "schuldhulpverlener"
	input.purpose == "schuldhulp-uitvoering"
	input.field.domain == "wmo"
}
