package agencies

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/schakel/schakel/broker"
)

// full gives everything the civil registry stand-in can say about a person, in the form of Haal Centraal personen v2,
// before `fields` picks from it. Empty and unknown values ("." in the BRP) are left out, as the real one does.
func (p Person) full(now time.Time, all Population) map[string]any {
	l := p.list
	out := map[string]any{"burgerservicenummer": string(p.BSN)}
	put(out, "aNummer", l.get("01", "01.10"))
	put(out, "geslacht", coded(l.get("01", "04.10"), map[string]string{"M": "man", "V": "vrouw", "O": "onbekend"}))
	if n, ok := years(p.Birth, now); ok && !p.Deceased {
		out["leeftijd"] = n
	}
	put(out, "naam", p.name())
	put(out, "geboorte", group("datum", date(l.get("01", "03.10")), "plaats", place(l.get("01", "03.20")),
		"land", coded(l.get("01", "03.30"), countries())))
	put(out, "overlijden", group("datum", date(l.get("06", "08.10")), "plaats", place(l.get("06", "08.20")),
		"land", coded(l.get("06", "08.30"), countries())))
	put(out, "verblijfplaats", p.residence())
	put(out, "adressering", p.addressing())
	put(out, "gemeenteVanInschrijving", coded(l.get("08", "09.10"), municipalities()))
	put(out, "datumInschrijvingInGemeente", date(l.get("08", "09.20")))
	if l.get("11", "33.10") == "1" {
		out["indicatieCurateleRegister"] = true
	}
	put(out, "gezag", p.authority(now, all))
	return out
}

// put leaves out what is empty: Haal Centraal has no empty values.
func put(obj map[string]any, key string, v any) {
	switch v := v.(type) {
	case nil:
	case string:
		if v != "" && v != "." {
			obj[key] = v
		}
	case map[string]any:
		if len(v) > 0 {
			obj[key] = v
		}
	case []any:
		if len(v) > 0 {
			obj[key] = v
		}
	}
}

func group(pairs ...any) map[string]any {
	out := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		put(out, pairs[i].(string), pairs[i+1])
	}
	return out
}

// coded gives a row of a national table; a code that stands for unknown (0 or 0000) is no value.
func coded(code string, table map[string]string) map[string]any {
	if code == "" || strings.Trim(code, "0.") == "" {
		return nil
	}
	return group("code", code, "omschrijving", table[code])
}

// place: a municipality by its code, or a place abroad by its name.
func place(s string) map[string]any {
	if len(s) == 4 && strings.Trim(s, "0123456789") == "" {
		return coded(s, municipalities())
	}
	return group("omschrijving", s)
}

// date gives a date of the BRP in one of the four forms of Haal Centraal.
func date(s string) map[string]any {
	if s == "" {
		return nil
	}
	months := []string{"januari", "februari", "maart", "april", "mei", "juni", "juli", "augustus", "september", "oktober",
		"november", "december"}
	d, err := parseDate(s)
	switch {
	case err != nil || d.Year == 0:
		return map[string]any{"type": "DatumOnbekend", "onbekend": true, "langFormaat": "onbekend"}
	case d.Month == 0:
		return map[string]any{"type": "JaarDatum", "jaar": d.Year, "langFormaat": strconv.Itoa(d.Year)}
	case d.Day == 0:
		return map[string]any{"type": "JaarMaandDatum", "jaar": d.Year, "maand": d.Month,
			"langFormaat": fmt.Sprintf("%s %d", months[d.Month-1], d.Year)}
	}
	return map[string]any{"type": "Datum", "datum": fmt.Sprintf("%04d-%02d-%02d", d.Year, d.Month, d.Day),
		"langFormaat": fmt.Sprintf("%d %s %d", d.Day, months[d.Month-1], d.Year)}
}

// parseDate reads a date of the BRP. A day in an unknown month (19660013 is in the official set) says nothing and is
// dropped.
func parseDate(s string) (broker.Date, error) {
	if len(s) == 8 && s[4:6] == "00" {
		s = s[:6] + "00"
	}
	return broker.ParseDate(s)
}

// years: the age, where the date leaves no doubt. Without a day there is none in the month of birth.
func years(d broker.Date, now time.Time) (int, bool) {
	t := now.In(broker.Amsterdam())
	if d.Year == 0 || d.Month == 0 || (d.Day == 0 && int(t.Month()) == d.Month) {
		return 0, false
	}
	n := t.Year() - d.Year
	if int(t.Month()) < d.Month || (int(t.Month()) == d.Month && t.Day() < d.Day) {
		n--
	}
	return n, n >= 0
}

