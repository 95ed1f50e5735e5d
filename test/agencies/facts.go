package agencies

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/source"
)

// dice decides what a holder knows about a person: always the same for the same person.
type dice struct {
	kind   broker.AgencyKind
	person Person
	now    time.Time
	shared bool // a contract for the whole address: housemates get the same answer
}

// roll gives a number from 0 to n-1 for a question.
func (d dice) roll(question string, n int) int {
	about := string(d.person.BSN)
	if at := d.person.address(); d.shared && at != "" {
		about = at
	}
	sum := sha256.Sum256([]byte(string(d.kind) + "|" + about + "|" + question))
	return int(binary.BigEndian.Uint32(sum[:]) % uint32(n))
}

// often is true for about pct of a hundred persons.
func (d dice) often(question string, pct int) bool { return d.roll(question, 100) < pct }

func (d dice) of(question string, words ...any) any { return words[d.roll(question, len(words))] }

// amount gives euros and cents, as a JSON number.
func (d dice) amount(question string, low, high int) any {
	cents := low*100 + d.roll(question, (high-low)*100)
	return json.Number(fmt.Sprintf("%d.%02d", cents/100, cents%100))
}

// day gives a date within so many days from now, on the calendar in Amsterdam.
func (d dice) day(question string, within int) any {
	return d.now.In(broker.Amsterdam()).AddDate(0, 0, 1+d.roll(question, within)).Format(time.DateOnly)
}

func (d dice) minor() bool {
	n, ok := years(d.person.Birth, d.now)
	return ok && n < 18
}

// given answers with value only where ok, and with no value otherwise.
func given(ok bool, value any) any {
	if !ok {
		return nil
	}
	return value
}

// yes answers a yes-no question for persons it can be about.
func yes(applies, answer bool) any { return given(applies, answer) }

// known gives facts of another holder that this one knows too, as bodies in work and income know each other's through
// Suwinet: the same value, under another name. Only those beneath a path.
func known(owner broker.AgencyKind, facts []fact, beneath string) []fact {
	var out []fact
	for _, f := range facts {
		if !strings.HasPrefix(string(f.path), beneath) {
			continue
		}
		value := f.value
		f.name = "suwinet." + string(owner) + "." + f.name
		f.value = func(d dice) any {
			d.kind = owner
			return value(d)
		}
		out = append(out, f)
	}
	return out
}

func ofGemeente() []fact {
	bijstand := func(d dice) bool { return !d.minor() && d.often("bijstand", 30) }
	wmo := func(d dice) bool { return !d.minor() && d.often("wmo", 35) }
	return []fact{
		{"contact.telefoonnummer", "bereikbaarheid.telefoon", source.TypeText, func(d dice) any {
			return given(!d.minor(), fmt.Sprintf("06000%05d", d.roll("telefoon", 100000)))
		}},
		{"contact.emailadres", "bereikbaarheid.email", source.TypeText, func(d dice) any {
			return given(!d.minor() && d.often("heeft email", 85), fmt.Sprintf("bewoner%05d@voorbeeld.example", d.roll("email", 100000)))
		}},
		{"contact.voorkeurstaal", "bereikbaarheid.taal", source.TypeText, func(d dice) any {
			return d.of("taal", "nl", "nl", "nl", "nl", "en", "ar", "pl", "tr", "uk")
		}},
		{"contact.vertegenwoordiger", "vertegenwoordiging.soort", source.TypeText, func(d dice) any {
			return given(!d.minor() && d.often("vertegenwoordiger", 12), d.of("soort", "bewindvoerder", "mentor", "gemachtigde"))
		}},
		{"uitkering.bijstand.actief", "participatiewet.actief", source.TypeFlag, func(d dice) any { return yes(!d.minor(), bijstand(d)) }},
		{"uitkering.bijstand.bedrag", "participatiewet.maandbedrag", source.TypeNumber, func(d dice) any {
			return given(bijstand(d), d.amount("bijstand bedrag", 900, 1900))
		}},
		{"uitkering.bijstand.verlaging", "participatiewet.verlaging", source.TypeFlag, func(d dice) any {
			return yes(bijstand(d), d.often("verlaging", 15))
		}},
		{"wmo.voorziening.soort", "maatwerk.soort", source.TypeText, func(d dice) any {
			return given(wmo(d), d.of("soort", "huishoudelijke hulp", "begeleiding individueel", "scootmobiel", "dagbesteding"))
		}},
		{"wmo.aanbieder.contact", "maatwerk.aanbieder", source.TypeText, func(d dice) any {
			return given(wmo(d), "Thuiszorg (proef), telefoon 088 000 01 00")
		}},
	}
}

