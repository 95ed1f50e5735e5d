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

// Part tells what a change of these files is about: rules, guardrails, or both.
func Part(changed []string) (rules, guardrails bool) {
	for _, name := range changed {
		if strings.HasPrefix(name, GuardrailsFolder) {
			guardrails = true
		} else {
			rules = true
		}
	}
	return rules, guardrails
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