func (p Person) name() map[string]any {
	given, prefix, family := p.list.get("01", "02.10"), p.list.get("01", "02.30"), p.list.get("01", "02.40")
	if family == "." {
		family = ""
	}
	initials := ""
	for _, n := range strings.Fields(given) {
		r, _ := utf8.DecodeRuneInString(n)
		initials += string(r) + "."
	}
	whole := []string{}
	before, between := title(p.list.get("01", "02.20"), p.list.get("01", "04.10"))
	for _, part := range []string{before, given, between, prefix, family} {
		if part != "" {
			whole = append(whole, part)
		}
	}
	return group("voornamen", given, "voorvoegsel", prefix, "geslachtsnaam", family, "voorletters", initials,
		"volledigeNaam", strings.Join(whole, " "), "aanduidingNaamgebruik", coded(p.list.get("01", "61.10"), map[string]string{
			"E": "eigen geslachtsnaam", "P": "geslachtsnaam partner", "V": "geslachtsnaam partner voor eigen geslachtsnaam",
			"N": "geslachtsnaam partner na eigen geslachtsnaam"}))
}

// title: a predicate (jonkheer) stands before the given names, a title of nobility between them and the family name, each
// in the form of the person's sex.
func title(code, sex string) (before, between string) {
	pairs := [][4]string{{"JH", "jonkheer", "JV", "jonkvrouw"}, {"B", "baron", "BS", "barones"}, {"G", "graaf", "GI", "gravin"},
		{"H", "hertog", "HI", "hertogin"}, {"M", "markies", "MI", "markiezin"}, {"P", "prins", "PS", "prinses"}, {"R", "ridder", "R", "ridder"}}
	for i, pair := range pairs {
		if code != pair[0] && code != pair[2] {
			continue
		}
		word := pair[1]
		if sex == "V" || (sex != "M" && code == pair[2]) {
			word = pair[3]
		}
		if i == 0 {
			return word, ""
		}
		return "", word
	}
	return "", ""
}

// residence gives verblijfplaats: an address, a described location, a place abroad, or unknown.
func (p Person) residence() map[string]any {
	at := func(element string) string { return p.list.get("08", element) }
	switch {
	case at("11.10") != "":
		number, _ := strconv.Atoi(at("11.20"))
		home := group("korteStraatnaam", at("11.10"), "officieleStraatnaam", at("11.15"), "huisletter", at("11.30"),
			"huisnummertoevoeging", at("11.40"), "postcode", at("11.60"), "woonplaats", at("11.70"),
			"aanduidingBijHuisnummer", coded(at("11.50"), map[string]string{"to": "tegenover", "by": "bij"}))
		if number > 0 {
			home["huisnummer"] = number
		}
		return group("type", "Adres", "verblijfadres", home, "datumVan", date(at("10.30")),
			"functieAdres", coded(at("10.10"), map[string]string{"W": "woonadres", "B": "briefadres"}),
			"adresseerbaarObjectIdentificatie", at("11.80"), "nummeraanduidingIdentificatie", at("11.90"))
	case at("12.10") != "":
		return group("type", "Locatie", "verblijfadres", group("locatiebeschrijving", at("12.10")), "datumVan", date(at("10.30")))
	case at("13.10") == "0000":
		return group("type", "VerblijfplaatsOnbekend", "datumVan", date(at("13.20")))
	case at("13.10") != "":
		return group("type", "VerblijfplaatsBuitenland", "datumVan", date(at("13.20")), "verblijfadres", group(
			"land", coded(at("13.10"), countries()), "regel1", at("13.30"), "regel2", at("13.40"), "regel3", at("13.50")))
	}
	return nil
}

// addressing gives the address lines after NEN 5825, as Haal Centraal composes them.
func (p Person) addressing() map[string]any {
	at := func(element string) string { return p.list.get("08", element) }
	town := at("11.70")
	if town == "" || town == "." {
		town = municipalities()[at("09.10")]
	}
	town = strings.ToUpper(town)
	switch {
	case at("11.10") != "" && at("11.10") != ".":
		line := at("11.10")
		switch at("11.50") {
		case "to":
			line += " t/o"
		case "by":
			line += " bij"
		}
		if n := strings.TrimLeft(at("11.20"), "0"); n != "" {
			line += " " + n
		}
		letter, addition := at("11.30"), at("11.40")
		switch {
		case letter != "":
			line += " " + letter + addition
		case addition != "" && addition[0] >= '0' && addition[0] <= '9':
			line += "-" + addition
		case addition != "":
			line += " " + addition
		}
		second := town
		if pc := at("11.60"); len(pc) == 6 {
			second = strings.TrimSpace(pc[:4] + " " + pc[4:] + "  " + town)
		}
		return group("adresregel1", line, "adresregel2", second)
	case at("12.10") != "":
		return group("adresregel1", at("12.10"), "adresregel2", town)
	case at("13.10") != "" && at("13.10") != "0000":
		return group("adresregel1", at("13.30"), "adresregel2", at("13.40"), "adresregel3", at("13.50"),
			"land", coded(at("13.10"), countries()))
	}
	return nil
}

