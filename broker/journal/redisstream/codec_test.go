package redisstream

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/journaltest"
	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
)

func TestTouches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var touches []broker.Touch
		for _, b := range rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 20), 0, 5).Draw(t, "touches") {
			touches = append(touches, broker.Touch(b))
		}
		got, err := split[broker.Touch](joinTouches(touches))
		if err != nil || !slices.Equal(got, touches) {
			t.Fatalf("%q became %q, %v", touches, got, err)
		}
	})
}

// FuzzDecode reads foreign fields as an entry: an error, or exactly what they say.
func FuzzDecode(f *testing.F) {
	hash := strings.Repeat("h", 32)
	f.Add("1-0", "h", hash, "b", "body", "t", "6:case:11:*0:")
	f.Add("18446744073709551615-1", "h", hash, "b", "", "", "")
	f.Add("1-0", "h", "short", "b", "body", "t", "")
	f.Add("01-0", "h", hash, "b", "body", "t", "-1:x")
	f.Add("1-0", "h", hash, "b", "body", "t", "99999999999999999999:x")
	f.Add("1-0", "h", hash, "b", "body", "t", "+1:x")
	f.Add("1-0", "h", hash, "c", "body", "t", "1:x")
	f.Fuzz(func(t *testing.T, id, k1, v1, k2, v2, k3, v3 string) {
		values := map[string]any{}
		for k, v := range map[string]string{k1: v1, k2: v2, k3: v3} {
			if k != "" {
				values[k] = v
			}
		}
		e, err := decode(redis.XMessage{ID: id, Values: values})
		if err != nil {
			return
		}
		touches, touched := values["t"]
		if e.ID.String() != id || string(e.Hash[:]) != values["h"] || string(e.Bytes) != values["b"] ||
			(touched && joinTouches(e.Touches) != touches) || (!touched && len(e.Touches) > 0) {
			t.Fatalf("%s %q became %v", id, values, e)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("events=%d", size), func(b *testing.B) {
			server := redistest.Start(b)
			s := ready(b, Config{Addrs: []string{server.Addr}, Timeout: 5 * time.Second})
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
				after = tip(batch)
			}
			b.ReportMetric(float64(size*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
