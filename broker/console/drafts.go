package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/policies"
)

// draft is a policy in the making. It holds what differs from its base, so that a rebase is plain.
type draft struct {
	ID      string             `json:"id"`
	Title   string             `json:"title"`
	Author  string             `json:"author"` // Person.ID
	Base    broker.Revision    `json:"base"`
	Changed map[string]*string `json:"changed"` // path to content; null: removed
	Updated time.Time          `json:"updated"`
	Sent    broker.Revision    `json:"sent,omitempty"` // what was submitted of it
}

// over gives all files of the draft.
func (d *draft) over(base map[string][]byte) map[string][]byte {
	out := maps.Clone(base)
	for path, content := range d.Changed {
		if content == nil {
			delete(out, path)
			continue
		}
		out[path] = []byte(*content)
	}
	return out
}

// Paths lists what the draft changes.
func (d *draft) Paths() []string { return slices.Sorted(maps.Keys(d.Changed)) }

// become makes the draft come to files, on a base.
func (d *draft) become(r broker.Revision, base, files map[string][]byte) {
	d.Base, d.Changed = r, map[string]*string{}
	for _, path := range policies.Changed(base, files) {
		d.Changed[path] = nil
		if content, there := files[path]; there {
			text := string(content)
			d.Changed[path] = &text
		}
	}
}

// put changes one file; content as in the base is no change.
func (d *draft) put(base map[string][]byte, path, content string) {
	if old, ok := base[path]; ok && string(old) == content {
		delete(d.Changed, path)
		return
	}
	d.Changed[path] = &content
}

// drafts keeps drafts, a file each, in a folder of this gateway. They hold policy and no personal data.
type drafts struct {
	dir string
	now func() time.Time
	mu  sync.Mutex
}

func openDrafts(dir string, now func() time.Time) (*drafts, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make drafts folder: %w", err)
	}
	return &drafts{dir: dir, now: now}, nil
}

var draftID = regexp.MustCompile(`^[a-z0-9]{1,20}$`)

func (s *drafts) file(id string) string { return filepath.Join(s.dir, id+".json") }

// get finds a draft; errNotFound where there is none.
func (s *drafts) get(id string) (*draft, error) {
	if !draftID.MatchString(id) {
		return nil, errNotFound
	}
	data, err := os.ReadFile(s.file(id))
	if errors.Is(err, os.ErrNotExist) {
		return nil, errNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read draft: %w", err)
	}
	d := &draft{}
	if err := json.Unmarshal(data, d); err != nil {
		return nil, fmt.Errorf("read draft %s: %w", id, err)
	}
	if d.Changed == nil {
		d.Changed = map[string]*string{}
	}
	return d, nil
}

// list gives all drafts, the last changed first.
func (s *drafts) list() ([]*draft, error) {
	names, err := filepath.Glob(filepath.Join(s.dir, "*.json"))
	if err != nil {
		return nil, err
	}
	out := []*draft{}
	for _, name := range names {
		d, err := s.get(strings.TrimSuffix(filepath.Base(name), ".json"))
		if errors.Is(err, errNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b *draft) int { return b.Updated.Compare(a.Updated) })
	return out, nil
}

// change reads a draft, changes it and writes it, one at a time. A new draft is one whose id is not there yet.
func (s *drafts) change(id string, do func(*draft) error) (*draft, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.get(id)
	if errors.Is(err, errNotFound) && draftID.MatchString(id) {
		d, err = &draft{ID: id, Changed: map[string]*string{}}, nil
	}
	if err != nil {
		return nil, err
	}
	if err := do(d); err != nil {
		return nil, err
	}
	d.Updated = s.now()
	data, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("write draft: %w", err)
	}
	tmp := s.file(id) + ".new"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return nil, fmt.Errorf("write draft: %w", err)
	}
	if err := os.Rename(tmp, s.file(id)); err != nil {
		return nil, fmt.Errorf("write draft: %w", err)
	}
	return d, nil
}

// remove throws a draft away.
func (s *drafts) remove(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !draftID.MatchString(id) {
		return errNotFound
	}
	return os.Remove(s.file(id))
}

// filePath demands a path that a policy may have: Rego or JSON, inside the tree.
func filePath(path string) error {
	ok := regexp.MustCompile(`^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*\.(rego|json)$`).MatchString(path)
	if !ok || len(path) > 200 {
		return mistake{"Noem het bestand zoals schakel/law/wgs.rego: letters, cijfers, streepjes, en .rego of .json aan het eind.",
			"Name the file like schakel/law/wgs.rego: letters, digits, hyphens, and .rego or .json at the end."}
	}
	return nil
}

// revisionOf names what a draft comes to.
func revisionOf(files map[string][]byte) broker.Revision { return policies.Revision(files) }
