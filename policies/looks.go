package policies

// LooksFolder holds, in a policy, the rules about looks that nothing explains (broker/looks), with their thresholds and tests.
// They decide on no request.
const LooksFolder = "schakel/looks/"

// The documents of those rules: what they are asked for, and what must be true of their data for them to be loaded.
const (
	LooksJudgement = "data.schakel.looks.judgement"
	LooksComplete  = "data.schakel.looks.complete"
)

// Looks gives those rules of a policy, with their schema: path to content. None where the policy has none.
func Looks(files map[string][]byte) map[string][]byte {
	return under(files, LooksFolder, "schemas/look.json")
}
