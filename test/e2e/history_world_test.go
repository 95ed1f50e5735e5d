package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/policies"
)

func newHistories(t *testing.T, w *world) *histories {
	info, err := w.info()
	if err != nil {
		t.Fatal(err)
	}
	h := &histories{w: w, count: map[string]int{}, oin: map[string]broker.OIN{}}
	for _, a := range info.Agencies {
		h.oin[a.Kind] = broker.OIN(a.OIN)
	}
	h.bank = w.agencyKey(t, h.oin["kredietbank"])
	for i, c := range info.Cases {
		p, _ := w.people.Person(c.BSNs[0])
		if strings.HasPrefix(c.ID, "zaak-") && p.Birth.AgeBand(time.Now()) == broker.Age18Plus && !p.Restricted && !p.Deceased && len(h.cases) < households &&
			i > 0 && !slices.ContainsFunc(h.cases, func(o house) bool { return o.head == c.BSNs[0] }) {
			h.cases = append(h.cases, house{broker.CaseID(c.ID), c.BSNs[0], broker.WorkerID("geschiedenis")})
		}
	}
	if len(h.cases) < households {
		t.Fatal("too few households with an adult")
	}
	catalog := shippedCatalog(t)
	ring := w.openRing(t)
	for _, name := range []string{"balie-1", "balie-2", "balie-3"} {
		h.admins = append(h.admins, w.newRegistrar(t, ring, catalog, name))
	}
	h.policies(t)
	h.gateways = []string{info.Server, w.another(t, "gw2", far(t, w.redis.Addr, 8*time.Millisecond)), w.another(t, "gw3", far(t, w.redis.Addr, 4*time.Millisecond))}
	h.token = w.token(t, info.Server, string(h.oin["gemeente"]), "geschiedenis", "wijkteammedewerker")

	// A worker of their own is on these cases and nothing was released, whatever the example says.
	h.start = truth{agreed: true, clinic: true, asker: true}
	for i, c := range h.cases {
		h.start.house[i].assigned = true
		h.do(t, register.Assign{Case: c.id, Agency: h.oin["gemeente"], Worker: c.worker})
		err := h.w.try(h.admins[0], h.release(i, false))
		if err != nil && !strings.Contains(err.Error(), "nothing like it was given") {
			t.Fatal(err)
		}
	}
	// The agreement of the example is replaced by one of our own, and both policies are known to all gateways.
	h.do(t, register.WithdrawAgreement{ID: "kredietbank-gemeente"})
	h.do(t, h.agreement(t, true))
	h.officers = newOfficers(t, h.admins[0])
	h.do(t, h.officers.activate(t, h.policy[1])...)
	h.settle(t)
	h.do(t, h.officers.activate(t, h.policy[0])...)
	h.settle(t)
	return h
}

// policies keeps a second one in the journal: the shipped one, but what the clinic holds is never shared.
func (h *histories) policies(t *testing.T) {
	t.Helper()
	files := policies.Files()
	h.policy[0] = policies.Revision(files)
	const path = "schakel/settings/data.json"
	files = maps.Clone(files)
	files[path] = []byte(strings.Replace(string(files[path]), `"never": [`, `"never": ["ggz.behandelaar.contact",`, 1))
	h.policy[1] = policies.Revision(files)
	if h.policy[0] == h.policy[1] {
		t.Fatal("the second policy is the first")
	}
	h.admins[0].keepBundle(t, h.w.openRing(t), files)
}

func (h *histories) do(t *testing.T, c ...register.Command) {
	t.Helper()
	if err := h.w.try(h.admins[0], c...); err != nil {
		t.Fatal(err)
	}
}

func (w *world) try(r *registrar, c ...register.Command) error {
	_, err := r.do(context.Background(), c...)
	return err
}

// settle waits until every gateway has the policy in force.
func (h *histories) settle(t *testing.T) {
	t.Helper()
	time.Sleep(50 * time.Millisecond) // the views follow
	for _, g := range h.gateways {
		waitReady(t, g)
	}
}

func (h *histories) release(house int, give bool) register.Command {
	c := register.Consent{Case: h.cases[house].id, Person: h.cases[house].head, Kind: register.KindRelease, Domain: "ggz"}
	if !give {
		return register.WithdrawConsent{Case: c.Case, Person: c.Person, Kind: c.Kind, Domain: c.Domain}
	}
	c.Recipient, c.Purposes = h.oin["gemeente"], []broker.Purpose{"ontruiming-voorkomen"}
	c.From, c.GivenBy = broker.Date{Year: 2026, Month: 1, Day: 1}, register.BySelf
	return register.GiveConsent{Consent: c}
}

// agreement makes the next one, or ends the one in force. Only one administrator at a time changes it.
func (h *histories) agreement(t testing.TB, begin bool) register.Command {
	if !begin {
		return register.WithdrawAgreement{ID: fmt.Sprint("proef-", h.deal)}
	}
	h.deal++
	a := register.Agreement{ID: fmt.Sprint("proef-", h.deal), Holder: h.oin["kredietbank"], Recipient: h.oin["gemeente"],
		Purposes: []broker.Purpose{"ontruiming-voorkomen"}, Domains: []broker.Domain{"schulden"}, From: broker.Date{Year: 2026, Month: 1, Day: 1}}
	var err error
	if a.Signature, err = seal.SignAgreement(h.bank, a.Payload()); err != nil {
		t.Error(err)
	}
	return register.AddAgreement{Agreement: a}
}

// commands make the register commands of a change, in one append.
func (h *histories) commands(t testing.TB, c set) []register.Command {
	if c.fact == stricter {
		p := 0
		if c.to {
			p = 1
		}
		return h.officers.activate(t, h.policy[p])
	}
	return []register.Command{h.command(t, c)}
}

func (h *histories) command(t testing.TB, c set) register.Command {
	switch c.fact {
	case released:
		return h.release(c.house, c.to)
	case assigned:
		to := register.Assign{Case: h.cases[c.house].id, Agency: h.oin["gemeente"], Worker: h.cases[c.house].worker}
		if !c.to {
			return register.Unassign{Case: to.Case, Agency: to.Agency, Worker: to.Worker}
		}
		return to
	case agreed:
		return h.agreement(t, c.to)
	case clinic, asker:
		oin := h.oin["ggz-aanbieder"]
		if c.fact == asker {
			oin = h.oin["gemeente"]
		}
		if c.to {
			return register.ResumeAgency{OIN: oin}
		}
		return register.SuspendAgency{OIN: oin}
	}
	panic("no such fact")
}
