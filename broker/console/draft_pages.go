package console

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/register"
)

// open reads a draft of the address with the files of its base and its own.
func (k *Console) open(c *call) (d *draft, base, files map[string][]byte, err error) {
	if d, err = k.drafts.get(c.params.ByName("id")); err != nil {
		return nil, nil, nil, err
	}
	if base, err = k.cfg.Desk.Files(c.r.Context(), d.Base); err != nil {
		return nil, nil, nil, fmt.Errorf("read base %.12s of draft: %w", d.Base, err)
	}
	return d, base, d.over(base), nil
}

// own demands that a draft is the reader's own: a colleague's is theirs to change.
func (c *call) own(d *draft) error {
	if d.Author != c.person.ID {
		return mistake{"Dit ontwerp is van een collega. Alleen de maker wijzigt het; u kunt er een eigen ontwerp naast zetten.",
			"This draft is a colleague's. Only its author changes it; you can make a draft of your own beside it."}
	}
	return nil
}

// draftRow is a draft in a list.
type draftRow struct {
	*draft
	Own      bool
	Outdated bool
}

func (k *Console) draftRows(c *call) ([]draftRow, error) {
	list, err := k.drafts.list()
	if err != nil {
		return nil, err
	}
	live := k.cfg.Desk.Policy().Against()
	var out []draftRow
	for _, d := range list {
		out = append(out, draftRow{d, c.person != nil && d.Author == c.person.ID, d.Base != live})
	}
	return out, nil
}

func (k *Console) serveDrafts(c *call) error {
	rows, err := k.draftRows(c)
	if err != nil {
		return err
	}
	return c.render(http.StatusOK, "drafts", c.say("Ontwerpen", "Drafts"), rows)
}

// makeDraft begins a draft on the revision in force.
func (k *Console) makeDraft(c *call) error {
	live, files, err := k.live(c.r.Context())
	if err != nil {
		return err
	}
	pad, back := c.r.PostFormValue("pad"), broker.Revision(c.r.PostFormValue("terug"))
	changed := map[string]*string{}
	if back != "" { // the way back: an earlier revision, on the one in force
		if !slices.ContainsFunc(k.cfg.Desk.Policy().History, func(a register.Activation) bool { return a.Revision == back && !a.Stop }) {
			return errNotFound
		}
		old, err := k.cfg.Desk.Files(c.r.Context(), back)
		if err != nil {
			return err
		}
		for _, f := range diffFiles(files, old) {
			if content, there := old[f.Path]; there {
				text := string(content)
				changed[f.Path] = &text
			} else {
				changed[f.Path] = nil
			}
		}
	}
	title := strings.TrimSpace(c.r.PostFormValue("titel"))
	if title == "" && pad != "" {
		title = c.say("Wijziging van ", "Change of ") + pad
	}
	if back != "" {
		title = c.say("Terug naar revisie ", "Back to revision ") + c.Short(back)
	}
	if title == "" || len(title) > 200 {
		return mistake{"Geef het ontwerp een titel van hooguit 200 tekens: wat verandert u, en waarom?", "Give the draft a title of 200 characters at most: what do you change, and why?"}
	}
	id := strings.ToLower(strings.Map(func(r rune) rune {
		if (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') || (r >= '0' && r <= '9') {
			return r
		}
		return -1
	}, random()))[:12]
	if _, err := k.drafts.change(id, func(d *draft) error {
		d.Title, d.Author, d.Base, d.Changed = title, c.person.ID, live, changed
		return nil
	}); err != nil {
		return err
	}
	c.notice("Uw ontwerp is aangemaakt. Er verandert niets voor anderen.", "Your draft was made. Nothing changes for others.")
	if _, ok := files[pad]; ok {
		c.redirect("/ontwerpen/" + id + "/bestand?pad=" + url.QueryEscape(pad))
		return nil
	}
	c.redirect("/ontwerpen/" + id)
	return nil
}

// draftView is the page of a draft.
type draftView struct {
	*draft
	Own      bool
	Live     broker.Revision
	Outdated bool
	Below    []string // files that changed below an outdated draft
	Revision broker.Revision
	Diff     []fileDiff
	Folders  []folder
	Story    *story
}

func (k *Console) serveDraft(c *call) error {
	d, base, files, err := k.open(c)
	if err != nil {
		return err
	}
	live := k.cfg.Desk.Policy().Against()
	v := draftView{draft: d, Own: d.Author == c.person.ID, Live: live, Outdated: d.Base != live, Revision: revisionOf(files),
		Diff: diffFiles(base, files), Folders: c.folders(files, slices.Sorted(maps.Keys(files)))}
	if v.Outdated {
		now, err := k.cfg.Desk.Files(c.r.Context(), live)
		if err != nil {
			return err
		}
		for _, f := range diffFiles(base, now) {
			v.Below = append(v.Below, f.Path)
		}
	}
	v.Story = k.story(d.Base, v.Revision)
	return c.render(http.StatusOK, "draft", d.Title, v, link{"/ontwerpen", c.say("Ontwerpen", "Drafts"), false})
}

func (k *Console) removeDraft(c *call) error {
	d, _, _, err := k.open(c)
	if err != nil {
		return err
	}
	if err := c.own(d); err != nil {
		return err
	}
	if err := k.drafts.remove(d.ID); err != nil {
		return err
	}
	c.notice("Het ontwerp is weggegooid.", "The draft was thrown away.")
	c.redirect("/ontwerpen")
	return nil
}

// rebaseDraft puts a draft on the revision in force. A file that both changed keeps the draft's content, and is named.
func (k *Console) rebaseDraft(c *call) error {
	d, base, _, err := k.open(c)
	if err != nil {
		return err
	}
	if err := c.own(d); err != nil {
		return err
	}
	live, now, err := k.live(c.r.Context())
	if err != nil {
		return err
	}
	var both []string
	for _, f := range diffFiles(base, now) {
		if _, changed := d.Changed[f.Path]; changed {
			both = append(both, f.Path)
		}
	}
	if _, err := k.drafts.change(d.ID, func(d *draft) error {
		d.Base = live
		for path, content := range d.Changed {
			if content != nil && string(now[path]) == *content {
				delete(d.Changed, path)
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if len(both) > 0 {
		list := strings.Join(both, ", ")
		c.notice("Het ontwerp staat nu op het geldende beleid. Kijk deze bestanden na, die intussen ook elders zijn gewijzigd: "+list+".",
			"The draft now stands on the policy in force. Look through these files, which were also changed elsewhere meanwhile: "+list+".")
	} else {
		c.notice("Het ontwerp staat nu op het geldende beleid. Toets het opnieuw.", "The draft now stands on the policy in force. Check it again.")
	}
	c.redirect("/ontwerpen/" + d.ID)
	return nil
}