func ofUWV() []fact {
	return []fact{
		{"inkomen.loon.maandbedrag", "polis.brutoMaandloon", source.TypeNumber, func(d dice) any {
			return given(!d.minor() && d.often("werkt", 55), d.amount("loon", 700, 4200))
		}},
		{"uitkering.arbeidsongeschiktheid", "wia.lopend", source.TypeFlag, func(d dice) any { return yes(!d.minor(), d.often("wia", 12)) }},
	}
}

func ofBelastingdienst() []fact {
	income := func(d dice) any { return d.amount("verzamelinkomen", 9000, 46000) }
	return []fact{
		{"inkomen.verzamelinkomen", "aanslag.verzamelinkomen", source.TypeNumber, func(d dice) any { return given(!d.minor(), income(d)) }},
		{"inkomen.onderMinimagrens", "aanslag.onderGrens", source.TypeFlag, func(d dice) any {
			n, _ := income(d).(json.Number).Float64()
			return yes(!d.minor(), n < 22000)
		}},
	}
}

func ofToeslagen() []fact {
	return []fact{{"uitkering.toeslagen.voorschot", "voorschot.perMaand", source.TypeNumber, func(d dice) any {
		return given(!d.minor() && d.often("toeslag", 60), d.amount("toeslag", 40, 900))
	}}}
}

func ofKredietbank() []fact {
	client := func(d dice) bool { return !d.minor() && d.often("klant", 55) }
	return []fact{
		{"schulden.schuldhulptraject", "traject.lopend", source.TypeFlag, func(d dice) any { return yes(!d.minor(), client(d) && d.often("traject", 60)) }},
		{"schulden.totaalbedrag", "schuld.totaal", source.TypeNumber, func(d dice) any { return given(client(d), d.amount("totaal", 1500, 42000)) }},
		{"schulden.aantalSchuldeisers", "schuld.schuldeisers", source.TypeNumber, func(d dice) any { return given(client(d), 1+d.roll("schuldeisers", 17)) }},
		{"schulden.beslag", "beslag.gelegd", source.TypeFlag, func(d dice) any { return yes(client(d), d.often("beslag", 30)) }},
		{"schulden.beslagvrijeVoet", "beslag.vrijeVoet", source.TypeNumber, func(d dice) any {
			return given(client(d) && d.often("beslag", 30), d.amount("voet", 1000, 2100))
		}},
	}
}

// arrears: about two in three addresses have some; who has none has 0, which is a value too.
func arrears(high int) func(d dice) any {
	return func(d dice) any {
		if !d.often("achterstand", 65) {
			return 0
		}
		return d.amount("achterstand bedrag", 60, high)
	}
}

func ofWoningcorporatie() []fact {
	verdict := func(d dice) bool { return d.often("achterstand", 65) && d.often("vonnis", 25) }
	return []fact{
		{"huur.achterstand.bedrag", "huurachterstand.saldo", source.TypeNumber, arrears(4500)},
		{"huur.achterstand.maanden", "huurachterstand.maanden", source.TypeNumber, func(d dice) any {
			if !d.often("achterstand", 65) {
				return 0
			}
			return 1 + d.roll("maanden", 7)
		}},
		{"huur.ontruiming.vonnis", "procedure.vonnis", source.TypeFlag, func(d dice) any { return verdict(d) }},
		{"huur.ontruiming.datum", "procedure.aangezegdOp", source.TypeDate, func(d dice) any { return given(verdict(d), d.day("aanzegging", 42)) }},
		{"huur.contactpersoon", "afdeling", source.TypeText, func(dice) any { return "Team sociaal beheer (proef), telefoon 088 000 02 00" }},
	}
}

