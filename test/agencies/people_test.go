package agencies

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
)

// now of every test here.
func now() time.Time { return time.Date(2026, 3, 2, 11, 0, 0, 0, time.UTC) }

// official gives the official test set, or skips.
func official(t testing.TB) (Population, []byte) {
	t.Helper()
	path := os.Getenv("SCHAKEL_BRP")
	if path == "" {
		path = Beside(".")
	}
	if path == "" {
		t.Skip("no test set: set SCHAKEL_BRP")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := ReadTestSet(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return p, data
}

func TestOfficialSet(t *testing.T) {
	p, data := official(t)
	if p.Lists() != 687 || len(p.Persons()) != 680 || len(p.Households()) != 106 {
		t.Errorf("%d lists, %d persons, %d households; want 687, 680, 106", p.Lists(), len(p.Persons()), len(p.Households()))
	}
	towns, restricted, deceased, incomplete := map[string]bool{}, 0, 0, 0
	for _, q := range p.Persons() {
		towns[q.Municipality] = true
		restricted += b2i(q.Restricted)
		deceased += b2i(q.Deceased)
		incomplete += b2i(q.Birth.Day == 0)
	}
	if len(towns) != 42 || restricted != 45 || deceased != 21 || incomplete != 12 {
		t.Errorf("%d municipalities, %d restricted, %d deceased, %d incomplete dates; want 42, 45, 21, 12", len(towns), restricted, deceased, incomplete)
	}
	// Held against the file itself, read with nothing of ours: every first row with a BSN not seen before.
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))))
	r.Comma = ';'
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	at := func(row []string, name string) string { return row[slices.Index(rows[0], name)] }
	seen := map[string]bool{}
	for _, row := range rows[1:] {
		bsn := at(row, "01.01.20")
		if row[0] == "" || bsn == "" || seen[bsn] {
			continue
		}
		seen[bsn] = true
		q, ok := p.Person(broker.BSN(bsn))
		if !ok {
			t.Errorf("%s: not there", row[0])
			continue
		}
		full := q.full(now(), p)
		for path, name := range map[string]string{"naam.voornamen": "01.02.10", "naam.voorvoegsel": "01.02.30", "naam.geslachtsnaam": "01.02.40",
			"verblijfplaats.verblijfadres.postcode": "08.11.60", "gemeenteVanInschrijving.code": "08.09.10"} {
			got, _ := dig(full, path)
			want := at(row, name)
			if want == "." || (strings.HasPrefix(path, "verblijf") && at(row, "08.11.10") == "") {
				want = ""
			}
			if s, _ := got.(string); s != want {
				t.Errorf("%s: %s differs from the file", row[0], path)
			}
		}
		born, _ := dig(full, "geboorte.datum.datum")
		s, _ := born.(string)
		if raw := at(row, "01.03.10"); len(raw) == 8 && raw[4:6] != "00" && raw[6:] != "00" && strings.ReplaceAll(s, "-", "") != raw {
			t.Errorf("%s: birth date differs from the file", row[0])
		}
	}
}

func TestHouseholds(t *testing.T) {
	check := func(t *testing.T, p Population) {
		in := map[broker.BSN]int{}
		for i, h := range p.Households() {
			first := h.Persons[0]
			if len(h.Persons) < 2 || h.Municipality != first.Municipality {
				t.Errorf("household %d: %d persons", i, len(h.Persons))
			}
			for _, q := range h.Persons {
				if _, twice := in[q.BSN]; twice {
					t.Errorf("household %d: a member is in another one too", i)
				}
				in[q.BSN] = i
				if q.address() != first.address() {
					t.Errorf("household %d: members live at different addresses", i)
				}
				if !q.Deceased && q.Birth.AgeBand(now()) == broker.Age18Plus && first.Birth.AgeBand(now()) != broker.Age18Plus {
					t.Errorf("household %d: the reference person is no adult though there is one", i)
				}
				if first.Deceased && !q.Deceased {
					t.Errorf("household %d: the reference person died though another lives", i)
				}
			}
		}
	}
	t.Run("generated", func(t *testing.T) { check(t, Generate(1)) })
	t.Run("official", func(t *testing.T) { p, _ := official(t); check(t, p) })
}

