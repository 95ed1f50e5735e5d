# METADATA
# title: Het antwoord op één veld – The answer on one field
# description: |
#   NL: Een klein beleid voor proeven. Een veld wordt gegeven als een rij het toelaat.
#   EN: A small policy for tests. A field is given when a row allows it.
# schemas:
#   - input: schema.question
#   - data.schakel.catalog: schema.catalog
package schakel.answer

import data.schakel.grants
import data.schakel.reasons

# METADATA
# title: Gegeven of geweigerd – Granted or refused
# description: |
#   NL: Wat niet wordt gegeven, wordt geweigerd met redenen.
#   EN: What is not given is refused with reasons.
# custom:
#   basis: AVG 5, 6
found := {"granted": true, "grant": given.grant, "obligations": given.obligations} if {
	given
} else := {"granted": false, "reasons": reasons.found, "obligations": set()}

# METADATA
# title: Wat wordt gegeven – What is given
# description: |
#   NL: De ene rij die geldt.
#   EN: The one row that holds.
# custom:
#   basis: AVG 5, 6
given := {"grant": grant, "obligations": {"inform-household"}} if {
	some grant in grants.allowed
}
