# METADATA
# title: Het antwoord op één veld – The answer on one field
# description: |
#   NL: Een veld wordt gegeven als een rij van de tabel het toelaat en aan alle voorwaarden is voldaan. Anders is er een reden.
#   EN: A field is given when a row of the table allows it and every condition holds. Otherwise there is a reason.
# schemas:
#   - input: schema.question
#   - data.schakel.catalog: schema.catalog
#   - data.schakel.settings: schema.settings
package schakel.answer

import data.schakel.grants
import data.schakel.law.noodsituatie
import data.schakel.reasons

# METADATA
# title: Gegeven of geweigerd – Granted or refused
# description: |
#   NL: Wat niet wordt gegeven, wordt geweigerd met redenen. Deze regel en die in access.rego staan vast: zo spreekt wat over given bewezen is ook over het besluit.
#   EN: What is not given is refused with reasons. This rule and those in access.rego are fixed: so what is proved about given speaks for the decision too.
# custom:
#   basis: AVG 5, 6
found := {"granted": true, "grant": given.grant, "obligations": given.obligations} if {
	given
} else := {"granted": false, "reasons": reasons.found, "obligations": set()}

# METADATA
# title: Wat wordt gegeven – What is given
# description: |
#   NL: Eerst de gewone rijen, dan de noodsituatie, anders niets. Twee rijen voor één veld is een fout in de tabel en geeft geen besluit.
#   EN: First the ordinary rows, then the emergency, otherwise nothing. Two rows for one field is a mistake in the table and gives no decision.
# custom:
#   basis: AVG 5, 6
given := {"grant": grant, "obligations": grants.obligations} if {
	some grant in grants.allowed
} else := {"grant": grant, "obligations": noodsituatie.obligations} if {
	some grant in noodsituatie.allowed
}
