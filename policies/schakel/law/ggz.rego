# METADATA
# title: Geestelijke gezondheidszorg – Mental health care
# description: |
#   NL: De rij van de tabel voor de behandelaar in de ggz.
#   EN: The row of the table for the mental health practitioner.
# schemas:
#   - input: schema.question
#   - data.schakel.catalog: schema.catalog
#   - data.schakel.settings: schema.settings
package schakel.law.ggz

# METADATA
# title: Behandeling afstemmen – Coordinating treatment
# description: |
#   NL: De behandelaar krijgt contactgegevens met uitdrukkelijke toestemming: de vraag zelf verraadt al een behandeling.
#   EN: The practitioner gets contact details with explicit consent: the question itself already reveals a treatment.
# custom:
#   basis: WGBO 7:457; AVG 9(2)a
rows contains {"give": "exact-on-consent", "basis": "avg-9-2a", "mandate": "none"} if {
	input.role == "ggz-behandelaar"
	input.purpose == "behandeling-afstemmen"
	input.field.domain == "contact"
}