func ofEnergie() []fact {
	return []fact{
		{"energie.achterstand.bedrag", "openstaand.saldo", source.TypeNumber, arrears(2400)},
		{"energie.afsluiting.datum", "afsluiting.gepland", source.TypeDate, func(d dice) any {
			return given(d.often("achterstand", 65) && d.often("afsluiting", 25), d.day("afsluiting", 60))
		}},
		{"energie.kwetsbareConsument", "kwetsbaar", source.TypeFlag, func(d dice) any { return d.often("kwetsbaar", 10) }},
	}
}

func ofWater() []fact {
	return []fact{
		{"water.achterstand.bedrag", "rekening.achterstand", source.TypeNumber, arrears(600)},
		{"water.afsluiting.datum", "rekening.afsluiting", source.TypeDate, func(d dice) any {
			return given(d.often("achterstand", 65) && d.often("afsluiting", 10), d.day("afsluiting", 60))
		}},
	}
}

func ofZorgverzekeraar() []fact {
	return []fact{
		{"zorgverzekering.achterstand.bedrag", "premie.achterstand", source.TypeNumber, func(d dice) any {
			if d.minor() {
				return nil
			}
			return arrears(1800)(d)
		}},
		{"zorgverzekering.wanbetalersregeling", "premie.wanbetaler", source.TypeFlag, func(d dice) any {
			return yes(!d.minor(), d.often("achterstand", 65) && d.often("wanbetaler", 30))
		}},
	}
}

func ofJeugdhulp() []fact {
	active := func(d dice) bool { return d.minor() && d.often("jeugdhulp", 40) }
	return []fact{
		{"jeugd.voorziening.actief", "hulp.lopend", source.TypeFlag, func(d dice) any { return yes(d.minor(), active(d)) }},
		{"jeugd.voorziening.einddatum", "hulp.tot", source.TypeDate, func(d dice) any { return given(active(d), d.day("einde", 300)) }},
		{"jeugd.aanbieder.contact", "contact", source.TypeText, func(d dice) any { return given(active(d), "Jeugdteam (proef), telefoon 088 000 03 00") }},
		{"jeugd.ondertoezichtstelling", "maatregel.ots", source.TypeFlag, func(d dice) any { return yes(d.minor(), d.often("ots", 8)) }},
	}
}

func ofGGZ() []fact {
	patient := func(d dice) bool { return d.often("behandeling", 30) }
	return []fact{
		{"ggz.inBehandeling", "behandeling.lopend", source.TypeFlag, func(d dice) any { return patient(d) }},
		{"ggz.behandelaar.contact", "behandeling.bereikbaarheid", source.TypeText, func(d dice) any {
			return given(patient(d), "Polikliniek (proef), telefoon 088 000 04 00")
		}},
		{"ggz.diagnose", "behandeling.diagnose", source.TypeText, func(d dice) any {
			return given(patient(d), d.of("diagnose", "depressieve stoornis", "angststoornis", "PTSS"))
		}},
	}
}

func ofSchool() []fact {
	return []fact{
		{"onderwijs.school", "inschrijving.school", source.TypeText, func(d dice) any {
			return given(d.minor(), d.of("school", "Basisschool De Proef", "Proefcollege", "Openbare Proefschool"))
		}},
		{"onderwijs.verzuim.uren", "verzuim.urenDitJaar", source.TypeNumber, func(d dice) any { return given(d.minor(), d.roll("verzuim", 60)) }},
		{"onderwijs.zorgcoordinator.contact", "zorg.contact", source.TypeText, func(d dice) any {
			return given(d.minor(), "Zorgteam van de school (proef), telefoon 088 000 05 00")
		}},
	}
}

func ofDJI() []fact {
	return []fact{{"justitie.detentie.einddatum", "detentie.tot", source.TypeDate, func(d dice) any {
		return given(!d.minor() && d.often("detentie", 4), d.day("detentie", 400))
	}}}
}
