package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/audit/archive"
	"github.com/schakel/schakel/broker/audit/checkpoint"
	"github.com/schakel/schakel/broker/audit/search"
	"github.com/schakel/schakel/broker/console"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
	"github.com/schakel/schakel/policies"
)

// searchFolder is where the index for searching the log is, in the data folder.
const searchFolder = "search"

// searchOf says where the index is and what it is made of.
func (d *desk) searchOf(dir string) search.Config {
	log, _ := d.register.Log()
	return search.Config{Dir: filepath.Join(dir, searchFolder), Log: log, Store: d.store, Vault: keys.NewVault(d.store, d.ring), Ring: d.ring}
}

// auditDesk is what the console's pages about the log work at.
type auditDesk struct {
	*consoleDesk
	config    search.Config
	log       *archive.Store
	index     atomic.Pointer[search.Index] // nil until it is open
	sealing   *sealing                     // nil: nothing is sealed here
	replaying *replayer
}

// keepSearch opens the index and keeps it up with the log, until ctx ends. While it can't be opened the rest goes on.
func (d *auditDesk) keepSearch(ctx context.Context, failed func(error)) {
	told := ""
	for {
		x, err := search.Open(ctx, d.config)
		if err == nil {
			d.index.Store(x)
			x.Follow(ctx, failed)
			d.index.Store(nil)
			if err := x.Close(); err != nil {
				failed(err)
			}
			return
		}
		if ctx.Err() == nil && err.Error() != told {
			told = err.Error()
			failed(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(5 * time.Second):
		}
	}
}

// look makes sure that who is signed in may look over the log, and records that they do, in the gateway's own stream.
func (d *auditDesk) look(ctx context.Context, by console.Person, why console.Ground, v audit.Viewed, sought string) error {
	if err := d.officer(by); err != nil {
		return fmt.Errorf("%w: %w", console.ErrMayNotLook, err)
	}
	if err := d.permits(ctx, v, by.ID, broker.Purpose(why.Purpose)); err != nil {
		return fmt.Errorf("%w: %w", console.ErrMayNotLook, err)
	}
	soon, cancel := context.WithTimeout(ctx, viewWithin)
	defer cancel()
	err := d.writer.View(soon, v, broker.Staff{Worker: broker.WorkerID(by.ID), Purpose: broker.Purpose(why.Purpose), Ground: why.Ground, Sought: sought})
	if err != nil {
		return fmt.Errorf("%w: %w", console.ErrNotRecorded, err)
	}
	return nil
}

// Purposes reads from the policy in force, or the one before an emergency stop, for what a role may ask a question of the log.
func (d *auditDesk) Purposes(ctx context.Context, by console.Person, of console.Question) (out []broker.Term, err error) {
	live := d.register.Policy().Against()
	if live == "" {
		return nil, nil
	}
	files, err := d.Files(ctx, live)
	if err != nil {
		return nil, err
	}
	var permits []struct{ Queries, Roles, Purposes []string }
	var words map[string]broker.Text
	if json.Unmarshal(files[policies.LogFolder+"permits/data.json"], &permits) != nil || json.Unmarshal(files[policies.LogFolder+"purposes/data.json"], &words) != nil {
		return nil, nil // nobody may: what permits them says what to do
	}
	for _, p := range permits {
		if !slices.Contains(p.Roles, string(by.Role)) || !slices.Contains(p.Queries, string(of)) {
			continue
		}
		for _, word := range p.Purposes {
			if !broker.HasTerm(out, word) {
				out = append(out, broker.Term{ID: word, Text: words[word]})
			}
		}
	}
	slices.SortFunc(out, func(a, b broker.Term) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

// pageOf is how many disclosures a page of what is found has.
const pageOf = 50

// maxSought bounds what is recorded of a question.
const maxSought = 2000

func (d *auditDesk) Search(ctx context.Context, by console.Person, why console.Ground, q search.Query, begin uint64) (search.Found, error) {
	text := cmp.Or(q.String(), "everything")
	v := audit.Viewed{How: string(console.QuestionSearch), Since: q.After.UTC(), Until: q.Before.UTC()}
	if err := d.look(ctx, by, why, v, text[:min(len(text), maxSought)]); err != nil {
		return search.Found{}, err
	}
	x := d.index.Load()
	if x == nil {
		return search.Found{}, console.ErrNoIndex
	}
	return x.Find(ctx, q, begin, pageOf)
}

func (d *auditDesk) Event(ctx context.Context, by console.Person, why console.Ground, writer string, id audit.ID) (search.Hit, error) {
	hit, err := search.Read(ctx, d.config, writer, journal.ID(id))
	if err != nil {
		return search.Hit{}, err
	}
	if hit == nil || hit.Damaged {
		return search.Hit{}, console.ErrNoDecision
	}
	v := audit.Viewed{Writer: writer, Event: audit.Ref{ID: id, Hash: hit.Hash}, How: "console gebeurtenis"}
	if err := d.look(ctx, by, why, v, ""); err != nil {
		return search.Hit{}, err
	}
	return *hit, nil
}

// merkleKeys are what a checkpoint of this log is held against. Witnesses are told of, and not demanded.
func (d *auditDesk) merkleKeys() (checkpoint.Keys, error) {
	origin, witnesses := "", []string(nil)
	if d.sealing != nil {
		origin, witnesses = d.sealing.origin, d.sealing.witnessKeys
	}
	return checkpoint.NewKeys(d.originOf(origin), d.ring.CheckpointKeys(), witnesses, 0)
}

func (d *auditDesk) merkleLog() (*checkpoint.Log, checkpoint.Keys, error) {
	k, err := d.merkleKeys()
	if err != nil {
		return nil, k, err
	}
	if d.sealing == nil || d.sealing.dir == "" {
		return nil, k, errors.New("this gateway has no folder of the Merkle log (checkpoints.folder); prove it where one is, with `schakel audit prove`")
	}
	return checkpoint.OpenLog(d.sealing.dir, k), k, nil
}

func (d *auditDesk) Prove(ctx context.Context, writer string, id audit.ID) (console.Proof, error) {
	log, k, err := d.merkleLog()
	if err != nil {
		return console.Proof{}, err
	}
	e, err := entryAt(ctx, d.store, journal.Audit(writer), journal.ID(id))
	if err != nil {
		return console.Proof{}, err
	}
	leaf := checkpoint.Leaf{Stream: journal.Audit(writer), ID: e.ID, Hash: e.Hash}
	p := console.Proof{Leaf: leaf.Text()}
	if p.File, err = log.Prove(ctx, leaf, leaf.Text()); err != nil {
		if errors.Is(err, checkpoint.ErrNotSealed) || errors.Is(err, checkpoint.ErrNoCheckpoint) {
			err = fmt.Errorf("%w: %w", console.ErrNotSealed, err)
		}
		return console.Proof{}, err
	}
	read, err := checkpoint.ParseProof(p.File)
	if err != nil {
		return console.Proof{}, err
	}
	c, err := read.Verify(k, leaf)
	if err != nil {
		return console.Proof{}, err
	}
	p.Index, p.Size, p.Root, p.Origin, p.Witnesses = read.Index, c.Size, c.Root, c.Origin, c.Witnesses
	if p.Hashes, err = proofHashes(p.File); err != nil {
		return console.Proof{}, err
	}
	for _, public := range d.ring.CheckpointKeys() {
		text, err := checkpoint.VerifierKey(k.Origin(), public)
		if err != nil {
			return console.Proof{}, err
		}
		p.Keys = append(p.Keys, text)
	}
	return p, nil
}

// proofHashes reads the hashes of a proof (C2SP tlog-proof): the lines after its index.
func proofHashes(file []byte) (out []broker.Hash, err error) {
	head, _, _ := strings.Cut(string(file), "\n\n")
	_, lines, _ := strings.Cut(head, "\nindex ")
	for _, line := range strings.Split(lines, "\n")[1:] {
		var h broker.Hash
		data, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(data) != len(h) {
			return nil, errors.New("read proof: a hash in it is no hash")
		}
		copy(h[:], data)
		out = append(out, h)
	}
	return out, nil
}

func (d *auditDesk) Replay(ctx context.Context, writer string, id audit.ID) (audit.ReplayReport, error) {
	hit, err := search.Read(ctx, search.Config{Store: d.store}, writer, journal.ID(id)) // who asked is not read
	if err != nil {
		return audit.ReplayReport{}, err
	}
	if hit == nil {
		return audit.ReplayReport{}, console.ErrNoDecision
	}
	return audit.Replay(ctx, audit.ReplayConfig{Engine: d.replaying.decider.Engine(), Decide: d.replaying.decide,
		Requests: func(yield func(audit.Request, error) bool) { yield(hit.Request, nil) }})
}
