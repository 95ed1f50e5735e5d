package index

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/audit/checkpoint"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// File is a resident's proof: what each index has of them, and that these are the indexes of the log. It needs no secret and
// no network to be checked, and belongs in the resident's own hands: with it and the public key of pseudonyms, BSNs can be
// tried out.
type File struct {
	V          int               `json:"v"`
	Pseudonyms map[string][]byte `json:"pseudonyms"` // by version, the proof of it (RFC 9381)
	Indexes    []Indexed         `json:"indexes"`    // all, from the first
	Seal       string            `json:"seal"`       // C2SP tlog-proof of the last manifest; each names the one before
}

// Indexed is what one index has of a data subject.
type Indexed struct {
	Manifest string           `json:"manifest"`
	Shown    map[string]Shown `json:"shown"` // by version of the pseudonym key
}

const fileVersion = 1

// Prover is what makes a resident's file.
type Prover struct {
	Dir    string
	Merkle *checkpoint.Log
	Ring   interface {
		ProvePseudonyms(bsn broker.BSN) map[string][]byte
		PseudonymKeys() []keys.PseudonymKey
	}
}

// Prove makes the file of a data subject. Mentions are all that the log has of them and may be named (Mentions, of all time). It
// fails with ErrDiffers where an index lacks one of those, or has more.
func (p Prover) Prove(ctx context.Context, bsn broker.BSN, mentions []audit.Mention) ([]byte, error) {
	fail := func(err error) ([]byte, error) { return nil, fmt.Errorf("prove completeness: %w", err) }
	out := File{V: fileVersion, Pseudonyms: p.Ring.ProvePseudonyms(bsn)}
	pseudonyms := map[string]string{}
	for _, k := range p.Ring.PseudonymKeys() {
		var err error
		if pseudonyms[k.Version], err = k.Verify(bsn, out.Pseudonyms[k.Version]); err != nil {
			return fail(err)
		}
	}
	last, seal, err := sealed(ctx, p.Dir, p.Merkle)
	if err != nil {
		return fail(err)
	}
	var before *Manifest
	for seq := range last + 1 {
		m, shown, err := p.day(seq, before, pseudonyms, mentions)
		if err != nil {
			return fail(err)
		}
		out.Indexes = append(out.Indexes, Indexed{Manifest: string(m.Text()), Shown: shown})
		before = &m
	}
	out.Seal = string(seal)
	return json.Marshal(out)
}

// ErrDiffers tells that an index and the log do not have the same events of a data subject: nothing is proved to them.
var ErrDiffers = errors.New("the index and the log differ; run `schakel audit index verify` and find out why")

