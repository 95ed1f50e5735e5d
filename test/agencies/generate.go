package agencies

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/schakel/schakel/broker"
)

// Generate makes a few dozen households of persons who do not exist, always the same for a seed, with the edge cases of
// the official test set: diacritics, incomplete dates, persons from abroad, deceased, secrecy, guardianship, an address
// under review, a resident who left. Their BSNs are of the range for tests (9999…) and pass the 11-test.
func Generate(seed uint64) Population {
	g := &generator{r: rand.New(rand.NewPCG(seed, 0x5eed)), bsn: 999900000}
	for i := range 36 {
		g.household(i)
	}
	g.single(map[string]string{"08.13.10": "5010", "08.13.20": "20190401", "08.13.30": "Proefstraat 1", "08.13.40": "1000 Brussel",
		"08.09.10": "1999", "07.67.20": "R", "07.67.10": "20190401", "01.88.10": "0201", "08.88.10": "0201"})
	g.single(map[string]string{"08.13.10": "0000", "08.13.20": "20210000", "08.09.10": "1999", "07.67.20": "E", "07.67.10": "20210000"})
	g.single(map[string]string{"08.12.10": "Woonboot aan de Proefkade", "08.09.10": "0599"})
	g.single(map[string]string{"01.02.40": ".", "01.03.10": "00000000", "08.11.10": "Proefweg", "08.11.20": "5", "08.11.60": "3011AB",
		"08.09.10": "0599"})
	return populate(g.lists)
}

type generator struct {
	r     *rand.Rand
	bsn   int
	lists []list
}

// number gives the next BSN that passes the 11-test.
func (g *generator) number() string {
	for {
		g.bsn += 1 + g.r.IntN(30)
		if _, err := broker.ParseBSN(fmt.Sprint(g.bsn)); err == nil {
			return fmt.Sprint(g.bsn)
		}
	}
}

func (g *generator) pick(words ...string) string { return words[g.r.IntN(len(words))] }

// household makes one of two to five persons: one or two parents and children, or a couple. Every sixth stands in another
// municipality.
func (g *generator) household(i int) {
	home := map[string]string{"08.09.10": "0599", "08.09.20": "20150601", "08.10.10": "W", "08.10.30": "20150601",
		"08.11.10": g.pick("Lindelaan", "Körnerstraat", "Prinses Irenehof", "Súdwal", "Grote Sloot", "1e Dwarsstraat"),
		"08.11.20": fmt.Sprint(1 + g.r.IntN(180)), "08.11.60": fmt.Sprintf("30%02dA%c", i, 'A'+rune(i%26)), "08.11.70": "Rotterdam"}
	if i%6 == 5 {
		home["08.09.10"], home["08.11.70"], home["08.11.60"] = "0518", "'s-Gravenhage", fmt.Sprintf("25%02dBC", i)
	}
	switch i % 9 {
	case 2:
		home["08.11.30"] = "B"
	case 4:
		home["08.11.40"] = "2"
	case 7:
		home["08.11.50"] = "to"
	}
	family := g.pick("Proefstra", "Ünsal", "Nguyễn", "Ó Briain", "Wójcik", "El Proef", "Côté", "Van Testen-Šimić", "Þórsson", "Dijkstra")
	parents := []map[string]string{g.person(family, fmt.Sprintf("%d%02d%02d", 1970+g.r.IntN(28), 1+g.r.IntN(12), 1+g.r.IntN(28)), home)}
	if i%3 != 1 {
		p := g.person(g.pick("Jansma", "Özdemir", "Łuczak", "Da Silva", "Proefsma"), fmt.Sprintf("%d%02d%02d", 1968+g.r.IntN(30), 1+g.r.IntN(12), 1+g.r.IntN(28)), home)
		parents = append(parents, p)
	}
	children := 1 + g.r.IntN(3)
	if len(parents) == 2 && i%5 == 3 {
		children = 0
	}
	var young []map[string]string
	for c := range children {
		born := []int{2009, 2012, 2016, 2020, 2022}[(i+c)%5]
		child := g.person(family, fmt.Sprintf("%d%02d%02d", born, 1+g.r.IntN(12), 1+g.r.IntN(28)), home)
		for n, p := range parents {
			g.link(child, []string{"02", "03"}[n], p)
		}
		young = append(young, child)
	}
	if len(parents) == 2 {
		for n := range parents {
			g.link(parents[n], "05", parents[1-n])
			parents[n]["05.06.10"], parents[n]["05.15.10"] = "20080613", g.pick("H", "P")
		}
	}
	edge(i, parents, young)
	for _, p := range append(parents, young...) {
		g.lists = append(g.lists, listOf(p))
	}
}

