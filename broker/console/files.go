package console

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/register"
)

// live gives the revision in force and its files; during an emergency stop that which it took the place of.
func (k *Console) live(ctx context.Context) (broker.Revision, map[string][]byte, error) {
	r := k.cfg.Desk.Policy().Against()
	if r == "" {
		return "", nil, mistake{"Er is nog geen beleid van kracht; `schakel init` activeert het eerste.", "No policy is in force yet; `schakel init` activates the first one."}
	}
	files, err := k.cfg.Desk.Files(ctx, r)
	if err != nil {
		return "", nil, fmt.Errorf("read policy revision %.12s: %w", r, err)
	}
	return r, files, nil
}

// folder is a folder of policy files.
type folder struct {
	Name  string
	Files []fileLink
}

type fileLink struct{ Path, Name, Title string }

// folders groups paths by folder, each file with the title of its package.
func (c *call) folders(files map[string][]byte, paths []string) []folder {
	var out []folder
	for _, p := range paths {
		dir, name := path.Split(p)
		if name == "data.json" { // each list of the catalog has a folder of its own: what tells them apart is its name
			dir, name = path.Split(path.Clean(dir))
			name += "/data.json"
		}
		dir = path.Clean(dir)
		i := slices.IndexFunc(out, func(f folder) bool { return f.Name == dir })
		if i < 0 {
			i = len(out)
			out = append(out, folder{Name: dir})
		}
		out[i].Files = append(out[i].Files, fileLink{p, name, c.titleOf(files[p])})
	}
	return out
}

// titleOf finds what a Rego file says it is, in the reader's language: titles are written "Nederlands – English".
func (c *call) titleOf(source []byte) string {
	m := regexp.MustCompile(`(?m)^# title: (.+)$`).FindSubmatch(source)
	if m == nil {
		return ""
	}
	return c.half(string(m[1]))
}

// half gives the reader's half of "Nederlands – English".
func (c *call) half(title string) string {
	nl, en, both := strings.Cut(title, " – ")
	if !both {
		return title
	}
	return c.say(nl, en)
}

func (k *Console) serveFiles(c *call) error {
	r, files, err := k.live(c.r.Context())
	if err != nil {
		return err
	}
	paths := slices.Sorted(maps.Keys(files))
	return c.render(http.StatusOK, "files", c.say("Beleid", "Policy"), struct {
		Revision broker.Revision
		Paths    []string
		Folders  []folder
	}{r, paths, c.folders(files, paths)})
}

// serveFile shows a file of the revision in force or of another that is kept, some of its lines lit.
func (k *Console) serveFile(c *call) error {
	r, files, err := k.live(c.r.Context())
	if err != nil {
		return err
	}
	q := c.r.URL.Query()
	of := broker.Revision(q.Get("revisie"))
	if of == "" {
		of = r
	}
	if of != r {
		if !slices.Contains(revisions(k.cfg.Desk.Policy()), of) {
			return errNotFound
		}
		if files, err = k.cfg.Desk.Files(c.r.Context(), of); err != nil {
			return err
		}
	}
	p := q.Get("pad")
	content, ok := files[p]
	if !ok {
		return errNotFound
	}
	lit := map[int]bool{}
	for number := range strings.SplitSeq(q.Get("regels"), ",") {
		if n, err := strconv.Atoi(number); err == nil {
			lit[n] = true
		}
	}
	return c.render(http.StatusOK, "file", p, struct {
		Revision broker.Revision
		Live     bool
		Path     string
		Lines    [][]span
		Lit      map[int]bool
	}{of, of == r, p, highlight(content), lit}, link{"/beleid", c.say("Beleid", "Policy"), false})
}

// Line turns an index into a line number.
func (c *call) Line(i int) int { return i + 1 }

// catalogDomain is a domain with its fields.
type catalogDomain struct {
	broker.Term
	Fields []broker.FieldInfo
}

func (k *Console) serveCatalog(c *call) error {
	_, files, err := k.live(c.r.Context())
	if err != nil {
		return err
	}
	catalog, err := k.cfg.Desk.Catalog(files)
	if err != nil {
		return err
	}
	var out []catalogDomain
	for _, d := range catalog.Domains {
		one := catalogDomain{Term: d}
		for _, f := range catalog.Fields {
			if string(f.Domain) == d.ID {
				one.Fields = append(one.Fields, f)
			}
		}
		out = append(out, one)
	}
	return c.render(http.StatusOK, "catalog", c.say("Catalogus van velden", "Catalog of fields"), out)
}

// holderAgreements is what one holder agreed.
type holderAgreements struct {
	Name string
	Rows []agreementRow
}

type agreementRow struct {
	register.Agreement
	Recipient string
	Over      bool
}

func (k *Console) serveAgreements(c *call) error {
	names := map[broker.OIN]string{}
	for _, a := range k.cfg.Desk.Agencies() {
		names[a.OIN] = string(a.Kind) + " " + string(a.OIN)
	}
	today := k.cfg.Now().In(broker.Amsterdam()).Format("20060102")
	var out []holderAgreements
	for _, a := range k.cfg.Desk.Agreements() {
		name := names[a.Holder]
		i := slices.IndexFunc(out, func(h holderAgreements) bool { return h.Name == name })
		if i < 0 {
			out = append(out, holderAgreements{Name: name})
			i = len(out) - 1
		}
		out[i].Rows = append(out[i].Rows, agreementRow{a, names[a.Recipient], a.Until.Known() && a.Until.Digits() < today})
	}
	slices.SortFunc(out, func(a, b holderAgreements) int { return strings.Compare(a.Name, b.Name) })
	return c.render(http.StatusOK, "agreements", c.say("Afspraken", "Agreements"), out)
}

func (k *Console) serveAccessibility(c *call) error {
	return c.render(http.StatusOK, "accessibility", c.say("Toegankelijkheidsverklaring", "Accessibility statement"), nil)
}
