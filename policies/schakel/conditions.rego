# METADATA
# title: Voorwaarden die altijd gelden – Conditions that always hold
# description: |
#   NL: Geen gegeven rust op een rol alleen: mandaat, doel, band en afspraak horen er altijd bij.
#   EN: No grant rests on a role alone: mandate, purpose, tie and agreement always belong to it.
# schemas:
#   - input: schema.question
#   - data.schakel.catalog: schema.catalog
#   - data.schakel.settings: schema.settings
package schakel.conditions

import data.schakel.asker
import data.schakel.field
import data.schakel.subject

# METADATA
# title: Het doel telt – The purpose counts
# description: |
#   NL: Het doel is niet uitgezet en is geen handhaving.
#   EN: The purpose is not switched off and is not enforcement.
# custom:
#   basis: AVG 5(1)b
purpose_open if {
	not input.purpose in data.schakel.settings.switched_off
	not input.purpose in data.schakel.settings.enforcement
}

# METADATA
# title: Wat altijd geldt – What always holds
# description: |
#   NL: Ook in een noodsituatie.
#   EN: In an emergency too.
# custom:
#   basis: AVG 5, 6, 24
always if {
	purpose_open
	asker.right_kind
	asker.coordinates
	subject.fits
	field.agreement
	not field.never
}

# METADATA
# title: Wat voor een rij geldt – What holds for a row
# description: |
#   NL: De band met het huishouden, het mandaat van de rij, de gemeente, het BSN en de verstrekkingsbeperking.
#   EN: The tie with the household, the mandate of the row, the municipality, the BSN and restricted disclosure.
# custom:
#   basis: AVG 5, 6; UAVG 46; Wet BRP 2.59
met(row) if {
	always
	asker.bound
	asker.mandated(row)
	asker.same_municipality(row)
	field.bsn_ground
	subject.open_to_asker
}