// day proves what one index has of a data subject, under each version of their pseudonym.
func (p Prover) day(seq uint64, before *Manifest, pseudonyms map[string]string, mentions []audit.Mention) (m Manifest, out map[string]Shown, err error) {
	d, err := openDay(p.Dir, seq)
	if err != nil {
		return m, nil, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if m = d.manifest; m.follows(before, seq) != nil {
		return m, nil, m.follows(before, seq)
	}
	out = map[string]Shown{}
	for _, k := range m.Keys {
		pseudonym, known := pseudonyms[k.Version]
		if !known {
			return m, nil, fmt.Errorf("version %s of the pseudonym key, which index %d has, was forgotten: what stands under it can't be found any more", k.Version, seq)
		}
		if out[k.Version], err = p.shown(m, d.leaves, before, pseudonym, mentions); err != nil {
			return m, nil, err
		}
	}
	return m, out, nil
}

// shown proves what an index has of a pseudonym, and makes sure that it is what the log has.
func (p Prover) shown(m Manifest, l leaves, before *Manifest, pseudonym string, mentions []audit.Mention) (Shown, error) {
	s, err := show(l, keyOf(m.Log, m.Seq, pseudonym))
	if err != nil {
		return s, err
	}
	for _, e := range mentions {
		if slices.Contains(e.Pseudonyms, pseudonym) && m.covers(before, e.Writer, journal.ID(e.ID)) {
			s.Events = append(s.Events, e.Hash)
		}
	}
	s.Events = sorted(s.Events)
	if err := s.verify(m, pseudonym); err != nil {
		return s, fmt.Errorf("index %d: %w: %w", m.Seq, ErrDiffers, err)
	}
	return s, nil
}

// ErrNotSealed tells that no index is in the Merkle log yet.
var ErrNotSealed = errors.New("no index is sealed in the Merkle log yet; one is made each day, and by `schakel audit index build`")

// sealed finds the last index that the Merkle log has, with the proof of it.
func sealed(ctx context.Context, dir string, merkle *checkpoint.Log) (seq uint64, seal []byte, err error) {
	list, err := numbers(dir)
	if err != nil {
		return 0, nil, err
	}
	err = ErrNotSealed
	for _, seq := range slices.Backward(list[max(0, len(list)-3):]) { // the newest may wait for a checkpoint
		m, failed := readManifest(dir, seq)
		if failed != nil {
			return 0, nil, failed
		}
		if seal, failed = merkle.Prove(ctx, m.leaf(), nil); failed == nil {
			return seq, seal, nil
		}
		err = fmt.Errorf("%w: %w", ErrNotSealed, failed)
	}
	return 0, nil, err
}

// Verified is what a resident's file proves: that these are all events about them in the log up to Until.
type Verified struct {
	Until      time.Time             `json:"until"`
	Indexes    int                   `json:"indexes"`
	Events     []broker.Hash         `json:"events"`
	Unreadable uint64                `json:"unreadable"` // events of the log that can't be read: whom they are about isn't known
	Log        string                `json:"log"`
	Checkpoint checkpoint.Checkpoint `json:"checkpoint"`
}

// Verify checks a resident's file with nothing but the public keys of the log and of pseudonyms, and their BSN. Every key that
// a manifest names must be among those given.
func Verify(file []byte, log checkpoint.Keys, pseudonymKeys []keys.PseudonymKey, bsn broker.BSN) (Verified, error) {
	fail := func(err error) (Verified, error) { return Verified{}, fmt.Errorf("verify file: %w", err) }
	var f File
	d := json.NewDecoder(bytes.NewReader(file))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil || f.V != fileVersion || len(f.Indexes) == 0 {
		return fail(errors.New("this is not a resident's file, or it has no index; a newer schakel may have written it"))
	}
	pseudonyms := map[string]string{} // by public key
	for _, k := range pseudonymKeys {
		proof, has := f.Pseudonyms[k.Version]
		if !has {
			continue
		}
		pseudonym, err := k.Verify(bsn, proof)
		if err != nil {
			return fail(err)
		}
		pseudonyms[k.String()] = pseudonym
	}
	out := Verified{Indexes: len(f.Indexes), Events: []broker.Hash{}}
	var before *Manifest
	for seq, day := range f.Indexes {
		m, err := parseManifest([]byte(day.Manifest))
		if err == nil {
			err = m.follows(before, uint64(seq))
		}
		if err == nil && (len(m.Keys) == 0 || len(day.Shown) != len(m.Keys)) {
			err = errors.New("not every version of the pseudonym key is shown")
		}
		for _, k := range m.Keys {
			pseudonym, known := pseudonyms[k.String()]
			shown, has := day.Shown[k.Version]
			switch {
			case err != nil:
			case !known:
				err = fmt.Errorf("it has the pseudonym key %s, which was not given, or of which the file has no proof", k)
			case !has:
				err = fmt.Errorf("nothing is shown under version %s of the pseudonym key", k.Version)
			default:
				err = shown.verify(m, pseudonym)
				out.Events = append(out.Events, shown.Events...)
			}
		}
		if err != nil {
			return fail(fmt.Errorf("index %d: %w", seq, err))
		}
		out.Unreadable += m.Unreadable
		before = &m
	}
	proof, err := checkpoint.ParseProof([]byte(f.Seal))
	if err != nil {
		return fail(err)
	}
	if out.Checkpoint, err = proof.Verify(log, before.leaf()); err != nil {
		return fail(err)
	}
	out.Until, out.Log = before.Made, before.Log
	out.Events = sorted(out.Events)
	return out, nil
}
