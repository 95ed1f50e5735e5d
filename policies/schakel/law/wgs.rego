# METADATA
# title: Wet gemeentelijke schuldhulpverlening – Municipal Debt Counselling Act
# description: |
#   NL: De rijen van de tabel die op de Wgs rusten. Een rij zegt wie voor welk doel welk domein mag krijgen; de voorwaarden staan in conditions.rego.
#   EN: The rows of the table that rest on the Wgs. A row says who may receive which domain for which purpose; the conditions are in conditions.rego.
# schemas:
#   - input: schema.question
#   - data.schakel.catalog: schema.catalog
#   - data.schakel.settings: schema.settings
package schakel.law.wgs

# METADATA
# title: Vroegsignalering, naam en adres – Early signalling, name and address
# description: |
#   NL: Om aan te bellen zijn naam en adres genoeg.
#   EN: To ring the bell, name and address are enough.
# custom:
#   basis: Wgs 3(1)b, 8; Besluit gemeentelijke schuldhulpverlening 2-3
rows contains {"give": "exact", "basis": "wgs-8", "mandate": "wgs"} if {
	input.role == "medewerker-vroegsignalering"
	input.purpose == "vroegsignalering"
	input.field.domain == "persoon"
	input.field.path in data.schakel.settings.groups["naam-en-adres"]
}

# METADATA
# title: Vroegsignalering, contactgegevens – Early signalling, contact details
# description: |
#   NL: Om hulp aan te bieden.
#   EN: To offer help.
# custom:
#   basis: Wgs 3(1)b, 8; Besluit gemeentelijke schuldhulpverlening 2-3
rows contains {"give": "exact", "basis": "wgs-8", "mandate": "wgs"} if {
	input.role == "medewerker-vroegsignalering"
	input.purpose == "vroegsignalering"
	input.field.domain == "contact"
}

# METADATA
# title: Vroegsignalering, achterstanden – Early signalling, arrears
# description: |
#   NL: Alleen de achterstand bij huur, energie, water en zorgverzekering.
#   EN: Only the arrears on rent, energy, water and health insurance.
# custom:
#   basis: Wgs 3(1)b, 8; Besluit gemeentelijke schuldhulpverlening 2-3
rows contains {"give": "exact", "basis": "wgs-3-1b", "mandate": "wgs"} if {
	input.role == "medewerker-vroegsignalering"
	input.purpose == "vroegsignalering"
	input.field.domain in {"huur", "energie", "water", "zorgverzekering"}
	input.field.path in data.schakel.settings.groups.achterstand
}

# METADATA
# title: Vroegsignalering, schulden beperkt – Early signalling, debts in limited form
# description: |
#   NL: Loopt er al schuldhulp, en hoe groot is het probleem ongeveer.
#   EN: Is debt help running already, and how large is the problem roughly.
# custom:
#   basis: Wgs 3(1)b, 8; Besluit gemeentelijke schuldhulpverlening 2-3
rows contains {"give": "limited", "basis": "wgs-8", "mandate": "wgs"} if {
	input.role == "medewerker-vroegsignalering"
	input.purpose == "vroegsignalering"
	input.field.domain == "schulden"
}

# METADATA
# title: Ontruiming voorkomen, persoon, contact en huur – Preventing an eviction, person, contact and rent
# description: |
#   NL: Het wijkteam en de casusregisseur mogen weten wie er woont en wat de achterstand is. Het gezag hoort daar niet bij.
#   EN: The team and the coordinator may know who lives there and what is in arrears. Parental authority is not part of that.
# custom:
#   basis: Wgs 3, 8
rows contains {"give": "exact", "basis": "wgs-8", "mandate": "wgs"} if {
	input.role in {"wijkteammedewerker", "casusregisseur"}
	input.purpose == "ontruiming-voorkomen"
	input.field.domain in {"persoon", "contact", "huur"}
	not input.field.path in data.schakel.settings.groups.gezag
}

# METADATA
# title: Ontruiming voorkomen, huishouden en schulden beperkt – Preventing an eviction, household and debts in limited form
# description: |
#   NL: Bijvoorbeeld of er minderjarigen zijn en of er schuldhulp loopt.
#   EN: For instance whether there are minors and whether debt help is running.
# custom:
#   basis: Wgs 3, 8
rows contains {"give": "limited", "basis": "wgs-8", "mandate": "wgs"} if {
	input.role in {"wijkteammedewerker", "casusregisseur"}
	input.purpose == "ontruiming-voorkomen"
	input.field.domain in {"huishouden", "schulden"}
}

# METADATA
# title: Ontruiming voorkomen, contact met de ggz – Preventing an eviction, contact with mental health care
# description: |
#   NL: Met wie kan worden overlegd, als de betrokkene daarmee instemt.
#   EN: Whom to consult, where the person released it.
# custom:
#   basis: WGBO 7:457
rows contains {"give": "contact-on-release", "basis": "wgbo-7-457", "mandate": "wgs"} if {
	input.role in {"wijkteammedewerker", "casusregisseur"}
	input.purpose == "ontruiming-voorkomen"
	input.field.domain == "ggz"
}

# METADATA
# title: Ontruiming voorkomen, contact met de Wmo-aanbieder – Preventing an eviction, contact with the Wmo provider
# description: |
#   NL: Alleen voor de casusregisseur, met instemming.
#   EN: For the coordinator only, with release.
# custom:
#   basis: Wgs 3, 8; WGBO 7:457
rows contains {"give": "contact-on-release", "basis": "wgs-8", "mandate": "wgs"} if {
	input.role == "casusregisseur"
	input.purpose == "ontruiming-voorkomen"
	input.field.domain == "wmo"
}

# METADATA
# title: Ontruiming voorkomen, contact met de jeugdhulp – Preventing an eviction, contact with youth care
# description: |
#   NL: Alleen voor de casusregisseur, met instemming.
#   EN: For the coordinator only, with release.
# custom:
#   basis: Jeugdwet 7.3.11
rows contains {"give": "contact-on-release", "basis": "jeugdwet-7.3.11", "mandate": "wgs"} if {
	input.role == "casusregisseur"
	input.purpose == "ontruiming-voorkomen"
	input.field.domain == "jeugd"
}

# METADATA
# title: Afsluiting voorkomen, persoon, contact, energie en water – Preventing disconnection, person, contact, energy and water
# description: |
#   NL: Het wijkteam mag weten wie er woont en wat de achterstand is. Het gezag hoort daar niet bij.
#   EN: The team may know who lives there and what is in arrears. Parental authority is not part of that.
# custom:
#   basis: Wgs 3, 8
rows contains {"give": "exact", "basis": "wgs-8", "mandate": "wgs"} if {
	input.role == "wijkteammedewerker"
	input.purpose == "afsluiting-voorkomen"
	input.field.domain in {"persoon", "contact", "energie", "water"}
	not input.field.path in data.schakel.settings.groups.gezag
}

# METADATA
# title: Afsluiting voorkomen, huishouden en schulden beperkt – Preventing disconnection, household and debts in limited form
# description: |
#   NL: Bijvoorbeeld of er minderjarigen zijn en of er schuldhulp loopt.
#   EN: For instance whether there are minors and whether debt help is running.
# custom:
#   basis: Wgs 3, 8
rows contains {"give": "limited", "basis": "wgs-8", "mandate": "wgs"} if {
	input.role == "wijkteammedewerker"
	input.purpose == "afsluiting-voorkomen"
	input.field.domain in {"huishouden", "schulden"}
}
