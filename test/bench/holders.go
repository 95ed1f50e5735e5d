package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/source"
	"github.com/schakel/schakel/broker/source/haalcentraal"
	"github.com/schakel/schakel/broker/source/rest"
	"github.com/schakel/schakel/test/agencies"
)

// holder answers about anybody, at once: what a field holds follows from its type alone.
type holder struct{ agencies.Agency }

var errNobody = errors.New("asked about nobody")

// civil is what the civil registry knows of everyone, but for the birth date.
func civil() map[string]any {
	return map[string]any{
		"naam.voornamen": "Proef", "naam.geslachtsnaam": "Proefstra", "naam.volledigeNaam": "Proef Proefstra",
		"leeftijd": json.Number("41"), "adressering.adresregel1": "Proefstraat 1", "adressering.adresregel2": "3011 AB  ROTTERDAM",
		"verblijfplaats.verblijfadres.postcode": "3011AB", "verblijfplaats.verblijfadres.huisnummer": json.Number("1"),
		"gemeenteVanInschrijving": map[string]any{"code": municipality, "omschrijving": "Rotterdam"},
	}
}

// about gives the value of a field, nil where there is none.
func (h holder) about(path broker.Field, b broker.BSN) any {
	if h.Protocol == agencies.ProtocolHaalCentraal {
		switch name := strings.TrimPrefix(string(path), "persoon."); name {
		case "burgerservicenummer":
			return b.Reveal()
		case "geboorte.datum":
			d := birth(b)
			day := time.Date(d.Year, time.Month(d.Month), d.Day, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
			return map[string]any{"type": "Datum", "datum": day, "langFormaat": day}
		default:
			return civil()[name]
		}
	}
	switch h.Fields[path].Type {
	case source.TypeNumber:
		return json.Number("1234.56")
	case source.TypeFlag:
		return true
	case source.TypeDate:
		return "2027-01-31"
	case source.TypeText:
		return "Proefteam, telefoon 088 000 00 00"
	}
	return nil
}

// inMemory is the holder as a source without a network.
type inMemory struct{ holder }

func (m inMemory) Key() broker.KeyKind { return m.Agency.Key }

func (m inMemory) Fetch(_ context.Context, a broker.Ask) (broker.Record, error) {
	if a.BSN == "" && a.Identity == nil {
		return broker.Record{}, errNobody
	}
	r := broker.Record{Values: make(map[broker.Field]any, len(a.Fields))}
	for _, f := range a.Fields {
		if v := m.about(f, a.BSN); v != nil {
			r.Values[f] = v
		}
	}
	return r, nil
}

func memorySources(town []agencies.Agency) (broker.Sources, error) {
	var out []source.Holder
	for _, a := range town {
		if a.Protocol != "" {
			out = append(out, source.Holder{OIN: a.OIN, Source: inMemory{holder{a}}})
		}
	}
	return source.New(out...)
}

// everything is the floor's source: the same record for every question, made once.
type everything struct {
	key broker.KeyKind
	all broker.Record
}

func (e everything) Key() broker.KeyKind { return e.key }

func (e everything) Fetch(context.Context, broker.Ask) (broker.Record, error) { return e.all, nil }

func stubSources(town []agencies.Agency, catalog *broker.Catalog) (broker.Sources, error) {
	var out []source.Holder
	for _, a := range town {
		if a.Protocol == "" {
			continue
		}
		r := broker.Record{Values: map[broker.Field]any{}}
		for _, f := range catalog.Fields {
			if v := (holder{a}).about(f.Path, "999990019"); v != nil {
				r.Values[f.Path] = v
			}
		}
		out = append(out, source.Holder{OIN: a.OIN, Source: everything{a.Key, r}})
	}
	return source.New(out...)
}

func httpSources(town []agencies.Agency, base string) (broker.Sources, error) {
	var out []source.Holder
	for _, a := range town {
		endpoint := source.Endpoint{URL: base + "/" + string(a.OIN)}
		var s broker.Source
		var err error
		switch a.Protocol {
		case "":
			continue
		case agencies.ProtocolHaalCentraal:
			s, err = haalcentraal.New(haalcentraal.Config{Endpoint: endpoint})
		default:
			s, err = rest.New(rest.Config{Endpoint: endpoint, Key: a.Key, Fields: a.Fields})
		}
		if err != nil {
			return nil, err
		}
		out = append(out, source.Holder{OIN: a.OIN, Source: s})
	}
	return source.New(out...)
}

// serveHolders answers for all holders over HTTP, each under its OIN, until its input ends.
func serveHolders(town []agencies.Agency) error {
	mux := http.NewServeMux()
	for _, a := range town {
		h := holder{a}
		if a.Protocol == agencies.ProtocolHaalCentraal {
			mux.HandleFunc("POST /"+string(a.OIN)+"/personen", h.personen)
		} else if a.Protocol != "" {
			mux.HandleFunc("POST /"+string(a.OIN), h.rest)
		}
	}
	return serveWhileWanted(mux)
}

// serveWhileWanted says where it answers, and answers until its input ends.
func serveWhileWanted(h http.Handler) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = l.Close()
	}()
	if err := say(started{URL: "http://" + l.Addr().String()}); err != nil {
		return err
	}
	err = (&http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}).Serve(l)
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (h holder) personen(w http.ResponseWriter, r *http.Request) {
	var q struct {
		BSN    []broker.BSN `json:"burgerservicenummer"`
		Fields []string     `json:"fields"`
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil || len(q.BSN) != 1 {
		http.Error(w, "one number", http.StatusBadRequest)
		return
	}
	person := map[string]any{}
	for _, name := range q.Fields {
		plant(person, name, h.about(broker.Field("persoon."+name), q.BSN[0]))
	}
	reply(w, map[string]any{"type": "RaadpleegMetBurgerservicenummer", "personen": []any{person}})
}

func (h holder) rest(w http.ResponseWriter, r *http.Request) {
	var q struct {
		BSN    broker.BSN `json:"bsn"`
		Fields []string   `json:"fields"`
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		http.Error(w, "fields", http.StatusBadRequest)
		return
	}
	out := map[string]any{}
	for path, f := range h.Fields {
		for _, name := range q.Fields {
			if f.Name == name {
				plant(out, name, h.about(path, q.BSN))
			}
		}
	}
	reply(w, out)
}

// plant puts a value at a dotted path.
func plant(into map[string]any, path string, v any) {
	if v == nil {
		return
	}
	for {
		head, rest, deeper := strings.Cut(path, ".")
		if !deeper {
			into[head] = v
			return
		}
		next, ok := into[head].(map[string]any)
		if !ok {
			next = map[string]any{}
			into[head] = next
		}
		into, path = next, rest
	}
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // who went away needs no answer
}

func mapsKeys[V any](m map[string]V) func(func(string) bool) { return maps.Keys(m) }
