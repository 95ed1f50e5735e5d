package console

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/workbench"
)

// editorView is the page of one file of a draft.
type editorView struct {
	Draft    *draft
	Own      bool
	Path     string
	Content  string
	Was      string // digest of what the form began with, so that two windows do not overwrite each other
	Lines    []editorLine
	Findings []workbench.Finding // in this file
	Others   int                 // findings in other files
	Tested   bool                // the marks beside the lines are of this content
}

// editorLine is one line with what is known of it.
type editorLine struct {
	Spans  []span
	Fault  string
	Mark   string // missed, reached or ""
	Number int
}

func digest(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

func (k *Console) serveEditor(c *call) error {
	d, _, files, err := k.open(c)
	if err != nil {
		return err
	}
	path := c.r.URL.Query().Get("pad")
	if err := filePath(path); err != nil {
		return err
	}
	content, ok := files[path]
	if !ok && d.Author != c.person.ID {
		return errNotFound
	}
	v := editorView{Draft: d, Own: d.Author == c.person.ID, Path: path, Content: string(content), Was: digest(string(content))}
	v.Findings, v.Others = findings(files, path)
	uncovered, tested := k.coverage(d.Base, revisionOf(files), path)
	v.Tested = tested
	for i, spans := range highlight(content) {
		line := editorLine{Spans: spans, Number: i + 1}
		for _, f := range v.Findings {
			if f.Line == i+1 {
				line.Fault = c.Text(f.Problem)
			}
		}
		if tested && uncovered[i+1] {
			line.Mark = "missed"
		}
		v.Lines = append(v.Lines, line)
	}
	return c.render(http.StatusOK, "editor", path, v, link{"/ontwerpen", c.say("Ontwerpen", "Drafts"), false},
		link{"/ontwerpen/" + d.ID, d.Title, false})
}

// findings checks a policy, and gives what was found in one file and how much in others.
func findings(files map[string][]byte, path string) (here []workbench.Finding, others int) {
	for _, f := range workbench.Check(files).Findings {
		if f.File == path {
			here = append(here, f)
		} else {
			others++
		}
	}
	return here, others
}

// sent reads the file that a form or script sent.
func (c *call) sent() (path, content string, err error) {
	path = c.r.PostFormValue("pad")
	content = strings.ReplaceAll(c.r.PostFormValue("inhoud"), "\r\n", "\n") // as forms send line ends
	if content != "" && !strings.HasSuffix(content, "\n") {
		content += "\n"
	}
	return path, content, filePath(path)
}

func (k *Console) saveFile(c *call) error {
	d, base, _, err := k.open(c)
	if err != nil {
		return err
	}
	if err := c.own(d); err != nil {
		return err
	}
	path, content, err := c.sent()
	if err != nil {
		return err
	}
	if strings.HasPrefix(path, guardrails) && c.person.Role != Jurist {
		return mistake{"Vangrails zijn van de jurist: vraag die om dit bestand te wijzigen.", "Guardrails belong to the lawyer: ask them to change this file."}
	}
	switch c.r.PostFormValue("actie") {
	case "weg":
		if _, err := k.drafts.change(d.ID, func(d *draft) error {
			delete(d.Changed, path)
			if _, ok := base[path]; ok {
				d.Changed[path] = nil
			}
			return nil
		}); err != nil {
			return err
		}
		c.notice("Het bestand is uit het ontwerp gehaald.", "The file was taken out of the draft.")
		c.redirect("/ontwerpen/" + d.ID)
		return nil
	case "opmaken":
		if formatted, err := workbench.Format(path, []byte(content)); err == nil && strings.HasSuffix(path, ".rego") {
			content = string(formatted)
		} else {
			c.notice("Opmaken lukt pas als het bestand geldige Rego is. Uw tekst is wel bewaard.", "Layout works once the file is valid Rego. Your text was kept.")
		}
	}
	changed, err := k.drafts.change(d.ID, func(d *draft) error {
		now := d.over(base)[path]
		if was := c.r.PostFormValue("was"); was != "" && was != digest(string(now)) && string(now) != content {
			return mistake{"Dit bestand is intussen in een ander venster gewijzigd. Uw tekst is niet bewaard: kopieer die, open het bestand opnieuw en voeg uw wijziging toe.",
				"This file was changed in another window meanwhile. Your text was not kept: copy it, open the file again and put your change in."}
		}
		d.put(base, path, content)
		return nil
	})
	if err != nil {
		return err
	}
	if here, others := findings(changed.over(base), path); len(here)+others == 0 {
		c.notice("Bewaard. Er is niets aan te merken op de opzet; toets het ontwerp om te zien wat het doet.", "Kept. Nothing is wrong with its form; check the draft to see what it does.")
	} else {
		c.notice("Bewaard. Er zijn nog meldingen; zie hieronder.", "Kept. There are findings still; see below.")
	}
	c.redirect("/ontwerpen/" + d.ID + "/bestand?pad=" + url.QueryEscape(path))
	return nil
}

// guardrails is the folder of rules about rules, which jurists own.
const guardrails = "schakel/guardrails/"

// checkAnswer is what the editor's script hears while somebody types.
type checkAnswer struct {
	Lines    [][]span       `json:"lines"`
	Findings []checkFinding `json:"findings"`
	Others   int            `json:"others"`
	Summary  string         `json:"summary"`
}

type checkFinding struct {
	Line    int    `json:"line"`
	Problem string `json:"problem"`
	Said    string `json:"said,omitempty"` // English
	Advice  string `json:"advice"`
}

// checkFile says what would be found if this text were kept. It keeps nothing.
func (k *Console) checkFile(c *call) error {
	_, _, files, err := k.open(c)
	if err != nil {
		return err
	}
	path, content, err := c.sent()
	if err != nil {
		return err
	}
	files[path] = []byte(content)
	here, others := findings(files, path)
	a := checkAnswer{Lines: highlight([]byte(content)), Findings: []checkFinding{}, Others: others, Summary: c.Summary(len(here), others)}
	for _, f := range here {
		a.Findings = append(a.Findings, checkFinding{f.Line, c.Text(f.Problem), f.Said, c.Text(f.Advice)})
	}
	return c.json(a)
}

// Summary says in one sentence how many findings there are.
func (c *call) Summary(here, others int) string {
	text := c.say("Geen meldingen in dit bestand.", "No findings in this file.")
	if here == 1 {
		text = c.say("Eén melding in dit bestand.", "One finding in this file.")
	} else if here > 1 {
		text = c.Count(here) + c.say(" meldingen in dit bestand.", " findings in this file.")
	}
	if others > 0 {
		text += " " + c.Count(others) + c.say(" in andere bestanden.", " in other files.")
	}
	return text
}

// formatFile lays a file out and keeps nothing.
func (k *Console) formatFile(c *call) error {
	path, content, err := c.sent()
	if err != nil {
		return err
	}
	out, err := workbench.Format(path, []byte(content))
	if err != nil {
		return mistake{"Opmaken lukt pas als het bestand geldige Rego is.", "Layout works once the file is valid Rego."}
	}
	return c.json(map[string]string{"text": string(out)})
}

// word is something the editor can complete.
type word struct {
	Word string `json:"w"`
	Kind string `json:"k"`
	Text string `json:"t"`
}

// serveWords lists the closed lists of the draft's own catalog, to complete from.
func (k *Console) serveWords(c *call) error {
	_, base, files, err := k.open(c)
	if err != nil {
		return err
	}
	catalog, err := k.cfg.Desk.Catalog(files)
	if err != nil { // half-way a change of the catalog: the base's words are better than none
		if catalog, err = k.cfg.Desk.Catalog(base); err != nil {
			return err
		}
	}
	out := []word{}
	for _, f := range catalog.Fields {
		out = append(out, word{string(f.Path), c.say("veld", "field"), c.Text(f.Label)})
	}
	for _, l := range []struct {
		kind  string
		terms []broker.Term
	}{
		{c.say("rol", "role"), catalog.Roles}, {c.say("doel", "purpose"), catalog.Purposes}, {c.say("reden", "reason"), catalog.Reasons},
		{c.say("grondslag", "basis"), catalog.Bases}, {c.say("domein", "domain"), catalog.Domains}, {c.say("vorm", "form"), catalog.Forms},
		{c.say("klasse", "class"), catalog.Classes}, {c.say("mandaat", "mandate"), catalog.Mandates}, {c.say("verplichting", "obligation"), catalog.Obligations},
	} {
		for _, t := range l.terms {
			out = append(out, word{t.ID, l.kind, c.Text(t.Text)})
		}
	}
	return c.json(out)
}

func (c *call) json(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "application/json")
	_, _ = c.w.Write(data)
	return nil
}
