package decide

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/schakel/schakel/broker"
)

// NotNamedFile is where a policy lists which requests the law permits not to name to a data subject.
const NotNamedFile = "schakel/notnamed/data.json"

// NotNamed are the requests that the law permits not to name to a data subject (AVG 23, UAVG 41). A policy lists them with
// their grounds; a policy without a list names every request.
type NotNamed struct {
	DecidedBy broker.Text // who decides it, and on what it rests
	Requests  []Unnamed
}

// Unnamed is one line of the list: the requests for a purpose.
type Unnamed struct {
	Purpose broker.Purpose `json:"purpose"`
	Role    broker.Role    `json:"role,omitempty"` // "" is every role
	Ground  string         `json:"ground"`         // AVG 23(1) with its letter, which UAVG 41(1) has too: AVG 23(1)d
	Why     broker.Text    `json:"why"`

	line int // where it stands, from 1
}

// Of gives the line that a request stands under; nil where the data subject is told of it.
func (n NotNamed) Of(role broker.Role, purpose broker.Purpose) *Unnamed {
	for i, u := range n.Requests {
		if u.Purpose == purpose && (u.Role == "" || u.Role == role) {
			return &n.Requests[i]
		}
	}
	return nil
}

// Fault is what is wrong at a line of the data of a policy, in words for officers.
type Fault struct {
	File            string
	Line            int // from 1
	Problem, Advice broker.Text
	Said            string // what the decoder says of it, in its own English; mostly ""
}

func (f *Fault) Error() string {
	problem := strings.TrimSuffix(f.Problem.EN+" "+f.Said, " ")
	return fmt.Sprintf("%s:%d: %s; %s", f.File, f.Line, problem, f.Advice.EN)
}

var ground = regexp.MustCompile(`^AVG 23\(1\)[a-j]$`)

// ReadNotNamed reads the list of a policy. Every fault in it is a *Fault, and they are joined. Whether its words are in the closed
// lists is for Read, which nothing is loaded without.
func ReadNotNamed(files map[string][]byte) (NotNamed, error) {
	data, there := files[NotNamedFile]
	if !there {
		return NotNamed{}, nil
	}
	var list struct {
		DecidedBy broker.Text       `json:"decided_by"`
		Requests  []json.RawMessage `json:"requests"`
	}
	if err := strictly(data, &list); err != nil {
		return NotNamed{}, notNamedFault(1, err.Error(), "dit is geen lijst met decided_by en requests:", "this is no list with decided_by and requests:",
			"Neem de vorm over van het meegeleverde bestand.", "Take the form of the file that ships with Schakel.")
	}
	out := NotNamed{DecidedBy: list.DecidedBy}
	var wrong []error
	if list.DecidedBy.NL == "" || list.DecidedBy.EN == "" {
		wrong = append(wrong, notNamedFault(1, "", "er staat niet wie dit besluit", "it does not say who decides this",
			"Zeg het in decided_by, met nl en en.", "Say so in decided_by, with nl and en."))
	}
	at := 0
	for _, raw := range list.Requests {
		at += bytes.Index(data[at:], raw) // they stand in this order, as they are
		u := Unnamed{line: 1 + bytes.Count(data[:at], []byte("\n"))}
		at += len(raw)
		if err := strictly(raw, &u); err != nil {
			wrong = append(wrong, notNamedFault(u.line, err.Error(), "dit is geen regel van deze lijst:", "this is no line of this list:",
				"Een regel heeft purpose, ground en why, en waar nodig role.", "A line has purpose, ground and why, and role where needed."))
			continue
		}
		if !ground.MatchString(u.Ground) {
			wrong = append(wrong, u.fault("zonder grond in de wet", "without a ground in law",
				"Zet in ground AVG 23(1) met de letter van a tot j, zoals AVG 23(1)d; UAVG 41(1) heeft dezelfde letters.",
				"Put AVG 23(1) with its letter from a to j in ground, as in AVG 23(1)d; UAVG 41(1) has the same letters."))
		}
		if strings.TrimSpace(u.Why.NL) == "" || strings.TrimSpace(u.Why.EN) == "" {
			wrong = append(wrong, u.fault("er staat niet waarom", "it does not say why",
				"Zeg in why waarom dit noodzakelijk en evenredig is, met nl en en.", "Say in why how this is necessary and proportionate, with nl and en."))
		}
		out.Requests = append(out.Requests, u)
	}
	return out, errors.Join(wrong...)
}

// readNotNamed makes sure that the list of a policy uses the closed lists of its catalog.
func (s *Source) readNotNamed(files map[string][]byte) error {
	list, err := ReadNotNamed(files)
	wrong := []error{err}
	for _, u := range list.Requests {
		if !broker.HasTerm(s.Catalog.Purposes, string(u.Purpose)) {
			wrong = append(wrong, u.unlisted("purposes", string(u.Purpose)))
		}
		if u.Role != "" && !broker.HasTerm(s.Catalog.Roles, string(u.Role)) {
			wrong = append(wrong, u.unlisted("roles", string(u.Role)))
		}
	}
	return errors.Join(wrong...)
}

func (u Unnamed) unlisted(list, word string) error {
	return u.fault(fmt.Sprintf("%q staat niet in de lijst %s", word, list), fmt.Sprintf("%q is not in the list %s", word, list),
		"Neem een woord uit die lijst, of voeg dit er aan toe.", "Take a word of that list, or add this one to it.")
}

func (u Unnamed) fault(nl, en, dan, then string) error {
	return notNamedFault(u.line, "", nl, en, dan, then)
}

func notNamedFault(line int, said, nl, en, dan, then string) error {
	return &Fault{NotNamedFile, line, broker.Text{NL: nl, EN: en}, broker.Text{NL: dan, EN: then}, said}
}

// strictly decodes JSON without keys that nobody reads.
func strictly(data []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(to)
}
