# METADATA
# title: Jeugdwet – Youth Act
# description: |
#   NL: De rijen van de tabel die op de Jeugdwet rusten.
#   EN: The rows of the table that rest on the Youth Act.
# schemas:
#   - input: schema.question
#   - data.schakel.catalog: schema.catalog
#   - data.schakel.settings: schema.settings
package schakel.law.jeugd

# METADATA
# title: Toegang tot jeugdhulp, wie het zijn – Access to youth care, who they are
# description: |
#   NL: Persoon, met het gezag, en contact.
#   EN: Person, with parental authority, and contact.
# custom:
#   basis: Jeugdwet 2.3
rows contains {"give": "exact-with-special", "basis": "jeugdwet-2.3", "mandate": "jeugdwet"} if {
	input.role == "jeugdconsulent"
	input.purpose == "jeugdhulp-toegang"
	input.field.domain in {"persoon", "contact"}
}

# METADATA
# title: Toegang tot jeugdhulp, jeugdhulp – Access to youth care, youth care
# description: |
#   NL: De jeugdhulp die er al is.
#   EN: The youth care that is there already.
# custom:
#   basis: Jeugdwet 7.4.0
rows contains {"give": "exact-with-special", "basis": "jeugdwet-7.4.0", "mandate": "jeugdwet"} if {
	input.role == "jeugdconsulent"
	input.purpose == "jeugdhulp-toegang"
	input.field.domain == "jeugd"
}

# METADATA
# title: Toegang tot jeugdhulp, contact met school en ggz – Access to youth care, contact with school and mental health care
# description: |
#   NL: Met wie kan worden overlegd, als de betrokkene dat goedvindt.
#   EN: Whom to consult, where the person agreed.
# custom:
#   basis: Jeugdwet 7.4.0
rows contains {"give": "contact-on-release", "basis": "jeugdwet-7.4.0", "mandate": "jeugdwet"} if {
	input.role == "jeugdconsulent"
	input.purpose == "jeugdhulp-toegang"
	input.field.domain in {"onderwijs", "ggz"}
}

# METADATA
# title: Ondertoezichtstelling – Supervision order
# description: |
#   NL: Wie bij een ondertoezichtstelling helpt, geeft wat daarvoor nodig is. Het gezag staat niet in deze rij.
#   EN: Whoever is involved in a supervision order gives what it needs. Parental authority is not in this row.
# custom:
#   basis: Jeugdwet 7.3.11(4)
rows contains {"give": "exact-with-special", "basis": "jeugdwet-7.3.11-4", "mandate": "none"} if {
	input.role == "jeugdbeschermer"
	input.purpose == "ondertoezichtstelling"
	input.field.domain in {"persoon", "huishouden", "contact", "jeugd", "onderwijs"}
	not input.field.path in data.schakel.settings.groups.gezag
}

# METADATA
# title: Ondertoezichtstelling, contact met de ggz – Supervision order, contact with mental health care
# description: |
#   NL: Alleen met wie kan worden overlegd.
#   EN: Only whom to consult.
# custom:
#   basis: Jeugdwet 7.3.11(4)
rows contains {"give": "contact", "basis": "jeugdwet-7.3.11-4", "mandate": "none"} if {
	input.role == "jeugdbeschermer"
	input.purpose == "ondertoezichtstelling"
	input.field.domain == "ggz"
}
