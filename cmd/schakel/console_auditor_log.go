package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/audit/archive"
	"github.com/schakel/schakel/broker/audit/search"
	"github.com/schakel/schakel/broker/console"
	"github.com/schakel/schakel/broker/journal"
)

// verifiedFile remembers in the index's folder what the console found when it last verified the log.
const verifiedFile = "verified.json"

// Integrity reads how far the log is sealed from the journal, and verifies the checkpoint that it remembers.
func (d *auditDesk) Integrity(ctx context.Context) (out console.Integrity, err error) {
	remembered, err := readSeal(ctx, d.store)
	if err != nil {
		return out, err
	}
	signed := map[string]bool{}
	if len(remembered.Checkpoint) > 0 {
		k, err := d.merkleKeys()
		if err != nil {
			return out, err
		}
		c, err := k.Open(remembered.Checkpoint)
		if out.Trouble = err; err == nil {
			out.Checkpoint = &console.SealedAt{Origin: c.Origin, Size: c.Size, Root: c.Root}
			for _, name := range c.Witnesses {
				signed[name] = true
			}
		}
	}
	if d.sealing != nil {
		out.Limit = d.sealing.maxUnsealed
		for _, key := range d.sealing.witnessKeys {
			name, _, _ := strings.Cut(key, "+")
			out.Witnesses = append(out.Witnesses, console.WitnessState{Name: name, Signed: signed[name]})
		}
	}
	writers, err := d.store.Writers(ctx)
	if err != nil {
		return out, err
	}
	for _, writer := range writers {
		stream := journal.Audit(writer)
		head, err := d.store.Head(ctx, stream)
		if err != nil {
			return out, err
		}
		s := console.StreamState{Name: writer, Sealed: remembered.Streams[stream]}
		if head != (journal.Head{}) {
			s.Head = head.ID.String()
		}
		out.Streams = append(out.Streams, s)
		since, err := d.unsealedSince(ctx, stream, s.Sealed)
		if err != nil {
			return out, err
		}
		if !since.IsZero() && (out.Unsealed.IsZero() || since.Before(out.Unsealed)) {
			out.Unsealed = since
		}
	}
	if x := d.index.Load(); x == nil {
		out.NoIndex = errors.New("the search index is not open yet")
	} else {
		out.Index, out.NoIndex = x.State(ctx)
	}
	out.Verified, err = d.verified()
	return out, err
}

// unsealedSince gives the time of the first event of a stream after the last one that is sealed; zero where there is none.
func (d *auditDesk) unsealedSince(ctx context.Context, stream journal.Stream, sealed string) (time.Time, error) {
	var last journal.ID
	if sealed != "" {
		var err error
		if last, err = journal.ParseID(sealed); err != nil {
			return time.Time{}, err
		}
	}
	page, err := d.store.Read(ctx, stream, last, 1)
	if err != nil || len(page) == 0 {
		return time.Time{}, err
	}
	e, err := audit.Decode(page[0].Bytes)
	if err != nil { // verification names it
		return time.Time{}, nil
	}
	return e.Time, nil
}

