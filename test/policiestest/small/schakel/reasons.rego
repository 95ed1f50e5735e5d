# METADATA
# title: Waarom niet – Why not
# description: |
#   NL: De redenen van een weigering.
#   EN: The reasons of a refusal.
# schemas:
#   - input: schema.question
#   - data.schakel.catalog: schema.catalog
package schakel.reasons

# METADATA
# title: De redenen – The reasons
# description: |
#   NL: Zonder zaak één reden, anders een andere.
#   EN: Without a case one reason, otherwise another.
# custom:
#   basis: AVG 5(1)a
found := {"no-relation"} if {
	input.relation.case == "none"
} else := {"purpose-not-allowed"}
