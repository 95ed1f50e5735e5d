package agencies

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/schakel/schakel/broker"
)

// Population is who the stand-ins know. The zero value knows nobody.
type Population struct {
	persons    []Person
	at         map[broker.BSN]int
	households []Household
	lists      int
	known      map[string][]int     // by family name, birth date and address
	children   map[broker.BSN][]int // by parent
}

// Person is one person, as far as who sets up a demonstration or a test needs to know.
type Person struct {
	BSN          broker.BSN
	Birth        broker.Date
	Restricted   bool // verstrekkingsbeperking (07.70.10)
	Deceased     bool
	Municipality string // CBS code, four digits; 1999 for who lives abroad
	list         list
}

// Household is who lives at one address and is bound by a parent or partner link.
type Household struct {
	Persons      []Person // the reference person first: the oldest living adult
	Municipality string
}

// Open reads the test set at path; where path is "" the one SCHAKEL_BRP names; where that is "" too it generates one.
// source says which it is, for a person to read.
func Open(path string) (p Population, source string, err error) {
	if path == "" {
		path = os.Getenv("SCHAKEL_BRP")
	}
	if path == "" {
		return Generate(1), "generated persons", nil
	}
	f, err := os.Open(path)
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err
		}
		return Population{}, "", fmt.Errorf("open test set %s: %w; give the CSV of person lists, or leave --brp out", path, err)
	}
	defer f.Close()
	if p, err = ReadTestSet(f); err != nil {
		return Population{}, "", err
	}
	return p, "test set " + filepath.Base(path), nil
}

// Beside looks for the test set beside the project, in shared/brp next to a folder above dir, and gives "" where it is
// not there. Tests use it when SCHAKEL_BRP is not set.
func Beside(dir string) string {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	for {
		path := filepath.Join(dir, "shared", "brp", "testset-persoonslijsten.csv")
		if _, err := os.Stat(path); err == nil {
			return path
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
}

// Lists counts the person lists read, those that can't be asked for included.
func (p Population) Lists() int { return p.lists }

// Persons gives everyone who can be asked for, in the order of the file.
func (p Population) Persons() []Person { return slices.Clone(p.persons) }

// Person finds one.
func (p Population) Person(bsn broker.BSN) (Person, bool) {
	i, ok := p.at[bsn]
	if !ok {
		return Person{}, false
	}
	return p.persons[i], true
}

// Households gives those of more than one person.
func (p Population) Households() []Household { return slices.Clone(p.households) }

// Municipality gives the CBS code that most households live in, "" when there are none.
func (p Population) Municipality() string {
	count := map[string]int{}
	best := ""
	for _, h := range p.households {
		m := h.Municipality
		count[m]++
		if n := count[m]; best == "" || n > count[best] || (n == count[best] && m < best) {
			best = m
		}
	}
	return best
}

func personOf(bsn broker.BSN, l list) Person {
	birth, _ := parseDate(l.get("01", "03.10")) // empty or malformed: unknown
	secrecy := l.get("07", "70.10")
	return Person{
		BSN: bsn, Birth: birth, list: l, Municipality: l.get("08", "09.10"),
		Restricted: secrecy != "" && secrecy != "0",
		Deceased:   l.get("06", "08.10") != "" || l.get("07", "67.20") == "O",
	}
}

// address is what has to be equal for two persons to live together; "" for who has no address with a postcode.
func (p Person) address() string {
	postcode := p.list.get("08", "11.60")
	if postcode == "" {
		return ""
	}
	return postcode + "|" + p.list.get("08", "11.20") + "|" + p.list.get("08", "11.30") + "|" + p.list.get("08", "11.40")
}

// relatives are the parents and the partners. A former partner who stays at the address is one too: a household is who
// lives together, whatever the register of marriages says.
func (p Person) relatives() []broker.BSN {
	var out []broker.BSN
	for _, category := range []string{"02", "03", "05"} {
		for _, r := range p.list.current(category) {
			if r["01.20"] != "" {
				out = append(out, broker.BSN(r["01.20"]))
			}
		}
	}
	return out
}

// households joins persons by links within an address.
func households(p *Population) []Household {
	root := make([]int, len(p.persons))
	for i := range root {
		root[i] = i
	}
	find := func(i int) int {
		for root[i] != i {
			root[i] = root[root[i]]
			i = root[i]
		}
		return i
	}
	for i, person := range p.persons {
		address := person.address()
		if address == "" {
			continue
		}
		for _, bsn := range person.relatives() {
			if j, ok := p.at[bsn]; ok && p.persons[j].address() == address {
				root[find(i)] = find(j)
			}
		}
	}
	members := map[int][]Person{}
	for i, person := range p.persons {
		members[find(i)] = append(members[find(i)], person)
	}
	var out []Household
	for i := range p.persons {
		group := members[i]
		if len(group) < 2 {
			continue
		}
		slices.SortStableFunc(group, func(a, b Person) int {
			if a.Deceased != b.Deceased {
				return cmp.Compare(b2i(a.Deceased), b2i(b.Deceased))
			}
			return cmp.Or(cmp.Compare(age(a.Birth), age(b.Birth)), cmp.Compare(a.BSN, b.BSN))
		})
		out = append(out, Household{Persons: group, Municipality: group[0].Municipality})
	}
	slices.SortStableFunc(out, func(a, b Household) int { return cmp.Compare(p.at[a.Persons[0].BSN], p.at[b.Persons[0].BSN]) })
	return out
}

// age orders birth dates, the oldest first; who has none comes last, since a reference person must be an adult.
func age(d broker.Date) int {
	if !d.Known() {
		return 1 << 30
	}
	return d.Year*10000 + d.Month*100 + d.Day
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
