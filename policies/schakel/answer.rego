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
#   NL: Eerst de gewone rijen, dan de noodsituatie, anders geweigerd met redenen. Twee rijen voor één veld is een fout in de tabel en geeft geen besluit.
#   EN: First the ordinary rows, then the emergency, otherwise refused with reasons. Two rows for one field is a mistake in the table and gives no decision.
# custom:
#   basis: AVG 5, 6
found := {"granted": true, "grant": grant, "obligations": grants.obligations} if {
	some grant in grants.allowed
} else := {"granted": true, "grant": grant, "obligations": noodsituatie.obligations} if {
	some grant in noodsituatie.allowed
} else := {"granted": false, "reasons": reasons.found, "obligations": set()}
