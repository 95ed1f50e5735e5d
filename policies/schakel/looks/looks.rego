# METADATA
# title: Inzagen die niets verklaart – Looks that nothing explains
# description: |
#   NL: Zegt van één vastgelegde inzage wat haar verklaart en op welk patroon van misbruik zij lijkt. Een patroon is een reden om te vragen en geen oordeel. Deze regels zien geen namen en beslissen over geen verstrekking.
#   EN: Says of one recorded look what explains it and which pattern of misuse it resembles. A pattern is a reason to ask and no verdict. These rules see no names and decide on no disclosure.
# schemas:
#   - input: schema.look
package schakel.looks

# METADATA
# title: Het oordeel – The judgement
# description: |
#   NL: Verklaringen, patronen, hun gewicht samen, en of de inzage op de werklijst komt.
#   EN: Explanations, patterns, their weight together, and whether the look comes on the working list.
# custom:
#   basis: AVG 32
judgement := {
	"explanations": [named(data.schakel.looks.explanations, id) | some id in explanation],
	"patterns": [named(data.schakel.looks.patterns, id) | some id in pattern],
	"score": score,
	"listed": listed,
}

# METADATA
# title: In woorden – In words
# description: |
#   NL: Een verklaring of patroon met wat het betekent.
#   EN: An explanation or pattern with what it means.
# custom:
#   basis: AVG 12
named(list, id) := {"id": id, "nl": list[id].nl, "en": list[id].en}

# METADATA
# title: Het gewicht – The weight
# description: |
#   NL: De gewichten van de patronen samen.
#   EN: The weights of the patterns together.
# custom:
#   basis: AVG 5(1)f
score := sum([data.schakel.looks.patterns[id].weight | some id in pattern])

# METADATA
# title: Op de werklijst – On the working list
# description: |
#   NL: Wat minder weegt is de tijd van wie het nagaat niet waard.
#   EN: What weighs less is not worth the time of who asks.
# custom:
#   basis: AVG 5(1)f
listed if {
	score >= data.schakel.looks.thresholds.list_from
} else := false

# METADATA
# title: Niets ontbreekt – Nothing is missing
# description: |
#   NL: Een drempel, gewicht of tekst die ontbreekt zou stil alles goed vinden. Dan worden deze regels niet geladen.
#   EN: A threshold, weight or text that is missing would quietly find everything good. Then these rules are not loaded.
# custom:
#   basis: AVG 32
complete if {
	is_number(data.schakel.looks.thresholds.list_from)
	is_number(data.schakel.looks.thresholds.colleague_days)
	is_number(data.schakel.looks.thresholds.fishing.in_row)
	is_number(data.schakel.looks.thresholds.hours.from)
	is_number(data.schakel.looks.thresholds.hours.until)
	is_number(data.schakel.looks.thresholds.hours.last_weekday)
	is_number(data.schakel.looks.thresholds.hours.history_days)
	is_number(data.schakel.looks.thresholds.hours.looks)
	is_number(data.schakel.looks.thresholds.hours.habit)
	is_number(data.schakel.looks.thresholds.popular.onlookers)
	is_number(data.schakel.looks.thresholds.volume.history_days)
	is_number(data.schakel.looks.thresholds.volume.others)
	is_number(data.schakel.looks.thresholds.volume.percent)
	is_number(data.schakel.looks.thresholds.volume.peers)
	is_number(data.schakel.looks.thresholds.old_case.quiet_days)
	is_number(data.schakel.looks.thresholds.breadth.history_days)
	is_number(data.schakel.looks.thresholds.breadth.looks)
	is_number(data.schakel.looks.thresholds.breadth.percent)
	is_number(data.schakel.looks.thresholds.breadth.peers_percent)
	is_number(data.schakel.looks.thresholds.breadth.peers)
	every id in ["unexplained", "fishing", "hours", "hours-own", "popular", "volume", "old-case", "breadth"] {
		is_number(data.schakel.looks.patterns[id].weight)
		is_string(data.schakel.looks.patterns[id].nl)
		is_string(data.schakel.looks.patterns[id].en)
	}
	every id in ["assigned", "team", "signal", "claim", "emergency"] {
		is_string(data.schakel.looks.explanations[id].nl)
		is_string(data.schakel.looks.explanations[id].en)
	}
}

