# METADATA
# title: Over wie het gaat – Whom it is about
# description: |
#   NL: De voorwaarden aan de betrokkene: toestemming, instemming en verstrekkingsbeperking.
#   EN: The conditions on the data subject: consent, release from secrecy and restricted disclosure.
# schemas:
#   - input: schema.question
#   - data.schakel.catalog: schema.catalog
#   - data.schakel.settings: schema.settings
package schakel.subject

# METADATA
# title: Een gegeven over het huishouden – A field about the household
# description: |
#   NL: Dit gegeven gaat over het huishouden als geheel.
#   EN: This field is about the household as a whole.
# custom:
#   basis: AVG 5(1)c
fits if input.field.subject == "household"

# METADATA
# title: Een vraag over één persoon – A question about one person
# description: |
#   NL: Van deze persoon zijn leeftijd, toestemming en verstrekkingsbeperking bekend.
#   EN: Age, consent and restricted disclosure of this person are known.
# custom:
#   basis: AVG 5(1)c
fits if input.subject.kind == "person"

# METADATA
# title: Onder geheimhouding – Under professional secrecy
# description: |
#   NL: Gegevens van behandelaars en hulpverleners vragen instemming (WGBO, Jeugdwet) en geen AVG-toestemming.
#   EN: Data of practitioners and care workers need release (WGBO, Youth Act), which is not AVG consent.
# custom:
#   basis: WGBO 7:457
secret if input.field.domain in data.schakel.settings.secrecy

# METADATA
# title: Toestemming – Consent
# description: |
#   NL: Er is AVG-toestemming voor dit domein, van iemand die oud genoeg is om die zelf te geven. Een onbekende leeftijd is niet oud genoeg.
#   EN: There is AVG consent for this domain, of someone old enough to give it. An unknown age is not old enough.
# custom:
#   basis: AVG 6(1)a, UAVG 5
agreed if {
	not secret
	input.field.domain in input.subject.consent
	input.subject.age in data.schakel.settings.consent_ages[input.field.domain]
}

# METADATA
# title: Instemming – Release
# description: |
#   NL: De betrokkene ontslaat de hulpverlener voor dit domein van de geheimhouding, en is daar oud genoeg voor.
#   EN: The person releases the professional from secrecy for this domain, and is old enough to do so.
# custom:
#   basis: WGBO 7:447-450, 7:457; Jeugdwet 7.3.11
agreed if {
	secret
	input.field.domain in input.subject.release
	input.subject.age in data.schakel.settings.release_ages[input.field.domain]
}

# METADATA
# title: Geen gegeven uit de BRP – Not from the civil registry
# description: |
#   NL: De verstrekkingsbeperking gaat alleen over gegevens uit de BRP.
#   EN: Restricted disclosure concerns data from the civil registry only.
# custom:
#   basis: Wet BRP 2.59
open_to_asker if input.field.domain != "persoon"

# METADATA
# title: Geen verstrekkingsbeperking – No restricted disclosure
# description: |
#   NL: De betrokkene heeft niet om geheimhouding gevraagd.
#   EN: The person did not ask for restricted disclosure.
# custom:
#   basis: Wet BRP 2.59
open_to_asker if not input.subject.disclosure_restricted

# METADATA
# title: Een overheidsorgaan in zijn taak – A public body in its task
# description: |
#   NL: De verstrekkingsbeperking bindt derden en geen overheidsorganen.
#   EN: Restricted disclosure binds third parties and not public bodies.
# custom:
#   basis: Wet BRP 2.59
open_to_asker if input.agency.kind in data.schakel.settings.public_bodies
