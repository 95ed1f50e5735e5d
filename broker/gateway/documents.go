package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
)

//go:embed openapi.json
var openapiJSON []byte

// document is a public text that clients may keep for a while.
type document struct {
	contentType string
	body        []byte
	etag        string
}

func newDocument(contentType string, body []byte) document {
	sum := sha256.Sum256(body)
	return document{contentType, body, `"` + hex.EncodeToString(sum[:16]) + `"`}
}

func (g *Gateway) serveDocument(w http.ResponseWriter, r *http.Request, d document, maxAge string) {
	h := w.Header()
	h.Set("Cache-Control", "public, max-age="+maxAge)
	h.Set("ETag", d.etag)
	h.Set("Access-Control-Allow-Origin", "*") // public, and without credentials
	if matches(r.Header.Values("If-None-Match"), d.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	g.write(w, exchangeOf(r), http.StatusOK, d.contentType, d.body)
}

// matches compares weakly, as If-None-Match asks.
func matches(lines []string, etag string) bool {
	for _, t := range strings.Split(strings.Join(lines, ","), ",") {
		t = strings.TrimPrefix(strings.TrimSpace(t), "W/")
		if t == "*" || t == etag {
			return true
		}
	}
	return false
}

func (g *Gateway) serveOpenAPI(w http.ResponseWriter, r *http.Request) {
	g.serveDocument(w, r, g.openapi, "300")
}

func (g *Gateway) serveJWKS(w http.ResponseWriter, r *http.Request) {
	body := g.cfg.JWKS()
	if len(body) == 0 {
		g.problem(w, exchangeOf(r), "keys-unavailable", nil)
		return
	}
	g.serveDocument(w, r, newDocument(typeJWKS, body), "300")
}

// catalogDocument is the catalog of one revision, encoded. A revision is a digest, so its catalog never changes.
type catalogDocument struct {
	revision broker.Revision
	document
}

type catalogAnswer struct {
	Revision   broker.Revision `json:"revision"`
	Disclaimer broker.Text     `json:"disclaimer"`
	broker.Catalog
}

func disclaimer() broker.Text {
	return broker.Text{
		NL: "De rollen, doelen, grondslagen en regels in deze catalogus zijn een voorbeeld en geen juridisch advies. Laat ze door een jurist beoordelen voordat u ze gebruikt.",
		EN: "The roles, purposes, bases and rules in this catalog are an example and no legal advice. Have a lawyer review them before use.",
	}
}

func (g *Gateway) serveCatalog(w http.ResponseWriter, r *http.Request) {
	x := exchangeOf(r)
	c, revision, err := g.cfg.Broker.Catalog()
	if err == nil && c == nil {
		err = errors.New("no catalog")
	}
	if err != nil {
		x.err = err
		g.fail(w, x, err)
		return
	}
	d := g.catalog.Load()
	if d == nil || d.revision != revision {
		doc := newDocument(typeJSON, encode(catalogAnswer{revision, disclaimer(), whole(*c)}))
		doc.etag = `"` + string(revision) + "." + doc.etag[1:9] + `"` // and the texts of this version of the software
		d = &catalogDocument{revision, doc}
		g.catalog.Store(d)
	}
	g.serveDocument(w, r, d.document, "60")
}

// whole has [] for every list without entries.
func whole(c broker.Catalog) broker.Catalog {
	c.Fields = append([]broker.FieldInfo{}, c.Fields...)
	for i := range c.Fields {
		c.Fields[i].Forms = append([]broker.Form{}, c.Fields[i].Forms...)
		c.Fields[i].Holders = append([]broker.AgencyKind{}, c.Fields[i].Holders...)
	}
	c.Companions = append([]broker.Companion{}, c.Companions...)
	c.AgencyKinds = append([]broker.KindInfo{}, c.AgencyKinds...)
	for _, l := range []*[]broker.Term{&c.Mandates, &c.Roles, &c.Purposes, &c.Domains, &c.Forms, &c.Classes, &c.Reasons,
		&c.Bases, &c.Obligations} {
		*l = append([]broker.Term{}, *l...)
	}
	return c
}

// encode gives JSON of our own types, which can't fail.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

type health struct {
	Status string `json:"status"`
}

// serveLive tells that the process runs.
func (g *Gateway) serveLive(w http.ResponseWriter, r *http.Request) {
	g.write(w, exchangeOf(r), http.StatusOK, typeJSON, encode(health{"live"}))
}

// serveReady tells whether requests can be answered now, and names what is not ready.
func (g *Gateway) serveReady(w http.ResponseWriter, r *http.Request) {
	x := exchangeOf(r)
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	err := g.cfg.Ready(ctx)
	if err == nil {
		g.write(w, x, http.StatusOK, typeJSON, encode(health{"ready"}))
		return
	}
	p := g.newProblem(x, "not-ready", nil)
	var names NotReady
	errors.As(err, &names)
	for _, n := range names {
		if isName(n) {
			p.NotReady = append(p.NotReady, n)
		}
	}
	g.writeProblem(w, x, p)
}

func isName(s string) bool {
	return s != "" && len(s) <= 32 && only(s, func(c byte) bool { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' })
}
