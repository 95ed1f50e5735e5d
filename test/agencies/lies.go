package agencies

import (
	"bytes"
	"compress/gzip"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/schakel/schakel/broker"
)

// endless is what a holder sends that does not know when to stop.
const endless = 100 << 20

// lie answers in the ways that take more than another body. What can't be written has nobody to read it any more.
func (t *Town) lie(how Behaviour, w http.ResponseWriter, r *http.Request, out reply) {
	good := out.bytes()
	w.Header().Set("Content-Type", "application/json")
	switch how {
	case Endless:
		_, _ = w.Write(append(bytes.TrimSuffix(bytes.TrimSpace(good), []byte("}")), `,"vulling":"`...))
		for chunk, n := bytes.Repeat([]byte("x"), 64<<10), 0; n < endless; n += len(chunk) {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
		_, _ = w.Write([]byte(`"}`))
	case Bomb:
		w.Header().Set("Content-Encoding", "gzip")
		// The members of a zip stand one after another. The large one is zipped once, and sent many times.
		_, _ = w.Write(zip(append(bytes.TrimSuffix(bytes.TrimSpace(good), []byte("}")), `,"vulling":"`...)))
		for large, n := zip(bytes.Repeat([]byte(" "), 1<<20)), 0; n < endless; n += 1 << 20 {
			_, _ = w.Write(large)
		}
		_, _ = w.Write(zip([]byte(`"}`)))
	case Drip:
		for i := 0; ; i++ { // spaces after the first, so that it might still become JSON
			piece := []byte("   ")
			if i == 0 {
				piece = good[:1]
			}
			if _, err := w.Write(piece); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
			select {
			case <-time.After(20 * time.Millisecond):
			case <-r.Context().Done():
				return
			case <-t.closing.Done():
				return
			}
		}
	case RedirectLoop:
		w.Header().Del("Content-Type")
		http.Redirect(w, r, r.URL.RequestURI(), http.StatusPermanentRedirect)
	case WrongContent:
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write(good)
	case Reset:
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = buffered.WriteString("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n")
		_, _ = buffered.Write(good[:len(good)/2])
		_ = buffered.Flush()
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // closing sends a reset
		}
		_ = conn.Close()
	}
}

func zip(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(data) // a buffer does not fail
	_ = w.Close()
	return b.Bytes()
}

// aboutAnother answers a question as if it were about the head of another household, and says whom it is about: by the
// number in the registry, by whatever it is asked by elsewhere.
func (t *Town) aboutAnother(a Agency, question []byte, asked Entry) reply {
	var other Person
	for _, h := range t.people.Households() {
		theirs := slices.ContainsFunc(h.Persons, func(p Person) bool { return p.BSN == asked.Subject })
		if !theirs && h.Persons[0].Identity().AddressLine != "" {
			other = h.Persons[0]
			break
		}
	}
	obj, err := broker.ParseObject(question)
	if err != nil {
		return problem(http.StatusBadRequest, "paramsValidation", "Geen geldige JSON.")
	}
	switch {
	case a.Protocol == ProtocolHaalCentraal:
		obj["burgerservicenummer"] = []any{string(other.BSN)}
	case a.Key == broker.KeyBSN:
		obj["bsn"] = string(other.BSN)
	default:
		id := other.Identity()
		for k, v := range map[string]string{"voornamen": id.GivenNames, "voorvoegsel": id.Prefix, "geslachtsnaam": id.FamilyName,
			"adresregel1": id.AddressLine, "adresregel2": id.PlaceLine} {
			if obj[k] = v; v == "" {
				delete(obj, k)
			}
		}
		obj["geboortedatum"] = other.Birth
	}
	body := reply{body: obj}.bytes()
	var e Entry
	if a.Protocol != ProtocolHaalCentraal {
		return t.holder(a, body, &e)
	}
	out := t.registry(body, &e)
	persons, _ := out.body["personen"].([]any)
	for _, p := range persons {
		p.(map[string]any)["burgerservicenummer"] = string(other.BSN)
	}
	return out
}
