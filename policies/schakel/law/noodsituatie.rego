# METADATA
# title: Noodsituatie – Emergency
# description: |
#   NL: Bij acuut gevaar mag zonder instemming worden gedeeld met wie contact kan worden opgenomen, als de houder daarmee akkoord gaat. De betrokkene hoort het direct daarna.
#   EN: In acute danger it may be shared without release whom to contact, where the holder agrees. The person is told directly afterwards.
# schemas:
#   - input: schema.question
#   - data.schakel.catalog: schema.catalog
#   - data.schakel.settings: schema.settings
package schakel.law.noodsituatie

import data.schakel.asker
import data.schakel.conditions
import data.schakel.field

# METADATA
# title: Wijkteam, casusregisseur en schuldhulp – Team, coordinator and debt help
# description: |
#   NL: Wie voor de Wgs met het huishouden werkt.
#   EN: Who works with the household under the Wgs.
# custom:
#   basis: AVG 6(1)d, 9(2)c
rows contains {"give": "emergency", "basis": "avg-9-2c", "mandate": "wgs"} if {
	input.role in {"wijkteammedewerker", "casusregisseur", "schuldhulpverlener"}
	input.purpose in {"ontruiming-voorkomen", "afsluiting-voorkomen", "schuldhulp-toegang", "schuldhulp-uitvoering"}
}

# METADATA
# title: Wmo-consulent – Social support officer
# description: |
#   NL: Wie voor de Wmo met het huishouden werkt.
#   EN: Who works with the household under the Wmo.
# custom:
#   basis: AVG 6(1)d, 9(2)c
rows contains {"give": "emergency", "basis": "avg-9-2c", "mandate": "wmo"} if {
	input.role == "wmo-consulent"
	input.purpose == "wmo-onderzoek"
}

# METADATA
# title: Jeugdconsulent – Youth care officer
# description: |
#   NL: Wie voor de Jeugdwet met het gezin werkt.
#   EN: Who works with the family under the Youth Act.
# custom:
#   basis: AVG 6(1)d, 9(2)c
rows contains {"give": "emergency", "basis": "avg-9-2c", "mandate": "jeugdwet"} if {
	input.role == "jeugdconsulent"
	input.purpose == "jeugdhulp-toegang"
}

# METADATA
# title: Jeugdbeschermer – Youth protection worker
# description: |
#   NL: Wie een ondertoezichtstelling uitvoert.
#   EN: Who carries out a supervision order.
# custom:
#   basis: AVG 6(1)d, 9(2)c
rows contains {"give": "emergency", "basis": "avg-9-2c", "mandate": "none"} if {
	input.role == "jeugdbeschermer"
	input.purpose == "ondertoezichtstelling"
}

# METADATA
# title: Er is een noodsituatie – There is an emergency
# description: |
#   NL: Iemand van de eigen organisatie meldde die, en hij duurt nog.
#   EN: Somebody of the own agency declared it, and it lasts.
# custom:
#   basis: AVG 6(1)d
declared if input.emergency.active

# METADATA
# title: Een domein voor noodsituaties – A domain for emergencies
# description: |
#   NL: Het domein staat in de lijst van wat in een noodsituatie gedeeld mag worden.
#   EN: The domain is on the list of what may be shared in an emergency.
# custom:
#   basis: AVG 9(2)c
listed if input.field.domain in data.schakel.settings.emergency.domains

# METADATA
# title: De houder gaat akkoord – The holder agrees
# description: |
#   NL: De houder van dit domein deelt in deze noodsituatie.
#   EN: The holder of this domain shares in this emergency.
# custom:
#   basis: KNMG
holder_agrees if input.field.domain in input.emergency.domains

# METADATA
# title: Een zaak bij de eigen organisatie – A case at the own agency
# description: |
#   NL: Van de vrager, een team of een collega.
#   EN: Of the asker, a team or a colleague.
# custom:
#   basis: AVG 5(1)b
own_case if input.relation.case in {"assigned", "team", "agency"}

# METADATA
# title: Contact in een noodsituatie – Contact in an emergency
# description: |
#   NL: Er is een noodsituatie, de houder van dit domein gaat akkoord, en het huishouden heeft een zaak bij de eigen organisatie.
#   EN: There is an emergency, the holder of this domain agrees, and the household has a case at the own agency.
# custom:
#   basis: AVG 6(1)d, 9(2)c
allowed contains {"form": field.full, "basis": row.basis} if {
	some row in rows
	listed
	field.contact
	declared
	holder_agrees
	own_case
	asker.mandated(row)
	asker.same_municipality(row)
	conditions.always
}

# METADATA
# title: Daarna – Afterwards
# description: |
#   NL: Vertel het de betrokkene direct, en schrijf de afweging op.
#   EN: Tell the person directly, and write down the balance.
# custom:
#   basis: KNMG; AVG 5(2)
obligations := {"inform-directly", "record-balance"}
