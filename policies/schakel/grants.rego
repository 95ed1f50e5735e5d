# METADATA
# title: Wat gegeven wordt – What is given
# description: |
#   NL: Voor elke letter van de tabel één regel: e, v, c, Tc, T en de opzoeksleutel.
#   EN: One rule for each letter of the table: e, v, c, Tc, T and the lookup key.
# schemas:
#   - input: schema.question
#   - data.schakel.catalog: schema.catalog
#   - data.schakel.settings: schema.settings
package schakel.grants

import data.schakel.conditions
import data.schakel.field
import data.schakel.subject
import data.schakel.table

# METADATA
# title: Volledig (e) – In full (e)
# description: |
#   NL: De waarde zelf, maar geen bijzonder persoonsgegeven.
#   EN: The value itself, but no special category.
# custom:
#   basis: AVG 6
allowed contains {"form": field.full, "basis": row.basis} if {
	some row in table.rows
	row.give == "exact"
	not field.special
	conditions.met(row)
}

# METADATA
# title: Volledig, ook bijzondere gegevens (e) – In full, special categories too (e)
# description: |
#   NL: Alleen de rijen van de Wmo-consulent, de jeugdconsulent en de jeugdbeschermer.
#   EN: Only the rows of the social support officer, the youth care officer and the youth protection worker.
# custom:
#   basis: AVG 9
allowed contains {"form": field.full, "basis": row.basis} if {
	some row in table.rows
	row.give == "exact-with-special"
	conditions.met(row)
}

# METADATA
# title: Beperkt (v) – In limited form (v)
# description: |
#   NL: Ja of nee, of een klasse; geen bijzonder persoonsgegeven.
#   EN: Yes or no, or a band; no special category.
# custom:
#   basis: AVG 5(1)c
allowed contains {"form": field.limited, "basis": row.basis} if {
	some row in table.rows
	row.give == "limited"
	not field.special
	conditions.met(row)
}

# METADATA
# title: Alleen contact (c) – Contact only (c)
# description: |
#   NL: Met wie kan worden overlegd.
#   EN: Whom to consult.
# custom:
#   basis: AVG 5(1)c
allowed contains {"form": field.full, "basis": row.basis} if {
	some row in table.rows
	row.give == "contact"
	field.contact
	conditions.met(row)
}

# METADATA
# title: Contact, met instemming (Tc) – Contact, with release (Tc)
# description: |
#   NL: Met wie kan worden overlegd, als de betrokkene dat goedvindt.
#   EN: Whom to consult, where the person agreed.
# custom:
#   basis: WGBO 7:457; AVG 6(1)a
allowed contains {"form": field.full, "basis": row.basis} if {
	some row in table.rows
	row.give == "contact-on-release"
	field.contact
	subject.agreed
	conditions.met(row)
}

# METADATA
# title: Met toestemming (T) – With consent (T)
# description: |
#   NL: De waarde zelf, als de betrokkene dat goedvindt.
#   EN: The value itself, where the person agreed.
# custom:
#   basis: AVG 6(1)a
allowed contains {"form": field.full, "basis": row.basis} if {
	some row in table.rows
	row.give == "exact-on-consent"
	not field.special
	subject.agreed
	conditions.met(row)
}

# METADATA
# title: Beperkt en met toestemming (v T) – In limited form and with consent (v T)
# description: |
#   NL: Ja of nee, of een klasse, als de betrokkene dat goedvindt.
#   EN: Yes or no, or a band, where the person agreed.
# custom:
#   basis: AVG 6(1)a
allowed contains {"form": field.limited, "basis": row.basis} if {
	some row in table.rows
	row.give == "limited-on-consent"
	not field.special
	subject.agreed
	conditions.met(row)
}

# METADATA
# title: De opzoeksleutel – The lookup key
# description: |
#   NL: Naam, geboortedatum en adres, om de klant te vinden.
#   EN: Name, birth date and address, to find the customer.
# custom:
#   basis: AVG 4(2)
allowed contains {"form": field.full, "basis": row.basis} if {
	some row in table.rows
	row.give == "lookup"
	not field.special
	conditions.met(row)
}

# METADATA
# title: Vertel het het huishouden – Tell the household
# description: |
#   NL: Bij alles wat een medewerker krijgt.
#   EN: With all that a worker receives.
# custom:
#   basis: AVG 14
obligations contains "inform-household" if {
	some row in table.rows
	row.give != "lookup"
}

# METADATA
# title: Alleen voor dit doel – For this purpose only
# description: |
#   NL: Bij wat op toestemming rust.
#   EN: With what rests on consent.
# custom:
#   basis: AVG 5(1)b, 7(3)
obligations contains "use-for-this-purpose-only" if {
	some row in table.rows
	row.give in {"exact-on-consent", "limited-on-consent"}
}

# METADATA
# title: Alleen om op te zoeken – For lookup only
# description: |
#   NL: Bij de opzoeksleutel.
#   EN: With the lookup key.
# custom:
#   basis: AVG 5(1)b, 5(1)e
obligations contains "use-for-lookup-only" if {
	some row in table.rows
	row.give == "lookup"
}
