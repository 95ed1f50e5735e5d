package policies

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// GuardrailsFolder holds the rules about rules. A jurist owns them.
const GuardrailsFolder = "schakel/guardrails/"

// Changed lists the files that differ between two policies, sorted; the signatures don't count.
func Changed(from, to map[string][]byte) []string {
	var out []string
	for name, content := range to {
		if old, there := from[name]; (!there || !bytes.Equal(old, content)) && name != Signatures {
			out = append(out, name)
		}
	}
	for name := range from {
		if _, there := to[name]; !there && name != Signatures {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Rebased is what becomes of a draft when the policy that it was made on is no longer live.
type Rebased struct {
	// Files are those of the live policy with the draft's changes on it; nil where Both names any.
	Files map[string][]byte
	// Underneath are the files that changed between the draft's base and the live policy, sorted.
	Underneath []string
	// Both are the files that the live policy and the draft each changed in their own way, sorted. Which of the two is
	// right is for a person to say, so none is kept silently.
	Both []string
}

// Rebase puts what a draft changed of its base on the live policy. A file is taken whole: where only one side added,
// changed or removed it, or both did the same, that holds; where they differ it is one of Both. Signatures are left out.
func Rebase(base, draft, live map[string][]byte) Rebased {
	r := Rebased{Files: maps.Clone(live), Underneath: Changed(base, live)}
	delete(r.Files, Signatures)
	for _, name := range Changed(base, draft) {
		own, there := draft[name]
		now, still := live[name]
		switch same := there == still && bytes.Equal(own, now); {
		case same:
		case slices.Contains(r.Underneath, name):
			r.Both = append(r.Both, name)
		case there:
			r.Files[name] = own
		default:
			delete(r.Files, name)
		}
	}
	if len(r.Both) > 0 {
		r.Files = nil
	}
	return r
}

// Part tells what a change of these files is about: rules, guardrails, or both. No change at all, which is the way back from
// an emergency stop to what it stopped, is about rules.
func Part(changed []string) (rules, guardrails bool) {
	for _, name := range changed {
		if strings.HasPrefix(name, GuardrailsFolder) {
			guardrails = true
		} else {
			rules = true
		}
	}
	return rules || !guardrails, guardrails
}

// denied is all the Rego of an emergency stop.
const denied = `# METADATA
# title: Noodstop – Emergency stop
# description: |
#   NL: Elk veld wordt geweigerd, wie ook vraagt.
#   EN: Every field is refused, whoever asks.
# schemas:
#   - input: schema.query
package schakel.access

# METADATA
# title: Het besluit – The decision
# description: |
#   NL: Er wordt niets gegeven.
#   EN: Nothing is given.
# entrypoint: true
# custom:
#   basis: AVG 5
decision := {
	"grants": {},
	"refusals": {path: {"emergency-stop"} | some path in input.fields},
	"obligations": set(),
}
`

// reasonsFile and stopReason: where the closed list of reasons stands, and the one that a stop gives.
const (
	reasonsFile = "schakel/catalog/reasons/data.json"
	stopReason  = "emergency-stop"
)

// DenyAll gives the policy of an emergency stop: the catalog and other data of this one, and no rule but that everything
// is refused. The same files give the same policy, so that whoever has them can tell whether a revision is their stop.
func DenyAll(files map[string][]byte) (map[string][]byte, error) {
	out := maps.Clone(files)
	maps.DeleteFunc(out, func(name string, _ []byte) bool { return path.Ext(name) == ".rego" || name == Signatures })
	out["schakel/access.rego"] = []byte(denied)
	var reasons []json.RawMessage
	if err := json.Unmarshal(out[reasonsFile], &reasons); err != nil {
		return nil, fmt.Errorf("make emergency stop: %s is not a list of reasons; put reasons in that file", reasonsFile)
	}
	for _, r := range reasons {
		var term struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(r, &term); err != nil {
			return nil, errors.New("make emergency stop: a reason in the catalog is no object")
		}
		if term.ID == stopReason {
			return out, nil
		}
	}
	// A revision from before there were stops lacks the word.
	reasons = append(reasons, json.RawMessage(`{"id":"`+stopReason+`","text":{"nl":"Alle verstrekkingen zijn stilgelegd door een noodstop.","en":"All disclosure was halted by an emergency stop."}}`))
	data, err := json.Marshal(reasons)
	if err != nil {
		return nil, fmt.Errorf("make emergency stop: %w", err)
	}
	out[reasonsFile] = data
	return out, nil
}
