package checkpoint

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api/layout"
	"github.com/transparency-dev/tessera/client"
)

// proofHeader is the first line of a C2SP tlog-proof.
const proofHeader = "c2sp.org/tlog-proof@v1"

// maxProof bounds the hashes of an inclusion proof: a tree of 2^63 leaves.
const maxProof = 63

// ErrNotSealed tells that a checkpoint does not cover an entry yet, or never did.
var ErrNotSealed = errors.New("no checkpoint covers it")

// Prove writes one offline file (C2SP tlog-proof) which proves that a leaf is in the log: its index, the hashes up to the
// root, the checkpoint, and data beside them that nobody signed. ErrNotSealed where it is not.
func (l *Log) Prove(ctx context.Context, leaf Leaf, extra []byte) ([]byte, error) {
	fail := func(err error) ([]byte, error) { return nil, fmt.Errorf("prove %s %s: %w", leaf.Stream, leaf.ID, err) }
	c, err := l.Latest(ctx)
	if err != nil {
		return fail(err)
	}
	index, found, err := l.find(ctx, leaf, c.Size)
	if err != nil {
		return fail(err)
	}
	if !found {
		return fail(fmt.Errorf("%w: the checkpoint has %d leaves; wait a second, or see what `schakel audit verify` says", ErrNotSealed, c.Size))
	}
	builder, err := client.NewProofBuilder(ctx, c.Size, l.files().ReadTile)
	if err != nil {
		return fail(err)
	}
	hashes, err := builder.InclusionProof(ctx, index)
	if err != nil {
		return fail(err)
	}
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, index, c.Size, rfc6962.DefaultHasher.HashLeaf(leaf.Text()), hashes, c.Root[:]); err != nil {
		return fail(err)
	}
	var b bytes.Buffer
	fmt.Fprintln(&b, proofHeader)
	if len(extra) > 0 {
		fmt.Fprintf(&b, "extra %s\n", base64.StdEncoding.EncodeToString(extra))
	}
	fmt.Fprintf(&b, "index %d\n", index)
	for _, h := range hashes {
		fmt.Fprintln(&b, base64.StdEncoding.EncodeToString(h))
	}
	b.WriteByte('\n')
	b.Write(c.Signed)
	return b.Bytes(), nil
}

// Covers tells how many entries of one stream, given in their order, a checkpoint of this log vouches for: from the first on, up
// to one that it does not have yet. It proves each to be in the tree. That the tree has another in the place of one is an error.
func (l *Log) Covers(ctx context.Context, c Checkpoint, entries []Leaf) (int, error) {
	if len(entries) == 0 {
		return 0, nil
	}
	fail := func(n int, err error) (int, error) {
		return 0, fmt.Errorf("find %s %s in the Merkle log: %w", entries[n].Stream, entries[n].ID, err)
	}
	at, found, err := l.find(ctx, entries[0], c.Size)
	if err != nil || !found {
		return 0, err
	}
	builder, err := client.NewProofBuilder(ctx, c.Size, l.files().ReadTile)
	if err != nil {
		return fail(0, err)
	}
	n := 0
	for bundle := at / layout.EntryBundleWidth; bundle*layout.EntryBundleWidth < c.Size && n < len(entries); bundle++ {
		texts, err := l.bundle(ctx, bundle, c.Size)
		if err == nil {
			texts, err = proveBundle(ctx, builder, c, bundle, texts)
		}
		if err != nil {
			return fail(n, err)
		}
		for i, text := range texts {
			leaf, err := ParseLeaf(text)
			if err != nil {
				return fail(n, err)
			}
			if n == len(entries) || bundle*layout.EntryBundleWidth+uint64(i) < at || leaf.Stream != entries[n].Stream {
				continue
			}
			if leaf != entries[n] {
				return fail(n, fmt.Errorf("it has another entry in its place, %s; run `schakel audit verify`", leaf.ID))
			}
			n++
		}
	}
	return n, nil
}