func (d *auditDesk) verified() (*console.Verification, error) {
	data, err := os.ReadFile(filepath.Join(d.config.Dir, verifiedFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var v console.Verification
	if err == nil {
		err = json.Unmarshal(data, &v)
	}
	if err != nil {
		return nil, fmt.Errorf("read the last verification: %w", err)
	}
	return &v, nil
}

// Verify does what `schakel audit verify` does in this data folder.
func (d *auditDesk) Verify(ctx context.Context, read func(int)) (console.Verification, error) {
	v := console.Verification{Time: time.Now().UTC()}
	loose := d.log.Loose()
	cfg := audit.VerifyConfig{Store: counted(loose, read)}
	if err := (&where{data: d.dir}).anchors(&cfg, d.ring, nil); err != nil {
		return v, err
	}
	dropped, err := archive.DroppedFrom(ctx, loose)
	if err != nil {
		return v, err
	}
	var sealed *checkpointJSON
	if log, _, err := d.merkleLog(); err == nil {
		last, err := log.Latest(ctx)
		if err != nil {
			return v, err
		}
		sealed = heldTo(ctx, &cfg, log, last)
		v.Checkpoint = last.Size
	}
	var archived archive.Checked
	cfg.Archive = checkArchive(loose, dropped, sealed, &archived)
	r, err := audit.Verify(ctx, cfg)
	if err != nil {
		return v, err
	}
	v.Took, v.OK, v.Heads, v.Sealed, v.More = time.Since(v.Time), r.OK, r.Heads, r.Sealed, r.More
	for _, s := range append([]audit.StreamReport{r.Register}, r.Writers...) {
		v.Entries += s.Entries
		v.Unanchored += s.Unanchored
	}
	for _, f := range r.Faults {
		v.Faults = append(v.Faults, f.String())
	}
	data, err := json.Marshal(v)
	if err == nil {
		err = os.WriteFile(filepath.Join(d.config.Dir, verifiedFile), data, 0o600)
	}
	if err != nil {
		return v, fmt.Errorf("remember the verification: %w", err)
	}
	return v, nil
}

// timelineOf is how many disclosures a timeline has at most.
const timelineOf = 200

func (d *auditDesk) Case(ctx context.Context, by console.Person, why console.Ground, id broker.CaseID) (console.CaseTimeline, error) {
	out := console.CaseTimeline{Case: id}
	if err := d.look(ctx, by, why, audit.Viewed{How: "console tijdlijn"}, "case:"+string(id)); err != nil {
		return out, err
	}
	x := d.index.Load()
	if x == nil {
		return out, console.ErrNoIndex
	}
	found, err := x.Find(ctx, search.Query{Conditions: []search.Condition{{Kind: search.Case, Value: string(id)}}}, 0, timelineOf)
	if err != nil {
		return out, err
	}
	out.Asked, out.Older = found.Hits, found.Next != 0
	out.Changes, err = d.caseChanges(ctx, id)
	return out, err
}

// caseChanges reads from the register what is about a case, from where it was opened on; of one that was erased, from the start.
// What an entry touches stands in it in clear, as a keyed hash.
func (d *auditDesk) caseChanges(ctx context.Context, id broker.CaseID) (out []console.CaseChange, err error) {
	touch := d.ring.Touch("case", string(id))
	after := journal.ID{}
	if at, known := d.register.CaseOpened(id); known && at > 1 {
		after = journal.ID{Epoch: 1, Seq: uint64(at) - 2} // the entry before the one that opened it
	}
	for {
		page, err := d.store.Read(ctx, journal.Register, after, 1000)
		if err != nil || len(page) == 0 {
			return out, err
		}
		for _, e := range page {
			var head struct {
				Time time.Time `json:"time"`
				Kind string    `json:"kind"`
			}
			if slices.Contains(e.Touches, touch) && json.Unmarshal(e.Bytes, &head) == nil {
				out = append(out, console.CaseChange{Time: head.Time, Kind: head.Kind, Seq: e.ID.Seq})
			}
		}
		after = page[len(page)-1].ID
	}
}

func (d *auditDesk) Looks(ctx context.Context, by console.Person, why console.Ground, since, until time.Time, read func(int)) (console.LookList, error) {
	out := console.LookList{Since: since, Until: until}
	if err := d.look(ctx, by, why, audit.Viewed{How: string(console.QuestionLooks), Since: since.UTC(), Until: until.UTC()}, "looks that nothing explains"); err != nil {
		return out, err
	}
	list := looksList{Since: since, Until: until, read: read}
	if err := d.rankLooks(ctx, &list, ""); err != nil {
		return out, err
	}
	out.Rules, out.Judged, out.Unread = list.Rules, list.Judged, list.Unread
	for _, l := range list.Looks {
		one := console.RankedLook{Writer: l.event.writer, ID: l.event.id, Time: l.Time, Agency: l.Worker.Agency, Worker: l.Worker.ID, Role: l.Role, Purpose: l.Purpose,
			Case: l.Case, Fields: l.Fields, Refused: l.Refused, Score: l.Judgement.Score}
		for _, p := range l.Judgement.Patterns {
			one.Patterns = append(one.Patterns, broker.Text{NL: p.NL, EN: p.EN})
		}
		for _, e := range l.Judgement.Explanations {
			one.Explanations = append(one.Explanations, broker.Text{NL: e.NL, EN: e.EN})
		}
		if r := l.Review; r != nil {
			one.Review = &console.LookReview{Outcome: outcomes()[r.Outcome], Note: notes()[r.Note], Time: r.Time}
			var err error
			if one.Review.By, err = d.reviewer(ctx, r.view); err != nil {
				return out, err
			}
		}
		out.Looks = append(out.Looks, one)
	}
	return out, nil
}

// reviewer tells by whom a review was recorded; "" where that can't be read any more.
func (d *auditDesk) reviewer(ctx context.Context, view eventID) (string, error) {
	e, err := entryAt(ctx, d.store, journal.Audit(view.writer), journal.ID(view.id))
	if err != nil {
		return "", err
	}
	for l, err := range audit.Log(ctx, audit.LogConfig{Store: oneEvent{view.writer, e}, Vault: d.config.Vault}) {
		if err != nil || l.Staff == nil {
			return "", err
		}
		return string(l.Staff.Worker), nil
	}
	return "", nil
}

// oneEvent is one event as a log of its own.
type oneEvent struct {
	writer string
	entry  journal.Entry
}

func (o oneEvent) Writers(context.Context) ([]string, error) { return []string{o.writer}, nil }

func (o oneEvent) Read(_ context.Context, _ journal.Stream, after journal.ID, _ int) ([]journal.Entry, error) {
	if after.Less(o.entry.ID) {
		return []journal.Entry{o.entry}, nil
	}
	return nil, nil
}

func (d *auditDesk) Review(ctx context.Context, by console.Person, why console.Ground, writer string, id audit.ID, outcome, note string) error {
	how, err := howReviewed(outcome, note)
	if err != nil {
		return err
	}
	e, err := entryAt(ctx, d.store, journal.Audit(writer), journal.ID(id))
	if err != nil {
		return err
	}
	return d.look(ctx, by, why, audit.Viewed{Writer: writer, Event: audit.Ref{ID: id, Hash: e.Hash}, How: how}, "")
}

func (d *auditDesk) Reviews() (o, n []broker.Term) {
	list := func(of map[string]broker.Text) (out []broker.Term) {
		for id, text := range of {
			out = append(out, broker.Term{ID: id, Text: text})
		}
		slices.SortFunc(out, func(a, b broker.Term) int { return strings.Compare(a.Text.NL, b.Text.NL) })
		return out
	}
	return list(outcomes()), list(notes())
}
