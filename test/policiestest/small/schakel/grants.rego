# METADATA
# title: Wat gegeven wordt – What is given
# description: |
#   NL: De rijen van dit kleine beleid.
#   EN: The rows of this small policy.
# schemas:
#   - input: schema.question
#   - data.schakel.catalog: schema.catalog
package schakel.grants

# METADATA
# title: Huur – Rent
# description: |
#   NL: Het wijkteam krijgt de huurachterstand.
#   EN: The neighbourhood team gets the rent arrears.
# custom:
#   basis: Wgs 3(1)b
allowed contains {"form": "exact", "basis": "wgs-3-1b"} if {
	tied
	input.field.path == "huur.achterstand.bedrag"
}

# METADATA
# title: De band – The tie
# description: |
#   NL: Een medewerker van het wijkteam, in een zaak die hem is toegewezen, met een afspraak met de houder.
#   EN: A worker of the neighbourhood team, on a case assigned to them, with an agreement with the holder.
# custom:
#   basis: AVG 5(1)b
tied if {
	input.role == "wijkteammedewerker"
	input.purpose == "ontruiming-voorkomen"
	input.relation.case == "assigned"
	input.field.domain in input.agreements
}
