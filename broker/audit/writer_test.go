package audit

import (
	"testing"

	"github.com/schakel/schakel/broker"
)

func TestWriterKeepsOneChainOverEpochs(t *testing.T) {
	s := newStore(t)
	for epoch := 1; epoch <= 2; epoch++ {
		w := open(t, config(s, "gw", &storeView{s: s}))
		for i := range 3 {
			r, err := w.Append(t.Context(), disclosureEvent(i))
			if err != nil {
				t.Fatal(err)
			}
			if r.Log != testLog || r.Hash != w.Head().Hash {
				t.Fatalf("receipt %v, head %v", r, w.Head())
			}
		}
		if err := w.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	events := s.events("gw")
	if len(events) != 10 {
		t.Fatalf("%d events", len(events))
	}
	var receipts []broker.Receipt
	rep, err := Verify(t.Context(), VerifyConfig{Store: s, Receipts: receipts})
	if err != nil || !rep.OK {
		t.Fatalf("%v %v", rep.Faults, err)
	}
}
