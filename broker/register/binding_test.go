package register

import (
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
)

// Entries of older versions keep what they meant; a binding that is not known here is refused rather than dropped.
func TestBindingOfStoredAgencies(t *testing.T) {
	const base = `{"oin":"00000001000000000001","name":"Gemeente","kind":"gemeente"`
	for name, c := range map[string]struct {
		stored string
		want   broker.Binding
		bad    bool
	}{
		"before there was a choice":        {base + `}`, broker.BindingNone, false},
		"before, held to its certificate":  {base + `,"certificate":true}`, broker.BindingCertificate, false},
		"before, not held to it":           {base + `,"certificate":false}`, broker.BindingNone, false},
		"mtls":                             {base + `,"binding":"mtls"}`, broker.BindingCertificate, false},
		"dpop":                             {base + `,"binding":"dpop"}`, broker.BindingDPoP, false},
		"of a newer version":               {base + `,"binding":"tpm"}`, "", true},
		"a member nobody knows":            {base + `,"binding":"mtls","secret":1}`, "", true},
		"a member nobody knows, in a list": {base + `,"keys":[{"kid":"k","jwk":{},"x":1}]}`, "", true},
	} {
		f, err := formFor("agency.added")
		if err != nil {
			t.Fatal(err)
		}
		command, err := f.read([]byte(c.stored))
		if (err != nil) != c.bad {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.bad {
			continue
		}
		if got := command.(AddAgency).Binding; got != c.want {
			t.Errorf("%s: binding %q, want %q", name, got, c.want)
		}
		written, err := encode(command)
		if err != nil || strings.Contains(string(written), "certificate") {
			t.Errorf("%s: written again as %s, %v", name, written, err)
		}
	}
	w := newWorld(t, basics()...)
	a := basics()[0].(AddAgency)
	a.Binding = "tpm"
	if err := w.try(a); err == nil || !strings.Contains(err.Error(), "the binding is") {
		t.Errorf("an unknown binding is taken: %v", err)
	}
	a.Binding = broker.BindingDPoP
	w.do(a)
	if got, _ := w.Agency(gemeente); got.Binding != broker.BindingDPoP {
		t.Errorf("binding %q", got.Binding)
	}
}