func TestGenerate(t *testing.T) {
	p := Generate(1)
	if !reflect.DeepEqual(p.persons, Generate(1).persons) {
		t.Error("the same seed gave other persons")
	}
	if reflect.DeepEqual(p.persons, Generate(2).persons) {
		t.Error("another seed gave the same persons")
	}
	if n := len(p.Households()); n != 36 {
		t.Errorf("%d households, want 36", n)
	}
	has := map[string]bool{}
	for _, q := range p.Persons() {
		if _, err := broker.ParseBSN(string(q.BSN)); err != nil || !strings.HasPrefix(string(q.BSN), "9999") {
			t.Error("a BSN is not from the range for tests")
		}
		full := q.full(now(), p)
		kind, _ := dig(full, "verblijfplaats.type")
		born, _ := dig(full, "geboorte.datum.type")
		has[fmt.Sprint("lives ", kind)], has[fmt.Sprint("born ", born)] = true, true
		has["restricted"] = has["restricted"] || q.Restricted
		has["deceased"] = has["deceased"] || q.Deceased
		has["curatele"] = has["curatele"] || full["indicatieCurateleRegister"] == true
		has["other town"] = has["other town"] || q.Municipality == "0518"
		has["review"] = has["review"] || (q.list.get("08", "83.10") == "081120")
		has["not there"] = has["not there"] || (q.list.get("08", "83.10") == "089999")
		has["diacritics"] = has["diacritics"] || strings.ContainsAny(q.Identity().FamilyName, "üễĆŠć")
		has["band "+string(q.Birth.AgeBand(now()))] = true
		for _, g := range q.authority(now(), p) {
			has[fmt.Sprint("gezag ", g.(map[string]any)["type"])] = true
		}
	}
	for _, want := range []string{"lives Adres", "lives Locatie", "lives VerblijfplaatsBuitenland", "lives VerblijfplaatsOnbekend", "born Datum",
		"born JaarDatum", "born JaarMaandDatum", "born DatumOnbekend", "restricted", "deceased", "curatele", "other town", "review", "not there",
		"diacritics", "band 0-11", "band 12-15", "band 16-17", "band 18+", "band unknown", "gezag Voogdij", "gezag EenhoofdigOuderlijkGezag",
		"gezag TweehoofdigOuderlijkGezag"} {
		if !has[want] {
			t.Errorf("nobody is %q", want)
		}
	}
}

func TestDates(t *testing.T) {
	for raw, want := range map[string]string{
		"19851201": "1 december 1985", "19850300": "maart 1985", "19850000": "1985", "00000000": "onbekend", "x": "onbekend",
		"19660013": "1966", // a day in an unknown month, as the official set has once
	} {
		if got := date(raw)["langFormaat"]; got != want {
			t.Errorf("%s is %v, want %s", raw, got, want)
		}
	}
	for raw, want := range map[string]int{"20080303": 17, "20080302": 18, "20080301": 18, "20080200": 18, "20080400": 17, "20080300": -1,
		"20080000": -1, "00000000": -1, "20270101": -1} {
		d, _ := parseDate(raw)
		got, ok := years(d, now())
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("born %s: %d years, want %d", raw, got, want)
		}
	}
}

// TestAddressLines: NEN 5825, as Haal Centraal composes them.
func TestAddressLines(t *testing.T) {
	for _, c := range []struct {
		p        map[string]string
		one, two string
	}{
		{map[string]string{"08.11.10": "Laan", "08.11.20": "7", "08.11.60": "2583XL", "08.11.70": "Scheveningen"}, "Laan 7", "2583 XL  SCHEVENINGEN"},
		{map[string]string{"08.11.10": "Laan", "08.11.20": "7", "08.11.30": "c", "08.11.60": "2584BZ", "08.09.10": "0518"}, "Laan 7 c", "2584 BZ  'S-GRAVENHAGE"},
		{map[string]string{"08.11.10": "Laan", "08.11.20": "9", "08.11.40": "2"}, "Laan 9-2", ""},
		{map[string]string{"08.11.10": "Laan", "08.11.20": "9", "08.11.40": "III"}, "Laan 9 III", ""},
		{map[string]string{"08.11.10": "Laan", "08.11.20": "9", "08.11.30": "B", "08.11.40": "73c"}, "Laan 9 B73c", ""},
		{map[string]string{"08.11.10": "Laan", "08.11.20": "9", "08.11.50": "by"}, "Laan bij 9", ""},
		{map[string]string{"08.11.10": "Laan", "08.11.20": "9", "08.11.30": "A", "08.11.50": "to"}, "Laan t/o 9 A", ""},
		{map[string]string{"08.12.10": "Woonboot", "08.09.10": "0518"}, "Woonboot", "'S-GRAVENHAGE"},
		{map[string]string{"08.13.10": "5010", "08.13.30": "Rue 26", "08.13.40": "Bruxelles"}, "Rue 26", "Bruxelles"},
		{map[string]string{"08.13.10": "0000", "08.13.30": "x"}, "", ""},
		{map[string]string{"08.11.10": "."}, "", ""},
	} {
		got := Person{list: listOf(c.p)}.Identity()
		if got.AddressLine != c.one || got.PlaceLine != c.two {
			t.Errorf("%v: %q and %q, want %q and %q", c.p, got.AddressLine, got.PlaceLine, c.one, c.two)
		}
	}
}

// header is the smallest that the reader takes.
const header = ";01.01.20;01.02.40;01.03.10;01.H;05.01.20;05.02.40;05.H;07.70.10;08.09.10;08.11.10;08.11.20;08.11.60;08.H;"

