package bolt

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/journaltest"
)

func TestCodec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := journaltest.Entry(journal.ID{}, rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
		for _, touch := range rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 300), 0, 5).Draw(t, "touches") {
			e.Touches = append(e.Touches, broker.Touch(touch))
		}
		got, err := decode(encode(e))
		if err != nil || fmt.Sprint(got) != fmt.Sprint(e) {
			t.Fatalf("%v became %v, %v", e, got, err)
		}
		v := encode(e)
		cut := rapid.IntRange(0, len(v)-len(e.Bytes)-1).Draw(t, "cut")
		if _, err := decode(v[:cut]); err == nil {
			t.Fatalf("%d of %d bytes of the head were enough", cut, len(v)-len(e.Bytes))
		}
	})
}

// FuzzDecode reads foreign bytes as an entry: an error, or the one encoding of what came out. It must not take memory
// that the input does not have.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add(encode(journaltest.Entry(journal.ID{Epoch: 1}, []byte("body"), "case:1", "", "*")))
	f.Add(append(append([]byte{version}, make([]byte, 32)...), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01))
	f.Add(append(append([]byte{version}, make([]byte, 32)...), 0x80, 0x00)) // a number in more bytes than it needs
	f.Fuzz(func(t *testing.T, v []byte) {
		e, err := decode(v)
		if err != nil {
			return
		}
		if !bytes.Equal(encode(e), v) {
			t.Fatalf("%x decodes, and encodes as %x", v, encode(e))
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("events=%d", size), func(b *testing.B) {
			s, err := Open(Config{Path: filepath.Join(b.TempDir(), "j")})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			if err := s.Init(b.Context(), journaltest.Entry(journal.ID{Epoch: 1}, []byte("genesis"))); err != nil {
				b.Fatal(err)
			}
			body := []byte(strings.Repeat("x", 1500)) // about what an event takes
			var after journal.Head
			seq := uint64(0)
			for b.Loop() {
				batch := journal.Batch{Writer: "a", After: after, Position: 1}
				for range size {
					batch.Events = append(batch.Events, journaltest.Entry(journal.ID{Epoch: 1, Seq: seq}, body))
					seq++
				}
				if o, err := s.Append(b.Context(), batch); err != nil || o != journal.Appended {
					b.Fatal(o, err)
				}
				after = journal.Head{ID: batch.Events[size-1].ID, Hash: batch.Events[size-1].Hash}
			}
			b.ReportMetric(float64(size*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