# METADATA
# title: Eigen zaak – Own case
# description: |
#   NL: De zaak was van deze medewerker toen hij keek.
#   EN: The case was this worker's when they looked.
# custom:
#   basis: AVG 5(1)f
explanation contains "assigned" if input.look.relation == "assigned"

# METADATA
# title: Eigen signaal – Own signal
# description: |
#   NL: Een open signaal was van deze medewerker.
#   EN: An open early signal was this worker's.
# custom:
#   basis: AVG 5(1)f
explanation contains "signal" if input.look.signal

# METADATA
# title: Eigen vordering – Own claim
# description: |
#   NL: Een vordering van de organisatie was bij deze medewerker.
#   EN: A claim of the agency was with this worker.
# custom:
#   basis: AVG 5(1)f
explanation contains "claim" if input.look.claim

# METADATA
# title: Noodsituatie – Emergency
# description: |
#   NL: De zaak was van een collega en er was een noodsituatie.
#   EN: The case was a colleague's and there was an emergency.
# custom:
#   basis: AVG 5(1)f
explanation contains "emergency" if {
	input.look.relation == "agency"
	input.look.emergency
}

# METADATA
# title: Zaak van het team – Case of the team
# description: |
#   NL: De zaak is van het team, en niemand in het bijzonder heeft haar, of een collega van wie zij is keek er pas nog in.
#   EN: The case is the team's, and nobody in particular has it, or a colleague whose case it is looked at it lately.
# custom:
#   basis: AVG 5(1)f
explanation contains "team" if {
	input.look.relation == "team"
	alive
}

# METADATA
# title: Zonder vaste medewerker – Nobody in particular
# description: |
#   NL: Geen medewerker staat op deze zaak: zij is van het hele team.
#   EN: No worker is on this case: it is the whole team's.
# custom:
#   basis: AVG 5(1)f
alive if not input.case.staffed

# METADATA
# title: Een collega werkt eraan – A colleague works on it
# description: |
#   NL: Een collega van wie de zaak is keek er pas nog in.
#   EN: A colleague whose case it is looked at it lately.
# custom:
#   basis: AVG 5(1)f
alive if {
	input.case.colleague_days >= 0
	input.case.colleague_days <= data.schakel.looks.thresholds.colleague_days
}

# METADATA
# title: Zonder verklaring – Without an explanation
# description: |
#   NL: Er is iets gegeven en niets in het register verklaart waarom. Een weigering gaf niets; weigeringen op rij zijn een eigen patroon.
#   EN: Something was given and nothing in the register explains why. A refusal gave nothing; refusals in a row are a pattern of their own.
# custom:
#   basis: AVG 5(1)f
pattern contains "unexplained" if {
	not input.look.refused
	count(explanation) == 0
}

# METADATA
# title: Zoeken – Fishing
# description: |
#   NL: Weigeringen op rij, zonder band met een huishouden.
#   EN: Refusals in a row, without a tie with any household.
# custom:
#   basis: AVG 5(1)f
pattern contains "fishing" if {
	input.look.relation == "none"
	input.look.refused
	input.worker.refused_in_row >= data.schakel.looks.thresholds.fishing.in_row
}

# METADATA
# title: Ongewone tijd – Unusual hour
# description: |
#   NL: Avond, nacht of weekend, buiten het eigen ritme, en niet de eigen zaak.
#   EN: Evening, night or weekend, out of the worker's own rhythm, and not their own case.
# custom:
#   basis: AVG 5(1)f
pattern contains "hours" if {
	out_of_rhythm
	not own
}

# METADATA
# title: Ongewone tijd, eigen zaak – Unusual hour, own case
# description: |
#   NL: Hetzelfde in een eigen zaak: alleen met een ander patroon iets om na te vragen.
#   EN: The same in a case of their own: only with another pattern something to ask about.
# custom:
#   basis: AVG 5(1)f
pattern contains "hours-own" if {
	out_of_rhythm
	own
}

# METADATA
# title: Veel bekeken – Much looked at
# description: |
#   NL: Veel medewerkers van wie dit de zaak niet is keken in één week naar dit huishouden.
#   EN: Many workers whose case this is not looked at this household within a week.
# custom:
#   basis: AVG 5(1)f
pattern contains "popular" if {
	not own
	input.case.onlookers >= data.schakel.looks.thresholds.popular.onlookers
}

