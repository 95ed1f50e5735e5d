# METADATA
# title: Participatiewet – Participation Act
# description: |
#   NL: De rijen van de tabel die op de Participatiewet rusten.
#   EN: The rows of the table that rest on the Participation Act.
# schemas:
#   - input: schema.question
#   - data.schakel.catalog: schema.catalog
#   - data.schakel.settings: schema.settings
package schakel.law.participatie

# METADATA
# title: Bijstand beoordelen, wie het zijn – Assessing social assistance, who they are
# description: |
#   NL: Persoon, huishouden en contact. Het gezag hoort daar niet bij.
#   EN: Person, household and contact. Parental authority is not part of that.
# custom:
#   basis: Participatiewet 53a
rows contains {"give": "exact", "basis": "participatiewet-53a", "mandate": "participatiewet"} if {
	input.role == "inkomensconsulent"
	input.purpose == "bijstand-beoordelen"
	input.field.domain in {"persoon", "huishouden", "contact"}
	not input.field.path in data.schakel.settings.groups.gezag
}

# METADATA
# title: Bijstand beoordelen, inkomen en uitkeringen – Assessing social assistance, income and benefits
# description: |
#   NL: Wat er aan inkomen en uitkeringen is.
#   EN: What income and benefits there are.
# custom:
#   basis: Participatiewet 64
rows contains {"give": "exact", "basis": "participatiewet-64", "mandate": "participatiewet"} if {
	input.role == "inkomensconsulent"
	input.purpose == "bijstand-beoordelen"
	input.field.domain in {"inkomen", "uitkering"}
}

# METADATA
# title: Bijstand beoordelen, schulden beperkt – Assessing social assistance, debts in limited form
# description: |
#   NL: Of er schulden zijn, en hoe groot ongeveer.
#   EN: Whether there are debts, and how large roughly.
# custom:
#   basis: Participatiewet 53a
rows contains {"give": "limited", "basis": "participatiewet-53a", "mandate": "participatiewet"} if {
	input.role == "inkomensconsulent"
	input.purpose == "bijstand-beoordelen"
	input.field.domain == "schulden"
}

# METADATA
# title: Kindregeling – Scheme for children
# description: |
#   NL: Of er kinderen zijn en of het inkomen laag genoeg is; geen precieze bedragen.
#   EN: Whether there are children and whether income is low enough; no exact amounts.
# custom:
#   basis: Participatiewet 35; gemeentelijke regeling
rows contains {"give": "limited", "basis": "participatiewet-35", "mandate": "participatiewet"} if {
	input.role == "medewerker-minimaregelingen"
	input.purpose == "kindregeling"
	input.field.domain in {"huishouden", "inkomen"}
}
