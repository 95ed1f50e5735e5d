package archive

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/schakel/schakel/broker/journal"
)

// place is what a segment's name tells of it.
type place struct {
	seq         uint64
	writer      string
	first, last journal.ID
}

func (m Manifest) place() place { return place{m.Seq, m.Writer, m.First, m.Last.ID} }

// Names in the folder.
const (
	suffix     = ".jsonl.zst"
	unfinished = "new-" // begins the name of a file that is being written
	lockFile   = ".lock"
)

func (p place) name() string {
	return fmt.Sprintf("%06d_%s_%s_%s%s", p.seq, p.writer, p.first, p.last, suffix)
}

var segmentName = regexp.MustCompile(`^(\d{6,18})_([a-z0-9-]{1,32})_(\d+-\d+)_(\d+-\d+)\.jsonl\.zst$`)

func parseName(name string) (place, bool) {
	parts := segmentName.FindStringSubmatch(name)
	if parts == nil {
		return place{}, false
	}
	seq, err1 := strconv.ParseUint(parts[1], 10, 63)
	first, err2 := journal.ParseID(parts[3])
	last, err3 := journal.ParseID(parts[4])
	p := place{seq, parts[2], first, last}
	return p, errors.Join(err1, err2, err3) == nil && p.name() == name
}

// Folder is a folder of segments, or none where its path is "".
type Folder struct {
	dir string

	mu     sync.Mutex
	places []place   // as they were listed last, by seq
	listed time.Time // when
	stamp  time.Time // the folder's then
	kept   []segment // read last, the newest at the end
}

// segment is a segment that was read.
type segment struct {
	place
	Manifest
	entries []journal.Entry
	err     error // why it is not whole; what of it could be read is there all the same
}

// OpenFolder makes a reader of a folder, which need not be there yet.
func OpenFolder(dir string) *Folder { return &Folder{dir: dir} }

// Dir gives its path; "" where there is none.
func (f *Folder) Dir() string { return f.dir }

// How long a listing counts at most, and how old the folder's change must be for it to count at all: two changes of one
// moment can't be told apart.
const (
	listedFor = time.Minute
	settled   = 2 * time.Second
)

// list gives the segments by seq.
func (f *Folder) list() ([]place, error) {
	if f.dir == "" {
		return nil, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if info.ModTime().Equal(f.stamp) && now.Sub(f.listed) < listedFor && f.listed.Sub(f.stamp) > settled {
		return f.places, nil
	}
	files, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, err
	}
	var places []place
	for _, file := range files {
		if p, is := parseName(file.Name()); is {
			places = append(places, p)
		}
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.seq, b.seq) })
	for i := 1; i < len(places); i++ {
		if places[i].seq == places[i-1].seq {
			return nil, fmt.Errorf("%s has two segments with the number %d, %s and %s: take away the one that the Merkle log does not have; `schakel audit verify` names it",
				f.dir, places[i].seq, places[i-1].name(), places[i].name())
		}
	}
	f.places, f.listed, f.stamp = places, now, info.ModTime()
	return places, nil
}

// Holds tells how many segments there are and, for each writer, up to which event, by their names.
func (f *Folder) Holds() (segments int, upTo map[string]journal.ID, err error) {
	places, err := f.list()
	upTo = map[string]journal.ID{}
	for _, p := range places {
		if upTo[p.writer].Less(p.last) {
			upTo[p.writer] = p.last
		}
	}
	return len(places), upTo, err
}

// manifest reads the manifest of a segment alone.
func (f *Folder) manifest(p place) (Manifest, error) {
	file, err := os.Open(filepath.Join(f.dir, p.name()))
	if err != nil {
		return Manifest{}, err
	}
	m, err := readManifest(file)
	if err == nil && m.place() != p {
		err = errors.New("its manifest is of another segment")
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return Manifest{}, fmt.Errorf("segment %s: %w", p.name(), err)
	}
	return m, nil
}

// keeps is how many segments stay in memory: one for each stream that is read at the same time.
const keeps = 8

// segment reads a segment, or gives it as it was read before.
func (f *Folder) segment(p place) segment {
	f.mu.Lock()
	i := slices.IndexFunc(f.kept, func(s segment) bool { return s.place == p })
	if i >= 0 {
		s := f.kept[i]
		f.kept = append(slices.Delete(f.kept, i, i+1), s)
		f.mu.Unlock()
		return s
	}
	f.mu.Unlock()
	s := segment{place: p}
	s.Manifest, s.entries, s.err = load(f.dir, p)
	if s.err != nil { // read again next time: it may have been put back
		s.err = fmt.Errorf("segment %s: %w", p.name(), s.err)
		return s
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.kept = append(f.kept, s); len(f.kept) > keeps {
		f.kept = slices.Delete(f.kept, 0, 1)
	}
	return s
}
