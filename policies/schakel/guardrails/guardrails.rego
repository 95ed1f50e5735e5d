# METADATA
# title: Vangrails, regels over regels – Guardrails, rules about rules
# description: |
#   NL: Wat geen enkel beleid mag geven. De jurist gaat over deze map en niet wie het beleid schrijft. Zij worden nagegaan over alle combinaties voordat een beleid wordt goedgekeurd, en nooit terwijl een vraag wordt beantwoord.
#   EN: What no policy may give. The lawyer owns this folder and not the author of the policy. They are checked over all combinations before a policy is approved, and never while a request is answered.
# schemas:
#   - input: schema.given
#   - data.schakel.catalog: schema.catalog
#   - data.schakel.guardrails.law: schema.guardrails
package schakel.guardrails

# METADATA
# title: Bijzonder gegeven zonder uitzondering – Special category without an exception
# description: |
#   NL: Een bijzonder persoonsgegeven wordt alleen gegeven op een grondslag waarvoor een uitzondering van AVG 9 lid 2 is genoemd.
#   EN: A special category is given only on a basis for which an exception of GDPR 9(2) is named.
# custom:
#   basis: AVG 9
broken contains "special-category-exception" if {
	special
	not excepted
}

# METADATA
# title: BSN zonder grond – BSN without a ground
# description: |
#   NL: Een organisatie zonder BSN-grond krijgt geen burgerservicenummer.
#   EN: An agency without a BSN ground gets no citizen service number.
# custom:
#   basis: UAVG 46
broken contains "bsn-ground" if {
	bsn
	not bsn_ground
}

# METADATA
# title: Zonder band met het huishouden – Without a tie with the household
# description: |
#   NL: Zonder zaak, signaal, vordering of noodsituatie wordt niets gegeven.
#   EN: Without a case, signal, claim or emergency nothing is given.
# custom:
#   basis: AVG 5(1)b
broken contains "no-relation" if {
	input.relation.case == "none"
	not input.relation.signal
	not input.relation.claim
	not input.emergency.active
}

# METADATA
# title: Vorm die het veld niet heeft – Form that the field does not have
# description: |
#   NL: Een veld wordt alleen gegeven in een vorm die de catalogus ervoor noemt.
#   EN: A field is given only in a form that the catalog names for it.
# custom:
#   basis: AVG 5(1)c
broken contains "form-in-catalog" if not input.grant.form in input.field.forms

# METADATA
# title: Zorggegeven voor handhaving – Care data for enforcement
# description: |
#   NL: Gegevens uit zorg en ondersteuning worden nooit voor handhaving gegeven.
#   EN: Data from care and support is never given for enforcement.
# custom:
#   basis: AVG 5(1)b
broken contains "care-not-for-enforcement" if {
	input.purpose in data.schakel.guardrails.law.enforcement
	input.field.domain in data.schakel.guardrails.law.care
}

# METADATA
# title: Strafrechtelijk gegeven door een noodsituatie – Criminal data through an emergency
# description: |
#   NL: Een noodsituatie geeft nooit een strafrechtelijk gegeven dat zonder noodsituatie werd geweigerd.
#   EN: An emergency never gives criminal data that was refused without it.
# custom:
#   basis: AVG 10
broken contains "no-criminal-in-emergency" if {
	criminal
	not input.calm
}

# METADATA
# title: Er is een uitzondering genoemd – An exception is named
# description: |
#   NL: De lijst noemt voor deze grondslag en dit domein een uitzondering met haar artikel, en wat zij vraagt is er.
#   EN: The list names an exception with its article for this basis and this domain, and what it asks is there.
# custom:
#   basis: AVG 9(2)
excepted if {
	some exception in data.schakel.guardrails.law.exceptions
	exception.basis == input.grant.basis
	input.field.domain in exception.domains
	exception.article != ""
	met(exception)
}

# METADATA
# title: Een wet – An act
# description: |
#   NL: De uitzondering staat in een wet en vraagt niets van de betrokkene.
#   EN: The exception stands in an act and asks nothing of the person.
# custom:
#   basis: AVG 9(2)h
met(exception) if exception.by == "statute"

# METADATA
# title: Uitdrukkelijke toestemming – Explicit consent
# description: |
#   NL: De betrokkene gaf uitdrukkelijk toestemming voor dit domein.
#   EN: The person gave explicit consent for this domain.
# custom:
#   basis: AVG 9(2)a
met(exception) if {
	exception.by == "consent"
	input.field.domain in input.subject.consent
}

# METADATA
# title: Ontslag van geheimhouding – Release from secrecy
# description: |
#   NL: De betrokkene ontsloeg de hulpverlener voor dit domein van de geheimhouding.
#   EN: The person released the professional from secrecy for this domain.
# custom:
#   basis: AVG 9(2)a; WGBO 7:457
met(exception) if {
	exception.by == "release"
	input.field.domain in input.subject.release
}

# METADATA
# title: Vitaal belang – Vital interest
# description: |
#   NL: Er is acuut gevaar.
#   EN: There is acute danger.
# custom:
#   basis: AVG 9(2)c
met(exception) if {
	exception.by == "emergency"
	input.emergency.active
}

# METADATA
# title: Een wet geeft de organisatie het BSN – An act gives the agency the BSN
# description: |
#   NL: Deze soort organisatie mag het BSN altijd gebruiken.
#   EN: This kind of agency may always use the BSN.
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
# title: Bijzonder volgens de catalogus – Special by the catalog
# description: |
#   NL: De catalogus noemt het veld bijzonder.
#   EN: The catalog calls the field special.
# custom:
#   basis: AVG 9
special if input.field.class == "bijzonder"

# METADATA
# title: Bijzonder volgens het domein – Special by its domain
# description: |
#   NL: Gegevens uit deze domeinen zijn bijzonder, ook als de catalogus het veld anders noemt.
#   EN: Data from these domains is special, also where the catalog calls the field something else.
# custom:
#   basis: AVG 9
special if input.field.domain in data.schakel.guardrails.law.special_domains

# METADATA
# title: Strafrechtelijk volgens de catalogus – Criminal by the catalog
# description: |
#   NL: De catalogus noemt het veld strafrechtelijk.
#   EN: The catalog calls the field criminal.
# custom:
#   basis: AVG 10
criminal if input.field.class == "strafrechtelijk"

# METADATA
# title: Strafrechtelijk volgens het domein – Criminal by its domain
# description: |
#   NL: Gegevens uit deze domeinen zijn strafrechtelijk, ook als de catalogus het veld anders noemt.
#   EN: Data from these domains is criminal, also where the catalog calls the field something else.
# custom:
#   basis: AVG 10
criminal if input.field.domain in data.schakel.guardrails.law.criminal_domains

# METADATA
# title: BSN volgens de catalogus – BSN by the catalog
# description: |
#   NL: De catalogus noemt het veld een BSN.
#   EN: The catalog calls the field a BSN.
# custom:
#   basis: UAVG 46
bsn if input.field.class == "bsn"

# METADATA
# title: BSN volgens de lijst – BSN by the list
# description: |
#   NL: Dit veld is een BSN, ook als de catalogus het anders noemt.
#   EN: This field is a BSN, also where the catalog calls it something else.
# custom:
#   basis: UAVG 46
bsn if input.field.path in data.schakel.guardrails.law.bsn_fields