// authority gives gezag: over a minor, by 11.32.10 where the BRP has it and by the parents otherwise; and by a parent
// over the minors in the population.
func (p Person) authority(now time.Time, all Population) []any {
	var out []any
	about := all.children[p.BSN]
	if i, ok := all.at[p.BSN]; ok {
		about = append([]int{i}, about...)
	}
	for _, i := range about {
		child := all.persons[i]
		n, ok := years(child.Birth, now)
		if !ok || n >= 18 || child.Deceased {
			continue
		}
		var parents []any
		for _, category := range []string{"02", "03"} {
			if bsn := child.list.get(category, "01.20"); bsn != "" {
				parents = append(parents, map[string]any{"burgerservicenummer": bsn})
			}
		}
		minor := map[string]any{"burgerservicenummer": string(child.BSN)}
		one := func(parent any) map[string]any {
			return map[string]any{"type": "EenhoofdigOuderlijkGezag", "minderjarige": minor, "ouder": parent}
		}
		ruling := child.list.get("11", "32.10")
		switch {
		case strings.Contains(ruling, "D") || strings.Contains(ruling, "C"):
			out = append(out, map[string]any{"type": "Voogdij", "minderjarige": minor})
		case ruling == "2" && len(parents) == 2:
			out = append(out, one(parents[1]))
		case len(parents) > 0 && (ruling == "1" || len(parents) == 1):
			out = append(out, one(parents[0]))
		case len(parents) == 2:
			out = append(out, map[string]any{"type": "TweehoofdigOuderlijkGezag", "minderjarige": minor, "ouders": parents})
		default:
			out = append(out, map[string]any{"type": "GezagNietTeBepalen", "minderjarige": minor,
				"toelichting": "gezag is niet te bepalen omdat de ouders niet bekend zijn"})
		}
	}
	return out
}

// Identity gives what a holder without a BSN ground knows this person by.
func (p Person) Identity() broker.Identity {
	lines, name := p.addressing(), p.name()
	text := func(obj map[string]any, key string) string { s, _ := obj[key].(string); return s }
	return broker.Identity{
		GivenNames: text(name, "voornamen"), Prefix: text(name, "voorvoegsel"), FamilyName: text(name, "geslachtsnaam"),
		Birth: p.Birth, AddressLine: text(lines, "adresregel1"), PlaceLine: text(lines, "adresregel2"),
	}
}

// index prepares find and authority.
func (p *Population) index() {
	p.known, p.children = map[string][]int{}, map[broker.BSN][]int{}
	for i, person := range p.persons {
		for _, category := range []string{"02", "03"} {
			if parent := broker.BSN(person.list.get(category, "01.20")); parent != "" && parent != person.BSN {
				p.children[parent] = append(p.children[parent], i)
			}
		}
		if id := person.Identity(); id.FamilyName != "" && id.AddressLine != "" {
			p.known[knownAs(id)] = append(p.known[knownAs(id)], i)
		}
	}
}

func knownAs(id broker.Identity) string {
	return id.FamilyName + "\x00" + id.Birth.Digits() + "\x00" + id.AddressLine
}

// find gives the person of an identity: family name, birth date and address must be equal, and given names tell twins
// apart. Nobody where more than one remains.
func (p Population) find(id broker.Identity) (Person, bool) {
	var found []Person
	for _, i := range p.known[knownAs(id)] {
		if known := p.persons[i].Identity(); id.PlaceLine == "" || id.PlaceLine == known.PlaceLine {
			found = append(found, p.persons[i])
		}
	}
	if len(found) > 1 {
		found = slices.DeleteFunc(found, func(q Person) bool { return q.Identity().GivenNames != id.GivenNames })
	}
	if len(found) != 1 {
		return Person{}, false
	}
	return found[0], true
}

func municipalities() map[string]string {
	return map[string]string{
		"0014": "Groningen", "0034": "Almere", "0058": "Dongeradeel", "0109": "Coevorden", "0153": "Enschede", "0160": "Hardenberg",
		"0226": "Duiven", "0228": "Ede", "0281": "Tiel", "0344": "Utrecht", "0361": "Alkmaar", "0363": "Amsterdam",
		"0394": "Haarlemmermeer", "0400": "Den Helder", "0402": "Hilversum", "0416": "Langedijk", "0502": "Capelle aan den IJssel",
		"0518": "'s-Gravenhage", "0530": "Hellevoetsluis", "0531": "Hendrik-Ido-Ambacht", "0599": "Rotterdam", "0626": "Voorschoten",
		"0653": "Gaasterlân-Sleat", "0794": "Helmond", "0928": "Kerkrade", "0935": "Maastricht", "0988": "Weert",
		"1676": "Schouwen-Duiveland", "1681": "Borger-Odoorn", "1695": "Noord-Beveland", "1700": "Twenterand",
		"1731": "Midden-Drenthe", "1783": "Westland", "1900": "Súdwest-Fryslân", "1901": "Bodegraven-Reeuwijk",
		"1916": "Leidschendam-Voorburg", "1926": "Pijnacker-Nootdorp", "1970": "Noardeast-Fryslân",
		"1999": "Registratie Niet Ingezetenen (RNI)",
	}
}

func countries() map[string]string {
	return map[string]string{"6030": "Nederland", "5002": "Frankrijk", "5010": "België", "6029": "Duitsland", "6037": "Spanje",
		"5003": "Zwitserland", "6039": "Groot-Brittannië", "5022": "Marokko", "6043": "Turkije", "6014": "Verenigde Staten van Amerika",
		"5007": "Suriname"}
}