// proveBundle makes sure that the leaves of a bundle stand in the checkpointed tree, and gives those that do. Of a full bundle
// one proof is enough: that of its first leaf, of which the lower half must be made by the other leaves.
func proveBundle(ctx context.Context, builder *client.ProofBuilder, c Checkpoint, bundle uint64, texts [][]byte) ([][]byte, error) {
	first := bundle * layout.EntryBundleWidth
	texts = texts[:min(uint64(len(texts)), c.Size-first)]
	level := make([][]byte, len(texts))
	for i, text := range texts {
		level[i] = rfc6962.DefaultHasher.HashLeaf(text)
	}
	prove := func(i int) ([][]byte, error) {
		hashes, err := builder.InclusionProof(ctx, first+uint64(i))
		if err == nil {
			err = proof.VerifyInclusion(rfc6962.DefaultHasher, first+uint64(i), c.Size, level[i], hashes, c.Root[:])
		}
		return hashes, err
	}
	if len(texts) < layout.EntryBundleWidth {
		for i := range texts {
			if _, err := prove(i); err != nil {
				return nil, err
			}
		}
		return texts, nil
	}
	hashes, err := prove(0)
	if err != nil {
		return nil, err
	}
	for _, sibling := range hashes[:layout.TileHeight] {
		if !bytes.Equal(level[1], sibling) {
			return nil, fmt.Errorf("bundle %d is not the one of the tree", bundle)
		}
		for i := range len(level) / 2 {
			level[i] = rfc6962.DefaultHasher.HashChildren(level[2*i], level[2*i+1])
		}
		level = level[:len(level)/2]
	}
	return texts, nil
}

// Proof is a read C2SP tlog-proof: not yet verified.
type Proof struct {
	Extra  []byte // signed by nobody
	Index  uint64
	hashes [][]byte
	signed []byte
}

// ParseProof reads a C2SP tlog-proof.
func ParseProof(file []byte) (Proof, error) {
	bad := func(what string) (Proof, error) { return Proof{}, fmt.Errorf("read proof: %s (C2SP tlog-proof)", what) }
	head, signed, ok := strings.Cut(string(file), "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || len(lines) < 2 || lines[0] != proofHeader {
		return bad("not a " + proofHeader)
	}
	p, lines := Proof{signed: []byte(signed)}, lines[1:]
	var err error
	if extra, ok := strings.CutPrefix(lines[0], "extra "); ok {
		if p.Extra, err = base64.StdEncoding.Strict().DecodeString(extra); err != nil {
			return bad("its extra line")
		}
		lines = lines[1:]
	}
	if len(lines) == 0 {
		return bad("no index")
	}
	number, ok := strings.CutPrefix(lines[0], "index ")
	if p.Index, err = strconv.ParseUint(number, 10, 64); !ok || err != nil || strconv.FormatUint(p.Index, 10) != number {
		return bad("its index line")
	}
	if len(lines)-1 > maxProof {
		return bad("more hashes than a tree has levels")
	}
	for _, line := range lines[1:] {
		h, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(h) != 32 {
			return bad("a hash")
		}
		p.hashes = append(p.hashes, h)
	}
	return p, nil
}

// Verify checks that the proof's checkpoint is signed as the keys demand and that its tree has the leaf. It needs nothing
// else: no log, no network.
func (p Proof) Verify(keys Keys, leaf Leaf) (Checkpoint, error) {
	c, err := keys.Open(p.signed)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("verify proof: %w", err)
	}
	err = proof.VerifyInclusion(rfc6962.DefaultHasher, p.Index, c.Size, rfc6962.DefaultHasher.HashLeaf(leaf.Text()), p.hashes, c.Root[:])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("verify proof: %s %s is not at index %d of the checkpointed tree: %w", leaf.Stream, leaf.ID, p.Index, err)
	}
	return c, nil
}