func TestReadTestSet(t *testing.T) {
	p, err := ReadTestSet(strings.NewReader("\xef\xbb\xbf" + header + `
L1;999990019;Nieuw;19850000;51;;Eerste;55;7;0599;Laan;7;3011AB;58;
;;Oud;;;;Eerder;05;;0518;Weg;1;2500AA;;
;;;;;999990093;Tweede;;;;;;;;
L2;999990093;"""Vreemd"" @; 100%";00000000;;;;;0;0599;Laan;7;3011AB;;
`))
	if err != nil {
		t.Fatal(err)
	}
	q := p.persons[0]
	if q.list.get("01", "02.40") != "Nieuw" || q.Municipality != "0599" || !q.Restricted || q.Birth != (broker.Date{Year: 1985}) {
		t.Error("the current row is not what was read")
	}
	if name := p.persons[1].list.get("01", "02.40"); name != `"Vreemd" @; 100%` {
		t.Error("a quoted value is not what was read")
	}
	var partners []string
	for _, v := range q.list.current("05") {
		partners = append(partners, v["02.40"])
	}
	if !slices.Equal(partners, []string{"Eerste", "Tweede"}) {
		t.Errorf("current partners are %d, want the first and the second without the history between", len(partners))
	}
	if len(p.Households()) != 1 {
		t.Errorf("%d households, want the partners' one", len(p.Households()))
	}
	for want, text := range map[string]string{
		"no header line":                  "",
		"no column 08.11.60":              ";01.01.20;01.02.40;01.03.10;07.70.10;08.09.10;08.11.10;08.11.20\n",
		"column 2 of the header":          ";x\n",
		"line 2: has another number":      header + "\nL1;999990019;Geheim\n",
		"line 2: continues a person list": header + "\n;;Geheim;;;;;;;;;;;;\n",
		"line 3: column 01.02.40":         header + "\nL1;999990019;x;;;;;;;;;;;;\n;;Geheim\a;;;;;;;;;;;;\n",
		"line 2: a quote is not closed":   header + "\nL1;999990019;\"Geheim;;;;;;;;;;;;\n",
		"line 2: a person list begins":    header + "\nL1;;;;;;Geheim;;;;;;;;\n",
	} {
		_, err := ReadTestSet(strings.NewReader(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
		if err != nil && (strings.Contains(err.Error(), "Geheim") || strings.Contains(err.Error(), "999990019")) {
			t.Error("an error holds a personal value")
		}
	}
}

func TestOpen(t *testing.T) {
	t.Setenv("SCHAKEL_BRP", "")
	if p, from, err := Open(""); err != nil || from != "generated persons" || len(p.Persons()) == 0 {
		t.Errorf("%q %v", from, err)
	}
	path := t.TempDir() + "/set.csv"
	if err := os.WriteFile(path, []byte(header+"\nL1;999990019;X;19850101;;;;;0;0599;Laan;7;3011AB;;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SCHAKEL_BRP", path)
	if p, from, err := Open(""); err != nil || from != "test set set.csv" || len(p.Persons()) != 1 {
		t.Errorf("%q %v", from, err)
	}
	if _, _, err := Open(path + "x"); err == nil || !strings.Contains(err.Error(), "leave --brp out") {
		t.Errorf("error %v says not what to do", err)
	}
}

// FuzzReadTestSet: no file makes the reader or what is made of a person panic, and no error repeats a value.
func FuzzReadTestSet(f *testing.F) {
	row := "L1;999990019;GEHEIM;19850000;51;999990093;B;55;7;0599;Laan;7;3011AB;58;\n"
	for _, seed := range []string{header, header + "\n" + row, header + "\n" + row + ";;GEHEIM;;;;;;;;;;;;\n", header + "\nL1;1;GEHEIM", "\xef\xbb\xbf;", "",
		header + "\n" + strings.Replace(row, "GEHEIM", "\"GEHEIM\n", 1), header + "\n" + strings.Replace(row, "7", "-1", 1),
		header + "\n" + strings.Replace(row, "19850000", "99999999", 1)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ReadTestSet(strings.NewReader(text))
		if err != nil {
			if strings.Contains(text, "GEHEIM") && strings.Contains(err.Error(), "GEHEIM") {
				t.Fatal("an error repeats a value")
			}
			return
		}
		town := &Town{people: p, now: now}
		for _, q := range p.persons {
			if got, ok := p.Person(q.BSN); !ok || got.BSN != q.BSN {
				t.Fatal("someone can't be found by BSN")
			}
			_ = reply{body: town.show(q, []string{"naam", "geboorte", "verblijfplaats", "adressering", "gezag", "leeftijd"})}.bytes()
		}
		for _, h := range p.households {
			if len(h.Persons) < 2 {
				t.Fatal("a household of one")
			}
		}
	})
}
