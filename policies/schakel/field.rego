# METADATA
# title: Om welk veld het gaat – Which field it is about
# description: |
#   NL: De voorwaarden aan het veld en de vorm waarin het gegeven kan worden.
#   EN: The conditions on the field and the form in which it can be given.
# schemas:
#   - input: schema.question
#   - data.schakel.catalog: schema.catalog
#   - data.schakel.settings: schema.settings
package schakel.field

# METADATA
# title: Het veld bestaat – The field exists
# description: |
#   NL: Het veld staat in de catalogus.
#   EN: The field is in the catalog.
# custom:
#   basis: AVG 5(1)c
known if input.field.domain != ""

# METADATA
# title: Nooit gedeeld – Never shared
# description: |
#   NL: Velden die in dit voorbeeld niemand krijgt, ook niet met toestemming.
#   EN: Fields that nobody gets in this example, not even with consent.
# custom:
#   basis: AVG 9, 10
never if input.field.path in data.schakel.settings.never

# METADATA
# title: Bijzonder persoonsgegeven – Special category
# description: |
#   NL: Voor een bijzonder persoonsgegeven is een eigen grond nodig.
#   EN: A special category needs a ground of its own.
# custom:
#   basis: AVG 9
special if input.field.class == "bijzonder"

# METADATA
# title: Alleen contact – Contact only
# description: |
#   NL: Het veld zegt alleen met wie contact kan worden opgenomen.
#   EN: The field only says whom to contact.
# custom:
#   basis: AVG 5(1)c
contact if input.field.path in data.schakel.settings.groups.contactgegevens

# METADATA
# title: Er is een afspraak met de houder – There is an agreement with the holder
# description: |
#   NL: Zonder afspraak met de houder wordt die niet gevraagd.
#   EN: Without an agreement with the holder it is not asked.
# custom:
#   basis: AVG 4(7), 24
agreement if input.field.domain in input.agreements

# METADATA
# title: Geen burgerservicenummer – Not a BSN
# description: |
#   NL: Voor andere velden is geen BSN-grond nodig.
#   EN: Other fields need no BSN ground.
# custom:
#   basis: UAVG 46
bsn_ground if input.field.class != "bsn"

# METADATA
# title: Een wet geeft de organisatie het BSN – An act gives the agency the BSN
# description: |
#   NL: Deze soort organisatie mag het BSN gebruiken.
#   EN: This kind of agency may use the BSN.
# custom:
#   basis: UAVG 46
bsn_ground if {
	some kind in data.schakel.catalog.agencyKinds
	kind.id == input.agency.kind
	kind.bsn == "always"
}

# METADATA
# title: Het BSN door een mandaat – The BSN by a mandate
# description: |
#   NL: Deze soort organisatie mag het BSN gebruiken als zij een wet uitvoert.
#   EN: This kind of agency may use the BSN when it carries out an act.
# custom:
#   basis: UAVG 46
bsn_ground if {
	some kind in data.schakel.catalog.agencyKinds
	kind.id == input.agency.kind
	kind.bsn == "mandated"
	some mandate in data.schakel.catalog.mandates
	mandate.id in input.agency.mandates
}

# METADATA
# title: De volle vorm – The full form
# description: |
#   NL: De waarde zelf. Een veld dat alleen als ja of nee of als leeftijdsgroep bestaat, wordt zo gegeven.
#   EN: The value itself. A field that exists as yes or no or as an age band only is given as that.
# custom:
#   basis: AVG 5(1)c
full := "exact" if {
	"exact" in input.field.forms
} else := "yes-no" if {
	"yes-no" in input.field.forms
} else := "age-band" if {
	"age-band" in input.field.forms
}

# METADATA
# title: De beperkte vorm – The limited form
# description: |
#   NL: Een bedrag als klasse, een leeftijd als groep, iets anders als ja of nee. Kan geen daarvan, dan wordt het veld niet gegeven.
#   EN: An amount as a band, an age as a band, anything else as yes or no. Where none of these can be, the field is not given.
# custom:
#   basis: AVG 5(1)c
limited := "amount-band" if {
	"amount-band" in input.field.forms
} else := "age-band" if {
	"age-band" in input.field.forms
} else := "yes-no" if {
	"yes-no" in input.field.forms
}
