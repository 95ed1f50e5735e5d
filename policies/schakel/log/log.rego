# METADATA
# title: Wie het logboek mag bevragen – Who may query the log
# description: |
#   NL: Zegt of een functionaris een vraag aan het logboek mag stellen, voor een doel. Wat hier niet staat mag niet. Over verstrekkingen beslissen deze regels niet.
#   EN: Says whether an officer may put a query to the log, for a purpose. What does not stand here is not permitted. These rules decide on no disclosure.
# schemas:
#   - input: schema.inspection
package schakel.log

# METADATA
# title: Het antwoord – The answer
# description: |
#   NL: Of het mag; en anders voor welke doelen deze rol het wel mag, en welke rollen het mogen.
#   EN: Whether it may be; and otherwise for which purposes this role may, and which roles may.
# custom:
#   basis: AVG 5(1)b
permission := {"allowed": allowed, "purposes": purpose, "roles": role}

# METADATA
# title: Toegestaan – Permitted
# description: |
#   NL: Dit doel is er een waarvoor deze rol deze vraag mag stellen.
#   EN: This purpose is one for which this role may put this query.
# custom:
#   basis: AVG 5(1)b
allowed if {
	input.purpose in purpose
} else := false

# METADATA
# title: De doelen – The purposes
# description: |
#   NL: Waarvoor deze rol deze vraag mag stellen.
#   EN: What this role may put this query for.
# custom:
#   basis: AVG 5(1)b
purpose contains word if {
	some permit in data.schakel.log.permits
	input.query in permit.queries
	input.role in permit.roles
	some word in permit.purposes
}

# METADATA
# title: De rollen – The roles
# description: |
#   NL: Wie deze vraag mogen stellen, voor welk doel dan ook.
#   EN: Who may put this query, for whatever purpose.
# custom:
#   basis: AVG 32
role contains word if {
	some permit in data.schakel.log.permits
	input.query in permit.queries
	some word in permit.roles
}

# METADATA
# title: Niets ontbreekt – Nothing is missing
# description: |
#   NL: Elke vraag en elk doel dat een regel noemt staat in de lijst met zijn tekst. Anders worden deze regels niet geladen, en mag niemand iets.
#   EN: Every query and every purpose that a line names is in the list with its text. Otherwise these rules are not loaded, and nobody may anything.
# custom:
#   basis: AVG 32
complete if {
	count(data.schakel.log.permits) > 0
	every permit in data.schakel.log.permits {
		every query in permit.queries {
			is_string(data.schakel.log.queries[query].nl)
			is_string(data.schakel.log.queries[query].en)
		}
		every word in permit.purposes {
			is_string(data.schakel.log.purposes[word].nl)
			is_string(data.schakel.log.purposes[word].en)
		}
	}
}
