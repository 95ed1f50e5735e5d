package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/keys"
	"github.com/schakel/schakel/policies"
)

// draftPrefix begins the name of the bundle of a draft in the journal. It is not signed, and no gateway loads it: what was
// approved stands, signed, under its revision alone.
const draftPrefix = "draft-"

// loadPolicy compiles the revision in force from its bundle in the journal, if it is not compiled yet.
func (d *desk) loadPolicy(ctx context.Context) error {
	r, ok := d.register.Revision()
	if !ok {
		files := policies.Files()
		r = policies.Revision(files)
		if err := d.decider.Load(ctx, r, files); err != nil {
			return err
		}
	}
	catalog, err := d.decider.Catalog(r)
	if err != nil {
		if err = d.compile(ctx, r); err == nil {
			catalog, err = d.decider.Catalog(r)
		}
		if err != nil {
			return fmt.Errorf("load policy revision %.12s: %w", r, err)
		}
	}
	d.catalog.Store(catalog)
	return nil
}

// compile loads a revision from its signed bundle. The revision of an emergency stop must be that of what it stopped.
func (d *desk) compile(ctx context.Context, r broker.Revision) error {
	files, err := d.signedFiles(ctx, r)
	if err != nil {
		return err
	}
	if p := d.register.Policy(); p.Stop != nil && p.Live == r {
		base, err := d.signedFiles(ctx, p.Stop.Base)
		if err != nil {
			return err
		}
		denied, err := policies.DenyAll(base)
		if err != nil {
			return err
		}
		if policies.Revision(denied) != r {
			return errors.New("it came by an emergency stop, and does not refuse everything; prepare another with `schakel policy rollback`")
		}
	}
	return d.decider.Load(ctx, r, files)
}

// signedFiles gives the files of a revision that was approved, after it was made sure that they are what was signed.
func (d *desk) signedFiles(ctx context.Context, r broker.Revision) (map[string][]byte, error) {
	files, err := readBundle(ctx, d.store, string(r))
	if errors.Is(err, journal.ErrAbsent) {
		return nil, fmt.Errorf("its bundle is not in the journal: %w", err)
	}
	if err == nil {
		err = d.verifyFiles(files)
	}
	if err == nil && policies.Revision(files) != r {
		err = errors.New("its bundle is of another revision; put back the journal's backup")
	}
	delete(files, policies.Signatures)
	return files, err
}

func (d *desk) verifyFiles(files map[string][]byte) error {
	signature, err := decide.BundleSignature(files)
	if err != nil {
		return err
	}
	content, err := seal.VerifyBundle(signature, d.ring.JWKS(keys.Approvals))
	if err != nil {
		return err
	}
	return decide.CheckBundle(files, content)
}

func readBundle(ctx context.Context, store journal.Store, name string) (map[string][]byte, error) {
	bundle, err := store.Blob(ctx, name)
	if err != nil {
		return nil, err
	}
	return policies.Unbundle(bundle)
}

// revisionFiles gives the files of any revision that is kept: signed, or of a draft.
func (d *desk) revisionFiles(ctx context.Context, r broker.Revision) (map[string][]byte, error) {
	files, err := d.signedFiles(ctx, r)
	if !errors.Is(err, journal.ErrAbsent) {
		return files, err
	}
	files, err = readBundle(ctx, d.store, draftPrefix+string(r))
	switch {
	case errors.Is(err, journal.ErrAbsent):
		return nil, fmt.Errorf("read policy revision %.12s: none is kept by this name; `schakel policy status` lists those there are: %w", r, err)
	case err != nil:
		return nil, fmt.Errorf("read policy revision %.12s: %w", r, err)
	}
	if policies.Revision(files) != r {
		return nil, fmt.Errorf("read policy revision %.12s: the draft was altered; submit it again", r)
	}
	return files, nil
}

// keepDraft stores the bundle of a draft.
func (d *desk) keepDraft(ctx context.Context, files map[string][]byte) (broker.Revision, error) {
	r := policies.Revision(files)
	bundle, err := policies.Bundle(files)
	if err != nil {
		return "", err
	}
	return r, d.store.PutBlob(ctx, draftPrefix+string(r), bundle)
}

// keepPolicy signs the bundle of a policy and stores it, so that every gateway can compile it before it is activated. One
// that is there and good stays: signatures of the same files differ.
func (d *desk) keepPolicy(ctx context.Context, files map[string][]byte) (broker.Revision, error) {
	r := policies.Revision(files)
	if _, err := d.signedFiles(ctx, r); !errors.Is(err, journal.ErrAbsent) {
		return r, err
	}
	content, err := decide.BundleContent(files)
	if err != nil {
		return "", err
	}
	signer, err := d.ring.Signer(keys.Approvals)
	if err != nil {
		return "", err
	}
	signature, err := seal.SignBundle(signer, content)
	if err != nil {
		return "", err
	}
	signed, err := decide.WithSignature(files, signature)
	if err != nil {
		return "", err
	}
	if err := d.decider.Load(ctx, r, signed); err != nil {
		return "", err
	}
	bundle, err := policies.Bundle(signed)
	if err != nil {
		return "", err
	}
	return r, d.store.PutBlob(ctx, string(r), bundle)
}
