package docs

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// evidence is what `schakel ask --save` keeps.
type evidence struct {
	Body      string `json:"body"`
	Signature string `json:"signature"`
}

// TestVerifiers takes the three ways to verify an answer out of README.md and runs them: on an answer and a refusal, on
// both with one character changed in each place where that must be noticed, and with the wrong keys.
func TestVerifiers(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	dir := t.TempDir()
	env := environment("SCHAKEL_DATA="+d.data, "GOWORK=off", "GOFLAGS=")
	write := func(name string, v any) {
		t.Helper()
		data, isText := v.(string)
		if !isText {
			encoded, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			data = string(encoded)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	write("verify.go", only(t, "go", "verify.go"))
	write("verify.mjs", only(t, "js", "verify.mjs"))
	write("verify.sh", only(t, "bash", "verify.sh"))
	if code, out := run(t, dir, env, "go", "build", "-o", "verify-go", "verify.go"); code != 0 {
		t.Fatalf("verify.go: %s", out)
	}
	install := regexp.MustCompile(`npm install (jose@\d+\.\d+\.\d+)`).FindStringSubmatch(read(t, "README.md"))
	if install == nil {
		t.Fatal("README.md does not say which version of jose to install")
	}
	if code, out := run(t, dir, env, "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", install[1]); code != 0 {
		t.Fatalf("npm could not install %s, which the test of the Node verifier needs; it needs the network: %s", install[1], out)
	}
	verifiers := map[string][]string{
		"go":      {filepath.Join(dir, "verify-go")},
		"node":    {"node", "verify.mjs"},
		"openssl": {"bash", "verify.sh"},
	}

	ask := func(save, worker, role, purpose string, wantCode int) evidence {
		t.Helper()
		code, out := run(t, dir, env, binary, "ask", "--agency", "00000099000000011000", "--worker", worker, "--role", role, "--purpose", purpose,
			"--household", "case:zaak-008", "--fields", "huur,contact.telefoonnummer", "--save", filepath.Join(dir, save))
		if code != wantCode {
			t.Fatalf("ask ends with %d, want %d: %s", code, wantCode, out)
		}
		data, err := os.ReadFile(filepath.Join(dir, save))
		var e evidence
		if err == nil {
			err = json.Unmarshal(data, &e)
		}
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	granted := ask("answer.json", "wijkteam-2", "wijkteammedewerker", "ontruiming-voorkomen", 0)
	ask("refusal.json", "recherche-1", "sociaal-rechercheur", "handhaving", 3)
	write("jwks.json", fetch(t, d.server+"/.well-known/jwks.json"))
	write("others.json", `{"keys":[]}`)
	good := map[string][2]string{"answer": {"answer.json", "jwks.json"}, "refusal": {"refusal.json", "jwks.json"}}

	// With more answers: signatures whose numbers start with zeros or a high bit take another form in DER.
	for _, name := range []string{"more1.json", "more2.json"} {
		ask(name, "wijkteam-2", "wijkteammedewerker", "ontruiming-voorkomen", 0)
		good[name] = [2]string{name, "jwks.json"}
	}

	bad := map[string][2]string{"no keys": {"answer.json", "others.json"}}
	spoil := func(name string, e evidence) {
		write(name+".json", e)
		bad[name] = [2]string{name + ".json", "jwks.json"}
	}
	header, signature, _ := strings.Cut(granted.Signature, "..")
	random := rand.New(rand.NewPCG(1, 2))
	spoil("body", evidence{flip(granted.Body, random.IntN(len(granted.Body))), granted.Signature})
	spoil("body longer", evidence{granted.Body + " ", granted.Signature})
	spoil("body empty", evidence{"", granted.Signature})
	spoil("header", evidence{granted.Body, flip(header, len(header)/2) + ".." + signature})
	spoil("r", evidence{granted.Body, header + ".." + flip(signature, 10)})
	spoil("s", evidence{granted.Body, header + ".." + flip(signature, 60)})
	spoil("signature cut", evidence{granted.Body, header + ".." + signature[:40]})
	spoil("signature empty", evidence{granted.Body, ""})
	spoil("not detached", evidence{granted.Body, header + ".e30." + signature})

	for kind, command := range verifiers {
		t.Run(kind, func(t *testing.T) {
			for name, files := range good {
				if code, out := run(t, dir, env, command[0], append(command[1:], files[0], files[1])...); code != 0 {
					t.Errorf("%s: refused: %s", name, out)
				}
			}
			for name, files := range bad {
				if code, out := run(t, dir, env, command[0], append(command[1:], files[0], files[1])...); code == 0 {
					t.Errorf("%s: accepted: %s", name, out)
				}
			}
		})
	}
}

// flip changes one letter or digit, at i or the first after it, and nothing else.
func flip(s string, i int) string {
	b := []byte(s)
	for ; ; i = (i + 1) % len(b) {
		switch c := b[i]; {
		case c >= 'a' && c < 'z', c >= 'A' && c < 'Z', c >= '0' && c < '9':
			b[i] = c + 1
			return string(b)
		}
	}
}
