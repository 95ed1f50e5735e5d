package register

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/schakel/schakel/broker"
)

// packer writes records of a snapshot. Words that many records share, of closed lists and agencies, are written once, in
// its dictionary; what is about persons and staff stands in the record.
type packer struct {
	b     []byte
	words []string
	index map[string]uint64
}

func newPacker() *packer { return &packer{index: map[string]uint64{}} }

func (p *packer) number(n uint64) { p.b = binary.AppendUvarint(p.b, n) }

func (p *packer) text(s string) {
	p.number(uint64(len(s)))
	p.b = append(p.b, s...)
}

func (p *packer) word(s string) {
	n, known := p.index[s]
	if !known {
		n = uint64(len(p.words))
		p.words, p.index[s] = append(p.words, s), n
	}
	p.number(n)
}

func (p *packer) flags(bits ...bool) {
	var b byte
	for i, set := range bits {
		if set {
			b |= 1 << i
		}
	}
	p.b = append(p.b, b)
}

func (p *packer) date(d broker.Date) {
	p.number(uint64(d.Year))
	p.number(uint64(d.Month))
	p.number(uint64(d.Day))
}

// packList writes a list; one that is nil comes back nil.
func packList[T any](p *packer, list []T, each func(T)) {
	if list == nil {
		p.number(0)
		return
	}
	p.number(uint64(len(list)) + 1)
	for _, v := range list {
		each(v)
	}
}

// unpacker reads records. After its first error it gives zero values.
type unpacker struct {
	b     []byte
	words []string
	same  map[string]string // one copy of each text about staff
	err   error
}

var errRecord = errors.New("a record of it is not in the form that records have")

func (u *unpacker) fail() { u.b, u.err = nil, errRecord }

func (u *unpacker) number() uint64 {
	n, size := binary.Uvarint(u.b)
	if size <= 0 {
		u.fail()
		return 0
	}
	u.b = u.b[size:]
	return n
}

func (u *unpacker) bytes() []byte {
	n := u.number()
	if n > uint64(len(u.b)) {
		u.fail()
		return nil
	}
	v := u.b[:n]
	u.b = u.b[n:]
	return v
}

func (u *unpacker) text() string { return string(u.bytes()) }

// shared is for text that many records have.
func (u *unpacker) shared() string {
	v := u.bytes()
	s, known := u.same[string(v)]
	if !known {
		s = string(v)
		u.same[s] = s
	}
	return s
}

func (u *unpacker) word() string {
	n := u.number()
	if n >= uint64(len(u.words)) {
		u.fail()
		return ""
	}
	return u.words[n]
}

func (u *unpacker) flag(bits int) byte {
	if len(u.b) == 0 || u.b[0]>>bits != 0 {
		u.fail()
		return 0
	}
	v := u.b[0]
	u.b = u.b[1:]
	return v
}

func (u *unpacker) date() broker.Date {
	return broker.Date{Year: int(u.number()), Month: int(u.number()), Day: int(u.number())}
}

func unpackList[T any](u *unpacker, each func() T) []T {
	n := u.number()
	if n == 0 || n-1 > uint64(len(u.b)) { // each takes a byte at least
		if n != 0 {
			u.fail()
		}
		return nil
	}
	list := make([]T, 0, n-1)
	for range n - 1 {
		list = append(list, each())
	}
	return list
}

func (p *packer) worker(w Worker) {
	p.word(string(w.Agency))
	p.text(string(w.Worker))
}

func (u *unpacker) worker() Worker {
	return Worker{broker.OIN(u.word()), broker.WorkerID(u.shared())}
}

// team writes what the state knows of a team.
func (p *packer) team(name Team, t *team) {
	p.word(string(name.Agency))
	p.text(name.Team)
	packList(p, t.workers, func(w broker.WorkerID) { p.text(string(w)) })
}

func (u *unpacker) team() (Team, *team) {
	name := Team{broker.OIN(u.word()), u.text()}
	return name, &team{workers: unpackList(u, func() broker.WorkerID { return broker.WorkerID(u.shared()) })}
}

// caseFile writes everything about a case but its touch.
func (p *packer) caseFile(f *caseFile) {
	p.text(string(f.id))
	p.word(string(f.kind))
	p.flags(f.closed, f.emergency != nil)
	p.word(string(f.agency))
	p.word(f.municipality)
	p.number(uint64(f.opened))
	packList(p, f.members, func(m member) {
		p.number(uint64(m.bsn))
		p.number(uint64(m.year))
		p.b = append(p.b, m.month, m.day)
		p.flags(m.restricted, m.deceased)
	})
	packList(p, f.holders, func(h caseHolder) {
		p.word(string(h.oin))
		packList(p, h.members, func(i int) { p.number(uint64(i)) })
	})
	packList(p, f.workers, p.worker)
	packList(p, f.teams, func(t Team) {
		p.word(string(t.Agency))
		p.text(t.Team)
	})
	p.worker(f.coordinator)
	packList(p, f.consents, p.consent)
	if f.emergency != nil {
		packList(p, f.emergency.domains, func(d broker.Domain) { p.word(string(d)) })
		p.number(uint64(f.emergency.until.Unix())) // whole seconds, see DeclareEmergency
	}
}

func (u *unpacker) caseFile() *caseFile {
	f := &caseFile{id: broker.CaseID(u.text()), kind: CaseKind(u.word())}
	flags := u.flag(2)
	f.closed = flags&1 != 0
	f.agency, f.municipality, f.opened = broker.OIN(u.word()), u.word(), broker.Position(u.number())
	f.members = unpackList(u, func() member {
		m := member{bsn: uint32(u.number()), year: uint16(u.number()), month: uint8(u.flag(8)), day: uint8(u.flag(8))}
		bits := u.flag(2)
		m.restricted, m.deceased = bits&1 != 0, bits&2 != 0
		return m
	})
	f.holders = unpackList(u, func() caseHolder {
		h := caseHolder{oin: broker.OIN(u.word())}
		h.members = unpackList(u, func() int {
			i := u.number()
			if i >= uint64(len(f.members)) {
				u.fail()
				return 0
			}
			return int(i)
		})
		return h
	})
	f.workers = unpackList(u, u.worker)
	f.teams = unpackList(u, func() Team { return Team{broker.OIN(u.word()), u.shared()} })
	f.coordinator = u.worker()
	f.consents = unpackList(u, func() Consent { return u.consent(f) })
	if flags&2 != 0 {
		f.emergency = &emergency{domains: unpackList(u, func() broker.Domain { return broker.Domain(u.word()) })}
		f.emergency.until = time.Unix(int64(u.number()), 0).UTC()
	}
	return f
}

func (p *packer) consent(c Consent) {
	p.text(c.Person.Reveal())
	p.word(string(c.Kind))
	p.word(string(c.Domain))
	p.word(string(c.Recipient))
	packList(p, c.Purposes, func(q broker.Purpose) { p.word(string(q)) })
	p.date(c.From)
	p.date(c.Until)
	p.word(c.GivenBy)
}

func (u *unpacker) consent(f *caseFile) Consent {
	c := Consent{Case: f.id, Person: broker.BSN(u.text()), Kind: ConsentKind(u.word()), Domain: broker.Domain(u.word()),
		Recipient: broker.OIN(u.word())}
	if f.member(packBSN(c.Person)) < 0 {
		u.fail()
	}
	c.Purposes = unpackList(u, func() broker.Purpose { return broker.Purpose(u.word()) })
	c.From, c.Until, c.GivenBy = u.date(), u.date(), u.word()
	return c
}
