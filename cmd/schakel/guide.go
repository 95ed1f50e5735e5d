package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/test/agencies"
)

// guide prints commands that work when pasted.
func (d *demo) guide(info demoInfo, from, console, residents string, people agencies.Population) {
	say := func(format string, a ...any) { _, _ = fmt.Fprintf(d.out, format+"\n", a...) }
	c := guideCase(info, people)
	me, data := self(), quote(d.data)
	save := quote(filepath.Join(d.data, "answer.json"))
	var gemeente broker.OIN
	for _, a := range info.Agencies {
		if a.Kind == "gemeente" {
			gemeente = a.OIN
		}
	}
	ask := func(worker, role, purpose, fields, more string) string {
		return fmt.Sprintf("%s ask --data %s --agency %s --worker %s --role %s --purpose %s --household case:%s --fields %s%s",
			me, data, gemeente, worker, role, purpose, c.ID, fields, more)
	}
	say("Schakel draait op %s  (data: %s)", info.Server, d.data)
	say("Console (beleidswerkplaats): %s", console)
	say("Voor inwoners: %s", residents)
	say("Personen: %s. %d zaken; niemand hierin bestaat.", from, len(info.Cases))
	say("Het voorbeeldbeleid is geen juridisch advies: laat het toetsen voor gebruik.")
	say("\nProbeer in een andere terminal (try these in another terminal):")
	say("\n# 1. verstrekt: de wijkteammedewerker wil een ontruiming voorkomen (granted)")
	say("%s", ask(string(c.Workers[0]), "wijkteammedewerker", "ontruiming-voorkomen",
		"huur.achterstand,contact.telefoonnummer,huishouden.minderjarigenAanwezig", " --save "+save))
	say("\n# 2. deels niet verstrekt: diagnose en behandelaar blijven achter (partly withheld)")
	say("%s", ask(string(c.Workers[0]), "wijkteammedewerker", "ontruiming-voorkomen", "huur.achterstand.bedrag,schulden,ggz", ""))
	say("\n# 3. geweigerd: zorggegevens zijn niet voor handhaving (refused)")
	say("%s", ask("recherche-1", "sociaal-rechercheur", "handhaving", "jeugd,wmo,huur", ""))
	say("\n# 4. controleer het bewaarde antwoord (verify)")
	say("%s verify %s --jwks %s/.well-known/jwks.json", me, save, info.Server)
	say("\n# 5. het logboek (the log)")
	say("%s audit log --data %s", me, data)
	say("\n# 6. controleer het logboek (verify the log)")
	say("%s audit verify --data %s", me, data)
	say("\nStop met Ctrl-C. Meer: %s --help", me)
}

// guideCase picks a case that shows something: minors, and nobody with restricted disclosure or an unknown age.
func guideCase(info demoInfo, people agencies.Population) demoCase {
	for _, c := range info.Cases {
		minor, plain := false, true
		for i, b := range c.BSNs {
			p, ok := people.Person(b)
			band := p.Birth.AgeBand(time.Now())
			plain = plain && ok && !p.Restricted && !p.Deceased && band != broker.AgeUnknown && (i > 0 || band == broker.Age18Plus)
			minor = minor || (band != broker.Age18Plus && band != broker.AgeUnknown)
		}
		if plain && minor {
			return c
		}
	}
	return info.Cases[0]
}

// self is how this program was started, as it can be typed again: from any folder, unless it was `go run`.
func self() string {
	exe, err := os.Executable()
	if err == nil && strings.Contains(exe, "go-build") {
		if _, err := os.Stat("cmd/schakel"); err == nil {
			return "go run ./cmd/schakel"
		}
		return quote(exe)
	}
	if !strings.ContainsRune(os.Args[0], filepath.Separator) {
		return quote(os.Args[0]) // found in $PATH
	}
	if path, err := filepath.Abs(os.Args[0]); err == nil {
		return quote(path)
	}
	return quote(os.Args[0])
}

// quote makes a word safe for a shell.
func quote(s string) string {
	if strings.IndexFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-:+=@", r)
	}) < 0 && s != "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