// edge gives some households what makes them harder.
func edge(i int, parents, young []map[string]string) {
	last := parents[len(parents)-1]
	switch i {
	case 3, 16:
		parents[0]["07.70.10"] = "7"
	case 5:
		last["07.70.10"] = "2"
	case 6:
		parents[0]["01.03.10"] = "19850000"
	case 8:
		last["01.03.10"] = "19780300"
	case 9:
		last["01.03.10"] = "00000000"
	case 11:
		parents[0]["11.33.10"] = "1"
	case 12:
		last["06.08.10"], last["07.67.10"], last["07.67.20"] = "20240210", "20240210", "O"
	case 14:
		last["08.83.10"], last["08.83.20"] = "089999", "20240301"
	case 15:
		parents[0]["08.83.10"], parents[0]["08.83.20"] = "081120", "20240301"
	case 17:
		parents[0]["01.83.10"], parents[0]["01.83.20"] = "010310", "20230115"
	case 18:
		parents[0]["01.03.30"], parents[0]["01.03.20"] = "5022", "Fès"
	case 20:
		parents[0]["01.02.20"] = "JV"
		parents[0]["01.04.10"] = "V"
	case 22:
		parents[0]["07.71.10"], parents[0]["07.71.20"] = "20230601", "bewijs nationaliteit"
	}
	if len(young) == 0 {
		return
	}
	switch i {
	case 2:
		young[0]["11.32.10"] = "D"
	case 7:
		young[0]["11.32.10"] = "1"
	case 10:
		young[0]["01.03.10"] = "20160000"
	case 13:
		young[0]["07.70.10"] = "1"
	}
}

func (g *generator) person(family, born string, home map[string]string) map[string]string {
	p := map[string]string{"01.01.10": fmt.Sprint(1000000000 + g.r.IntN(8000000000)), "01.01.20": g.number(), "01.02.40": family,
		"01.02.10": g.pick("Ayşe", "José María", "Zoë", "Jan-Willem", "Noëlle", "Piet", "Fatima Zahra", "Björn", "Chloé", "Ngọc Anh"),
		"01.03.10": born, "01.03.20": "0599", "01.03.30": "6030", "01.04.10": g.pick("M", "V"), "01.61.10": "E", "07.70.10": "0"}
	if g.r.IntN(4) == 0 {
		p["01.02.30"] = g.pick("van der", "'t", "de")
	}
	for k, v := range home {
		p[k] = v
	}
	return p
}

func (g *generator) single(over map[string]string) {
	p := g.person("Proefman", "19740519", nil)
	for k, v := range over {
		p[k] = v
	}
	g.lists = append(g.lists, listOf(p))
}

func (g *generator) link(p map[string]string, category string, to map[string]string) {
	for _, element := range []string{"01.20", "02.10", "02.30", "02.40", "03.10"} {
		if v := to["01."+element]; v != "" {
			p[category+"."+element] = v
		}
	}
}

// listOf makes a person list of elements by category.group.element.
func listOf(p map[string]string) list {
	l := list{}
	for _, k := range sorted(p) {
		category, element, _ := strings.Cut(k, ".")
		if l[category] == nil {
			l[category] = []instance{{values: map[string]string{}}}
		}
		l[category][0].values[element] = p[k]
	}
	return l
}
