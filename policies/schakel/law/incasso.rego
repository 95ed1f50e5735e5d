# METADATA
# title: Incasso en invordering – Collection
# description: |
#   NL: De rijen van de tabel voor schuldeisers. Zij rusten op toestemming en op een eigen vordering.
#   EN: The rows of the table for creditors. They rest on consent and on a claim of their own.
# schemas:
#   - input: schema.question
#   - data.schakel.catalog: schema.catalog
#   - data.schakel.settings: schema.settings
package schakel.law.incasso

# METADATA
# title: Sociale incasso – Social collection
# description: |
#   NL: Of er schuldhulp loopt, zodat de schuldeiser kan wachten.
#   EN: Whether debt help is running, so that the creditor can wait.
# custom:
#   basis: AVG 6(1)a
rows contains {"give": "limited-on-consent", "basis": "avg-6-1a", "mandate": "none"} if {
	input.role == "medewerker-sociale-incasso"
	input.purpose == "ontruiming-voorkomen"
	input.field.domain == "schulden"
}

# METADATA
# title: Invordering opschorten – Suspending collection
# description: |
#   NL: Alleen of er een schuldhulptraject loopt: ja of nee.
#   EN: Only whether a debt-help trajectory is running: yes or no.
# custom:
#   basis: AVG 6(1)a
rows contains {"give": "limited-on-consent", "basis": "avg-6-1a", "mandate": "none"} if {
	input.role == "medewerker-invordering"
	input.purpose == "invordering-opschorten"
	input.field.domain == "schulden"
	input.field.path == "schulden.schuldhulptraject"
}