# METADATA
# title: Veel zaken van anderen – Many cases of others
# description: |
#   NL: Veel meer dan collega's met dezelfde rol in hetzelfde team. Dit gaat over de medewerker en wordt één keer per week gezegd: anders staat elke inzage op de lijst.
#   EN: Far more than peers of the same role and team. It is about the worker and is said once a week: else each look would stand on the list.
# custom:
#   basis: AVG 5(1)f
pattern contains "volume" if {
	input.look.first_of_week
	input.worker.history_days >= data.schakel.looks.thresholds.volume.history_days
	input.worker.peers >= data.schakel.looks.thresholds.volume.peers
	input.worker.others >= data.schakel.looks.thresholds.volume.others
	input.worker.others_percent >= data.schakel.looks.thresholds.volume.percent
}

# METADATA
# title: Oude zaak – Old case
# description: |
#   NL: In een zaak waarin lang niemand keek, wordt weer iets gevraagd.
#   EN: Something is asked again in a case that nobody looked at for long.
# custom:
#   basis: AVG 5(1)f
pattern contains "old-case" if {
	not input.look.refused
	input.case.quiet_days >= data.schakel.looks.thresholds.old_case.quiet_days
}

# METADATA
# title: Altijd alles – Always everything
# description: |
#   NL: Vraagt in elke inzage bijna alles, en collega's met dezelfde rol niet. Ook dit wordt één keer per week gezegd.
#   EN: Asks for nearly everything in every look, where peers of the same role do not. This too is said once a week.
# custom:
#   basis: AVG 5(1)f
pattern contains "breadth" if {
	input.look.first_of_week
	input.worker.history_days >= data.schakel.looks.thresholds.breadth.history_days
	input.worker.peers >= data.schakel.looks.thresholds.breadth.peers
	input.worker.looks >= data.schakel.looks.thresholds.breadth.looks
	input.worker.breadth_percent >= data.schakel.looks.thresholds.breadth.percent
	input.worker.peers_breadth_percent <= data.schakel.looks.thresholds.breadth.peers_percent
}

# METADATA
# title: Van deze medewerker, de zaak – This worker's, the case
# description: |
#   NL: Een inzage in een eigen zaak.
#   EN: A look at a case of one's own.
# custom:
#   basis: AVG 5(1)f
own if input.look.relation == "assigned"

# METADATA
# title: Van deze medewerker, het signaal – This worker's, the signal
# description: |
#   NL: Een inzage op een eigen signaal.
#   EN: A look on a signal of one's own.
# custom:
#   basis: AVG 5(1)f
own if input.look.signal

# METADATA
# title: Van deze medewerker, de vordering – This worker's, the claim
# description: |
#   NL: Een inzage voor een vordering.
#   EN: A look for a claim.
# custom:
#   basis: AVG 5(1)f
own if input.look.claim

# METADATA
# title: Buiten het eigen ritme – Out of the own rhythm
# description: |
#   NL: Buiten werktijd, terwijl deze medewerker dan bijna nooit kijkt. Wie dienst heeft, heeft dat ritme.
#   EN: Out of working hours, when this worker hardly ever looks. Who is on call has that rhythm.
# custom:
#   basis: AVG 5(1)f
out_of_rhythm if {
	out_of_hours
	not input.look.emergency
	input.worker.history_days >= data.schakel.looks.thresholds.hours.history_days
	input.worker.looks >= data.schakel.looks.thresholds.hours.looks
	input.worker.habit <= data.schakel.looks.thresholds.hours.habit
}

# METADATA
# title: Vroeg – Early
# description: |
#   NL: Voor het begin van de werkdag.
#   EN: Before the working day begins.
# custom:
#   basis: AVG 5(1)f
out_of_hours if input.look.hour < data.schakel.looks.thresholds.hours.from

# METADATA
# title: Laat – Late
# description: |
#   NL: Na het einde van de werkdag.
#   EN: After the working day has ended.
# custom:
#   basis: AVG 5(1)f
out_of_hours if input.look.hour >= data.schakel.looks.thresholds.hours.until

# METADATA
# title: Weekend – Weekend
# description: |
#   NL: Op een zaterdag of zondag.
#   EN: On a Saturday or Sunday.
# custom:
#   basis: AVG 5(1)f
out_of_hours if input.look.weekday > data.schakel.looks.thresholds.hours.last_weekday
