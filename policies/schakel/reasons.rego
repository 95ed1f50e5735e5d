# METADATA
# title: Waarom niet – Why not
# description: |
#   NL: De redenen van een weigering. Zonder band met het huishouden is er één reden en niets anders: zo is een onbekend huishouden niet te onderscheiden van een verboden huishouden.
#   EN: The reasons of a refusal. Without a tie with the household there is one reason and nothing else: so an unknown household cannot be told from a forbidden one.
# schemas:
#   - input: schema.question
#   - data.schakel.catalog: schema.catalog
#   - data.schakel.settings: schema.settings
package schakel.reasons

import data.schakel.asker
import data.schakel.field
import data.schakel.subject
import data.schakel.table

# METADATA
# title: De redenen, in volgorde – The reasons, in order
# description: |
#   NL: De eerste die geldt wordt genoemd; pas als er een rij in de tabel is, worden alle ontbrekende voorwaarden genoemd. Dat een afspraak ontbreekt staat achteraan: het zegt of er een houder bij dit huishouden hoort, en dat hoort alleen wie het gegeven anders kreeg.
#   EN: The first that holds is named; only where the table has a row are all missing conditions named. A missing agreement comes last: it tells whether a holder belongs to this household, and that is only for those who would have received the field.
# custom:
#   basis: AVG 5(1)a
found := {"no-relation"} if {
	not asker.bound
} else := {"field-unknown"} if {
	not field.known
} else := {"care-not-for-enforcement"} if {
	input.purpose in data.schakel.settings.enforcement
} else := {"not-in-force"} if {
	input.purpose in data.schakel.settings.switched_off
} else := {"role-unknown"} if {
	not asker.known_role
} else := {"never-shared"} if {
	field.never
} else := {"purpose-not-allowed"} if {
	count(table.rows) == 0
} else := missing if {
	count(missing) > 0
} else := {"no-agreement"} if {
	not field.agreement
}

# METADATA
# title: Verkeerde soort organisatie – Wrong kind of agency
# description: |
#   NL: De rol hoort niet bij deze soort organisatie.
#   EN: The role does not belong to this kind of agency.
# custom:
#   basis: AVG 6
missing contains "agency-kind-not-allowed" if not asker.right_kind

# METADATA
# title: Geen regie – Not the coordinator
# description: |
#   NL: De casusregisseur is niet de regisseur van deze zaak.
#   EN: The coordinator does not coordinate this case.
# custom:
#   basis: AVG 6
missing contains "coordinator-only" if not asker.coordinates

# METADATA
# title: Geen mandaat – No mandate
# description: |
#   NL: De organisatie voert de wet van deze rij niet uit.
#   EN: The agency does not carry out the act of this row.
# custom:
#   basis: AVG 6
missing contains "mandate-missing" if {
	some row in table.rows
	not asker.mandated(row)
}

# METADATA
# title: Andere gemeente – Other municipality
# description: |
#   NL: Het mandaat geldt niet voor de gemeente van dit huishouden.
#   EN: The mandate does not hold for the municipality of this household.
# custom:
#   basis: AVG 6
missing contains "other-municipality" if {
	some row in table.rows
	not asker.same_municipality(row)
}

# METADATA
# title: Over één persoon – About one person
# description: |
#   NL: Een gegeven over een persoon wordt niet voor het huishouden als geheel gegeven.
#   EN: A field about a person is not given for the household as a whole.
# custom:
#   basis: AVG 5(1)c
missing contains "wrong-subject" if not subject.fits

# METADATA
# title: Geen BSN-grond – No BSN ground
# description: |
#   NL: De organisatie mag het BSN niet gebruiken.
#   EN: The agency may not use the BSN.
# custom:
#   basis: UAVG 46
missing contains "no-bsn-ground" if not field.bsn_ground

# METADATA
# title: Verstrekkingsbeperking – Restricted disclosure
# description: |
#   NL: De betrokkene laat gegevens niet aan derden geven.
#   EN: The person does not let data be given to third parties.
# custom:
#   basis: Wet BRP 2.59
missing contains "disclosure-restricted" if not subject.open_to_asker

# METADATA
# title: Bijzonder persoonsgegeven – Special category
# description: |
#   NL: Deze rij geeft geen bijzondere persoonsgegevens.
#   EN: This row gives no special categories.
# custom:
#   basis: AVG 9
missing contains "special-category" if {
	some row in table.rows
	row.give in {"exact", "limited", "exact-on-consent", "limited-on-consent", "lookup"}
	field.special
}

# METADATA
# title: Alleen contact – Contact only
# description: |
#   NL: Deze rij geeft alleen contactgegevens.
#   EN: This row gives contact fields only.
# custom:
#   basis: AVG 5(1)c
missing contains "contact-only" if {
	some row in table.rows
	row.give in {"contact", "contact-on-release"}
	not field.contact
}

# METADATA
# title: Niet beperkt te geven – Not available in limited form
# description: |
#   NL: Deze rij geeft alleen een beperkte vorm, en dit veld heeft die niet.
#   EN: This row gives a limited form only, and this field has none.
# custom:
#   basis: AVG 5(1)c
missing contains "form-unavailable" if {
	some row in table.rows
	row.give in {"limited", "limited-on-consent"}
	not field.limited
}

# METADATA
# title: Geen toestemming – No consent
# description: |
#   NL: Er is geen geldige toestemming. Of die er ooit was, blijft onbekend.
#   EN: There is no valid consent. Whether there ever was stays unknown.
# custom:
#   basis: AVG 6(1)a, 7
missing contains "consent-missing" if {
	some row in table.rows
	givable(row)
	not subject.secret
	not subject.agreed
}

# METADATA
# title: Geen instemming – No release
# description: |
#   NL: De hulpverlener is niet van zijn geheimhouding ontslagen.
#   EN: The professional is not released from secrecy.
# custom:
#   basis: WGBO 7:457
missing contains "release-missing" if {
	some row in table.rows
	givable(row)
	subject.secret
	not subject.agreed
}

# METADATA
# title: Contact met instemming – Contact with release
# description: |
#   NL: Met instemming zou dit veld gegeven kunnen worden; alleen dan is het eerlijk om die te noemen.
#   EN: With release this field could be given; only then is it fair to name it.
# custom:
#   basis: AVG 5(1)a
givable(row) if {
	row.give == "contact-on-release"
	field.contact
}

# METADATA
# title: Met toestemming – With consent
# description: |
#   NL: Met toestemming zou dit veld gegeven kunnen worden.
#   EN: With consent this field could be given.
# custom:
#   basis: AVG 5(1)a
givable(row) if row.give == "exact-on-consent"

# METADATA
# title: Beperkt met toestemming – Limited with consent
# description: |
#   NL: Met toestemming zou dit veld beperkt gegeven kunnen worden.
#   EN: With consent this field could be given in limited form.
# custom:
#   basis: AVG 5(1)a
givable(row) if {
	row.give == "limited-on-consent"
	field.limited
}
