package register

import "github.com/schakel/schakel/broker"

// shelf keeps the cases of the view, of which there may be a million, packed as a snapshot has them. So they take little
// memory, and the garbage collector has nothing to follow in them: it would otherwise take a quarter of a gateway's time.
// A case is unpacked each time it is asked for.
type shelf struct {
	pack    *packer // its dictionary is that of all records
	keys    *indexKeys
	slots   map[indexKey]uint32 // by case; no pointers
	records []string            // by slot
	nothing string              // a record that is looked at where there is none, see lookedAt
}

// newShelf makes an empty one with room for so many cases, whose records are packed with these words and others.
func newShelf(keys *indexKeys, words []string, cases int) *shelf {
	s := &shelf{pack: newPacker(words), keys: keys, slots: make(map[indexKey]uint32, cases), records: make([]string, 0, cases)}
	s.nothing = s.packed(&caseFile{kind: KindCase, members: make([]member, 3), workers: make([]Worker, 2), teams: make([]Team, 1)})
	return s
}

func (s *shelf) packed(f *caseFile) string {
	s.pack.b = s.pack.b[:0]
	s.pack.caseFile(f)
	return string(s.pack.b)
}

// record gives the record of a case, "" where there is none.
func (s *shelf) record(id broker.CaseID) string {
	if slot, there := s.slots[s.keys.ofCase(id)]; there {
		return s.records[slot]
	}
	return ""
}

// unpack begins to read a record.
func (s *shelf) unpack(record string) *unpacker {
	return &unpacker{b: record, words: s.pack.words}
}

// place keeps a record, in the slot of the one it replaces.
func (s *shelf) place(key indexKey, record string) (slot uint32) {
	slot, there := s.slots[key]
	if there {
		s.records[slot] = record
		return slot
	}
	slot = uint32(len(s.records))
	s.slots[key], s.records = slot, append(s.records, record)
	return slot
}

// idOf tells of which case a record is: its id stands first.
func idOf(record string) broker.CaseID { return broker.CaseID((&unpacker{b: record}).text()) }

// all gives each case.
func (s *shelf) all() []*caseFile {
	out := make([]*caseFile, len(s.records))
	for slot, record := range s.records {
		out[slot] = s.unpack(record).caseFile()
	}
	return out
}

// cases are the cases of a state: those of the view on its shelf, and over them those that a state over it changed.
type cases struct {
	*shelf
	changed map[broker.CaseID]*caseFile // nil in the view
}

// get gives nil where there is no such case.
func (c cases) get(id broker.CaseID) *caseFile {
	if f, there := c.changed[id]; there {
		return f
	}
	slot, there := c.slots[c.keys.ofCase(id)]
	if !there {
		return nil
	}
	f := c.unpack(c.records[slot]).caseFile()
	f.slot = slot
	return f
}

// put keeps a case. On the shelf it gets the slot of the one it replaces.
func (c cases) put(f *caseFile) {
	if c.changed != nil {
		c.changed[f.id] = f
		return
	}
	f.slot = c.place(c.keys.ofCase(f.id), c.packed(f))
}
