package policies

import "strings"

// LogFolder holds, in a policy, the rules about who may query the log, for which purpose, with their tests. They decide on no
// request of an agency.
const LogFolder = "schakel/log/"

// The documents of those rules: what they are asked for, and what must be true of their data for them to be loaded.
const (
	LogPermission = "data.schakel.log.permission"
	LogComplete   = "data.schakel.log.complete"
)

// Log gives those rules of a policy, with their schema: path to content. None where the policy has none.
func Log(files map[string][]byte) map[string][]byte {
	return under(files, LogFolder, "schemas/inspection.json")
}

// under gives the files of a folder, and its schema.
func under(files map[string][]byte, folder, schema string) map[string][]byte {
	out := map[string][]byte{}
	for path, content := range files {
		if strings.HasPrefix(path, folder) || path == schema {
			out[path] = content
		}
	}
	return out
}
