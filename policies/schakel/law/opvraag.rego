# METADATA
# title: De opzoeksleutel van een houder – The lookup key of a holder
# description: |
#   NL: Vragen is ook verstrekken. Een houder zonder BSN-grond krijgt naam, geboortedatum en adres om de klant te vinden, en niets anders.
#   EN: Asking is a disclosure too. A holder without a BSN ground gets name, birth date and address to find the customer, and nothing else.
# schemas:
#   - input: schema.question
#   - data.schakel.catalog: schema.catalog
#   - data.schakel.settings: schema.settings
package schakel.law.opvraag

# METADATA
# title: Opzoeken bij een houder zonder BSN – Looking up at a holder without BSN
# description: |
#   NL: Alleen voor doelen waarvoor de tabel de gegevens van deze soort houder gebruikt.
#   EN: Only for purposes for which the table uses the data of this kind of holder.
# custom:
#   basis: Wgs 8
rows contains {"give": "lookup", "basis": "wgs-8", "mandate": "none"} if {
	input.role == "gegevenshouder"
	input.purpose in data.schakel.settings.lookup[input.agency.kind]
	input.field.path in data.schakel.settings.groups.opzoeksleutel
}
