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

// newPacker makes one whose dictionary begins with these words.
func newPacker(words []string) *packer {
	p := &packer{index: map[string]uint64{}}
	for _, w := range words {
		p.word(w)
	}
	p.b = nil
	return p
}

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

// unpacker reads records. After its first error it gives zero values. What it gives may share the record's memory.
type unpacker struct {
	b     string
	words []string
	err   error
}

var errRecord = errors.New("a record of it is not in the form that records have")

func (u *unpacker) fail() { u.b, u.err = "", errRecord }

// number reads what binary.AppendUvarint wrote.
func (u *unpacker) number() (n uint64) {
	for i := range min(len(u.b), binary.MaxVarintLen64) {
		c := u.b[i]
		n |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 && (i < 9 || c < 2) {
			u.b = u.b[i+1:]
			return n
		}
	}
	u.fail()
	return 0
}

func (u *unpacker) text() string {
	n := u.number()
	if n > uint64(len(u.b)) {
		u.fail()
		return ""
	}
	v := u.b[:n]
	u.b = u.b[n:]
	return v
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

// unpackList reads a list into the memory of one that serves no more, where there is such a one.
func unpackList[T any](u *unpacker, list []T, each func() T) []T {
	n := u.number()
	list = list[:0]
	if n == 0 || n-1 > uint64(len(u.b)) { // each takes a byte at least
		if n != 0 {
			u.fail()
		}
		return list
	}
	if list == nil {
		list = make([]T, 0, n-1)
	}
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
	return Worker{broker.OIN(u.word()), broker.WorkerID(u.text())}
}

// team writes what the state knows of a team.
func (p *packer) team(name Team, t *team) {
	p.word(string(name.Agency))
	p.text(name.Team)
	packList(p, t.workers, func(w broker.WorkerID) { p.text(string(w)) })
}

func (u *unpacker) team() (Team, *team) {
	name := Team{broker.OIN(u.word()), u.text()}
	return name, &team{workers: unpackList(u, nil, func() broker.WorkerID { return broker.WorkerID(u.text()) })}
}

// caseFile writes a case: first what may bind a worker to it, which is read for every request, see unpacker.binding.
func (p *packer) caseFile(f *caseFile) {
	p.text(string(f.id))
	p.word(string(f.kind))
	p.flags(f.closed, f.emergency.declared())
	p.word(string(f.agency))
	p.word(f.municipality)
	p.number(uint64(f.opened))
	packList(p, f.members, func(m member) {
		p.number(uint64(m.bsn))
		p.number(uint64(m.year))
		p.b = append(p.b, m.month, m.day)
		p.flags(m.restricted, m.deceased)
	})
	packList(p, f.workers, p.worker)
	packList(p, f.teams, func(t Team) {
		p.word(string(t.Agency))
		p.text(t.Team)
	})
	p.worker(f.coordinator)
	if f.emergency.declared() {
		packList(p, f.emergency.domains, func(d broker.Domain) { p.word(string(d)) })
		p.number(uint64(f.emergency.until.Unix())) // whole seconds, see DeclareEmergency
	}
	packList(p, f.holders, func(h caseHolder) {
		p.word(string(h.oin))
		packList(p, h.members, func(i int) { p.number(uint64(i)) })
	})
	packList(p, f.consents, p.consent)
}

// caseFile reads a whole case.
func (u *unpacker) caseFile() *caseFile {
	f := &caseFile{}
	u.binding(f)
	f.holders = unpackList(u, nil, func() caseHolder {
		h := caseHolder{oin: broker.OIN(u.word())}
		h.members = unpackList(u, nil, func() int {
			i := u.number()
			if i >= uint64(len(f.members)) {
				u.fail()
				return 0
			}
			return int(i)
		})
		return h
	})
	f.consents = unpackList(u, nil, func() Consent { return u.consent(f) })
	return f
}

// binding reads what may bind a worker to a case into one that serves no more, and takes no memory where that has enough.
func (u *unpacker) binding(f *caseFile) {
	f.id, f.kind = broker.CaseID(u.text()), CaseKind(u.word())
	flags := u.flag(2)
	f.closed = flags&1 != 0
	f.agency, f.municipality, f.opened = broker.OIN(u.word()), u.word(), broker.Position(u.number())
	f.members = unpackList(u, f.members, func() member {
		m := member{bsn: uint32(u.number()), year: uint16(u.number()), month: uint8(u.flag(8)), day: uint8(u.flag(8))}
		bits := u.flag(2)
		m.restricted, m.deceased = bits&1 != 0, bits&2 != 0
		return m
	})
	f.workers = unpackList(u, f.workers, u.worker)
	f.teams = unpackList(u, f.teams, func() Team { return Team{broker.OIN(u.word()), u.text()} })
	f.coordinator = u.worker()
	f.emergency = emergency{domains: f.emergency.domains[:0]}
	if flags&2 != 0 {
		f.emergency.domains = unpackList(u, f.emergency.domains, func() broker.Domain { return broker.Domain(u.word()) })
		f.emergency.until = time.Unix(int64(u.number()), 0).UTC()
	}
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
	c.Purposes = unpackList(u, nil, func() broker.Purpose { return broker.Purpose(u.word()) })
	c.From, c.Until, c.GivenBy = u.date(), u.date(), u.word()
	return c
}
