package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"

	"go.etcd.io/bbolt"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// Buckets of the file: register (entries), audit (a bucket of entries for each writer), blobs, keys and snapshots.
var (
	bucketRegister = []byte("register")
	bucketAudit    = []byte("audit")
	bucketBlobs    = []byte("blobs")
	bucketKeys     = []byte("keys")

	bucketSnapshots = []byte("snapshots")
	bucketNotes     = []byte("notes")
	bucketLeases    = []byte("leases")
	bucketTrimmed   = []byte("trimmed")
)

// key orders entries as their ids: epoch and seq, big-endian.
func key(id journal.ID) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, id.Epoch), id.Seq)
}

func parseKey(k []byte) (journal.ID, error) {
	if len(k) != 16 {
		return journal.ID{}, errors.New("decode entry: its key is not an id")
	}
	return journal.ID{Epoch: binary.BigEndian.Uint64(k), Seq: binary.BigEndian.Uint64(k[8:])}, nil
}

// version starts every stored entry. Then come the hash, the number of touches, each touch after its length (as
// uvarints), and the bytes to the end.
const version = 1

func encode(e journal.Entry) []byte {
	size := 1 + len(e.Hash) + binary.MaxVarintLen64 + len(e.Bytes)
	for _, t := range e.Touches {
		size += binary.MaxVarintLen64 + len(t)
	}
	v := append(make([]byte, 0, size), version)
	v = append(v, e.Hash[:]...)
	v = binary.AppendUvarint(v, uint64(len(e.Touches)))
	for _, t := range e.Touches {
		v = binary.AppendUvarint(v, uint64(len(t)))
		v = append(v, t...)
	}
	return append(v, e.Bytes...)
}

// decode reads a stored entry; its Bytes are a copy, for bbolt's are good within the transaction only.
func decode(v []byte) (journal.Entry, error) {
	var e journal.Entry
	if len(v) < 1+len(e.Hash) || v[0] != version {
		return e, errors.New("decode entry: not an entry of this version; use the Schakel that wrote it")
	}
	v = v[1:]
	v = v[copy(e.Hash[:], v):]
	count, v, ok := uvarint(v)
	if !ok || count > uint64(len(v)) { // each touch takes a byte at least
		return e, errors.New("decode entry: number of touches")
	}
	for range count {
		var n uint64
		if n, v, ok = uvarint(v); !ok || n > uint64(len(v)) {
			return e, errors.New("decode entry: length of a touch")
		}
		e.Touches = append(e.Touches, broker.Touch(v[:n]))
		v = v[n:]
	}
	e.Bytes = bytes.Clone(v)
	return e, nil
}

// uvarint reads a number and gives the rest. Only the shortest form is taken, so that an entry has one encoding.
func uvarint(v []byte) (uint64, []byte, bool) {
	n, size := binary.Uvarint(v)
	if size <= 0 || size != len(binary.AppendUvarint(nil, n)) {
		return 0, v, false
	}
	return n, v[size:], true
}

// head gives the last entry of a stream's bucket; the zero Head where there is none.
func head(b *bbolt.Bucket) (journal.Head, error) {
	if b == nil {
		return journal.Head{}, nil
	}
	k, v := b.Cursor().Last()
	if k == nil {
		return journal.Head{}, nil
	}
	id, err := parseKey(k)
	if err != nil {
		return journal.Head{}, err
	}
	e, err := decode(v)
	return journal.Head{ID: id, Hash: e.Hash}, err
}
