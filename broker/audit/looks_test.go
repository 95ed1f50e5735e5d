package audit

import (
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
)

func TestViews(t *testing.T) {
	s := newStore(t)
	now := testTime
	var refs []Ref
	for _, writer := range []string{"gw1", "gw2"} {
		c := config(s, writer, freshView{})
		c.Now = func() time.Time { return now }
		w := open(t, c)
		for i := range 3 {
			now = now.Add(48 * time.Hour)
			r, err := w.Append(t.Context(), benchEvent(i))
			if err != nil {
				t.Fatal(err)
			}
			refs = append(refs, Ref{Hash: r.Hash, ID: ID{Epoch: 1, Seq: 1}})
			if err := w.View(t.Context(), Viewed{Writer: writer, Event: refs[len(refs)-1], How: "test"}, broker.Staff{Worker: "officer"}); err != nil {
				t.Fatal(err)
			}
		}
		mustClose(t, w)
	}
	for since, want := range map[time.Duration][]int{0: {0, 1, 2, 3, 4, 5}, 96 * time.Hour: {1, 2, 3, 4, 5}, 97*time.Hour - time.Minute: {2, 3, 4, 5},
		216 * time.Hour: {4, 5}, 480 * time.Hour: nil} {
		got, err := Views(t.Context(), s, testTime.Add(since))
		if err != nil || len(got) != len(want) {
			t.Fatalf("since %s: %d views, %v", since, len(got), err)
		}
		for i, v := range got {
			if v.Viewed.Event != refs[want[i]] || v.Viewed.Writer != v.Writer || v.Viewed.How != "test" {
				t.Errorf("since %s: %+v", since, v)
			}
		}
	}
}
