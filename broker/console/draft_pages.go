package console

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/policies"
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
	Came     bool // into force, as it is
	Outdated bool
}

// came tells whether a draft was in force as it is.
func (k *Console) came(ctx context.Context, d *draft) (bool, error) {
	p := k.cfg.Desk.Policy()
	if !slices.ContainsFunc(p.History, func(a register.Activation) bool {
		proposal, ok := p.Find(a.Draft)
		return ok && a.Revision == d.Sent && proposal.Base == d.Base // and not only once before that base
	}) {
		return false, nil
	}
	base, err := k.cfg.Desk.Files(ctx, d.Base)
	if err != nil {
		return false, fmt.Errorf("read base of a draft: %w", err)
	}
	return revisionOf(d.over(base)) == d.Sent, nil
}

func (k *Console) draftRows(c *call) ([]draftRow, error) {
	list, err := k.drafts.list()
	if err != nil {
		return nil, err
	}
	live := k.cfg.Desk.Policy().Against()
	var out []draftRow
	for _, d := range list {
		came, err := k.came(c.r.Context(), d)
		if err != nil {
			return nil, err
		}
		out = append(out, draftRow{d, c.person != nil && d.Author == c.person.ID, came, d.Base != live && !came})
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
	content := files
	if back != "" { // the way back: an earlier revision, on the one in force
		if !slices.ContainsFunc(k.cfg.Desk.Policy().History, func(a register.Activation) bool { return a.Revision == back && !a.Stop }) {
			return errNotFound
		}
		if content, err = k.cfg.Desk.Files(c.r.Context(), back); err != nil {
			return err
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
		d.Title, d.Author = title, c.person.ID
		d.become(live, files, content)
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
	Came     bool // into force, as it is
	Outdated bool
	Below    []string   // files that changed below an outdated draft
	Both     []conflict // of which the draft changed these too, in its own way
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
	v := draftView{draft: d, Own: d.Author == c.person.ID, Live: live, Revision: revisionOf(files),
		Diff: diffFiles(base, files), Folders: c.folders(files, slices.Sorted(maps.Keys(files)))}
	if v.Came, err = k.came(c.r.Context(), d); err != nil {
		return err
	}
	if v.Outdated = d.Base != live && !v.Came; v.Outdated {
		now, err := k.cfg.Desk.Files(c.r.Context(), live)
		if err != nil {
			return err
		}
		r := policies.Rebase(base, files, now)
		v.Below = r.Underneath
		for _, path := range r.Both {
			v.Both = append(v.Both, conflict{path, diffFile(path, base, now), diffFile(path, base, files)})
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

// conflict is a file that changed both in the draft and below it: what the policy in force did to it, and what the draft did.
type conflict struct {
	Path         string
	Theirs, Mine fileDiff
}

// rebaseDraft puts a draft on the policy in force. Of a file that both changed the author says whose content goes on; without
// that nothing is moved.
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
	if _, err := k.drafts.change(d.ID, func(d *draft) error {
		files := d.over(base)
		both = policies.Rebase(base, files, now).Both
		from := maps.Clone(base)
		var open []string
		for _, path := range both {
			switch c.r.PostFormValue("houd:" + path) {
			case "ontwerp":
				place(from, now, path) // as if the draft was made on what is there now
			case "geldend":
				place(files, now, path)
			default:
				open = append(open, path)
			}
		}
		if len(open) > 0 {
			list := strings.Join(open, ", ")
			return mistake{nl: "Deze bestanden zijn in uw ontwerp en in het geldende beleid verschillend gewijzigd: " + list + ". Kies bij elk welke versie verdergaat; tot dan blijft uw ontwerp zoals het is.",
				en: "These files were changed in different ways in your draft and in the policy in force: " + list + ". Choose for each which version goes on; until then your draft stays as it is."}
		}
		r := policies.Rebase(from, files, now)
		if len(r.Both) > 0 {
			return fmt.Errorf("rebase draft: %v are still changed on both sides", r.Both)
		}
		d.become(live, now, r.Files)
		return nil
	}); err != nil {
		return err
	}
	if len(both) > 0 {
		list := strings.Join(both, ", ")
		c.notice("Het ontwerp staat nu op het geldende beleid. Kijk deze bestanden na, die ook elders waren gewijzigd: "+list+".",
			"The draft now stands on the policy in force. Look through these files, which were changed elsewhere too: "+list+".")
	} else {
		c.notice("Het ontwerp staat nu op het geldende beleid. Toets het opnieuw.", "The draft now stands on the policy in force. Check it again.")
	}
	c.redirect("/ontwerpen/" + d.ID)
	return nil
}

// place puts a file of one policy in another, or takes it out where the first has none.
func place(into, from map[string][]byte, path string) {
	if content, there := from[path]; there {
		into[path] = content
	} else {
		delete(into, path)
	}
}
