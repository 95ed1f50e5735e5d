# METADATA
# title: Wie vraagt – Who asks
# description: |
#   NL: De voorwaarden aan degene die vraagt: de organisatie, de rol, het mandaat en de band met het huishouden.
#   EN: The conditions on the one who asks: the agency, the role, the mandate and what binds it to the household.
# schemas:
#   - input: schema.question
#   - data.schakel.catalog: schema.catalog
#   - data.schakel.settings: schema.settings
package schakel.asker

# METADATA
# title: De rol bestaat – The role exists
# description: |
#   NL: De rol staat in de lijst van rollen.
#   EN: The role is in the list of roles.
# custom:
#   basis: AVG 5(1)f
known_role if {
	some role in data.schakel.catalog.roles
	role.id == input.role
}

# METADATA
# title: Welke band deze rol nodig heeft – The tie this role needs
# description: |
#   NL: Een zaak, tenzij de instellingen een signaal, een vordering of een bevraagde houder noemen.
#   EN: A case, unless the settings name a signal, a claim or a holder that is asked.
# custom:
#   basis: AVG 5(1)b
needs := data.schakel.settings.roles[input.role].relation

# METADATA
# title: Zonder instelling een zaak – Without a setting a case
# description: |
#   NL: Een rol zonder instellingen heeft ten minste een zaak nodig om een reden te horen.
#   EN: A role without settings needs at least a case to hear a reason.
# custom:
#   basis: AVG 5(1)b
default needs := "case"

# METADATA
# title: Er is een band met dit huishouden – There is a tie with this household
# description: |
#   NL: De zaak is van deze medewerker of diens team. Een zaak van een collega is niet genoeg.
#   EN: The case is this worker's or their team's. A colleague's case is not enough.
# custom:
#   basis: AVG 5(1)b
bound if {
	needs == "case"
	input.relation.case in {"assigned", "team"}
}

# METADATA
# title: Er is een open signaal – There is an open signal
# description: |
#   NL: Voor vroegsignalering is een open signaal van deze medewerker nodig.
#   EN: Early signalling needs an open signal of this worker.
# custom:
#   basis: Wgs 3(1)b
bound if {
	needs == "signal"
	input.relation.signal
}

# METADATA
# title: Er is een eigen vordering – There is a claim of its own
# description: |
#   NL: Voor incasso en invordering is een eigen vordering op dit huishouden nodig.
#   EN: Collection needs a claim of the agency's own on this household.
# custom:
#   basis: AVG 6(1)a
bound if {
	needs == "claim"
	input.relation.claim
}

# METADATA
# title: De houder wordt in een zaak bevraagd – The holder is asked in a case
# description: |
#   NL: Een houder krijgt de opzoeksleutel alleen als hij voor dit huishouden is genoemd.
#   EN: A holder gets the lookup key only when it is named for this household.
# custom:
#   basis: AVG 4(2)
bound if {
	needs == "holder"
	input.relation.case == "agency"
}

# METADATA
# title: De soort organisatie past bij de rol – The kind of agency fits the role
# description: |
#   NL: Elke rol hoort bij bepaalde soorten organisaties.
#   EN: Each role belongs to certain kinds of agency.
# custom:
#   basis: AVG 6
right_kind if input.agency.kind in data.schakel.settings.roles[input.role].kinds

# METADATA
# title: Andere rollen dan de casusregisseur – Roles other than the coordinator
# description: |
#   NL: Deze rollen hoeven de regie over de zaak niet te hebben.
#   EN: These roles need not coordinate the case.
# custom:
#   basis: AVG 6
coordinates if input.role != "casusregisseur"

# METADATA
# title: De casusregisseur van deze zaak – The coordinator of this case
# description: |
#   NL: De medewerker heeft de regie over deze zaak.
#   EN: The worker coordinates this case.
# custom:
#   basis: AVG 6
coordinates if input.relation.coordinator

# METADATA
# title: Geen mandaat nodig – No mandate needed
# description: |
#   NL: De rij van de tabel noemt geen mandaat.
#   EN: The row of the table names no mandate.
# custom:
#   basis: AVG 6
mandated(row) if row.mandate == "none"

# METADATA
# title: De organisatie heeft het mandaat – The agency has the mandate
# description: |
#   NL: De organisatie voert de wet uit die de rij noemt.
#   EN: The agency carries out the act that the row names.
# custom:
#   basis: AVG 6
mandated(row) if row.mandate in input.agency.mandates

# METADATA
# title: Niet aan een gemeente gebonden – Not tied to a municipality
# description: |
#   NL: Een rij zonder mandaat geldt in elke gemeente.
#   EN: A row without a mandate holds in every municipality.
# custom:
#   basis: AVG 6
same_municipality(row) if row.mandate == "none"

# METADATA
# title: De gemeente van dit huishouden – The municipality of this household
# description: |
#   NL: Een mandaat geldt alleen voor de eigen gemeente. Onbekend telt als een andere.
#   EN: A mandate holds for the own municipality only. Unknown counts as another.
# custom:
#   basis: AVG 6
same_municipality(_) if input.relation.municipality == "same"
