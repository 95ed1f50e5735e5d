package e2e

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/test/agencies"
)

// people makes person lists of three families, in which all that can be is a canary.
func (c *canaries) people() []byte {
	columns := []string{"01.01.10", "01.01.20", "01.02.10", "01.02.40", "01.03.10", "01.03.20", "01.03.30", "01.04.10", "02.01.20", "02.02.40", "07.70.10",
		"08.09.10", "08.11.10", "08.11.15", "08.11.20", "08.11.60", "08.11.70"}
	out := "lijst;" + strings.Join(columns, ";") + "\n"
	for family := range 3 {
		street, town, name := c.word("a street"), c.word("a town"), c.word("a family name")
		parent := ""
		for i, birth := range []string{"19740519", "19790102", "20140707"} {
			p := map[string]string{"01.01.10": fmt.Sprint(4_000_000_000 + c.rnd.Int64N(999_999_999)), "01.01.20": c.bsn(), "01.02.10": c.word("a given name"),
				"01.02.40": name, "01.03.10": birth, "01.03.20": c.word("a birth place"), "01.03.30": "5002", "01.04.10": "V", "07.70.10": "0", "08.09.10": "0599",
				"08.11.10": street, "08.11.15": street + " (officieel)", "08.11.20": "7", "08.11.60": fmt.Sprintf("3011A%c", 'A'+family), "08.11.70": town}
			c.add("an A-number", p["01.01.10"])
			if i > 0 {
				p["02.01.20"], p["02.02.40"] = parent, name
			} else {
				parent = p["01.01.20"]
			}
			out += fmt.Sprint(family*10 + i + 1)
			for _, k := range columns {
				out += ";" + p[k]
			}
			out += "\n"
		}
	}
	return []byte(out)
}

// configure puts a canary in every secret: passphrase, password of Redis, keys and certificates, and what is sent to
// holders to be let in.
func (b *birdcage) configure(t *testing.T) {
	dir := t.TempDir()
	b.password = b.word("the password of Redis")
	acl := filepath.Join(dir, "users.acl")
	if err := os.WriteFile(acl, []byte("user default on >"+b.password+" ~* &* +@all\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.w.redis = redistest.Start(t, "--aclfile", acl)
	b.w.passphrase = "een zin met " + b.word("the passphrase of the ring")
	pki := newPKI(t, filepath.Join(dir, "pki"))
	mine, shown := pki.issue(t, "schakel"), pki.issue(t, "bij de bron")
	for what, path := range map[string]string{"the listener's key": mine + ".key", "a client certificate's key": shown + ".key"} {
		block, _ := pem.Decode([]byte(readFile(t, path)))
		b.add(what, string(block.Bytes[36:52])) // inside the private number
		b.add(what+" in its file", strings.Split(readFile(t, path), "\n")[1][:40])
	}
	b.w.client = pki.client(t, "")
	b.w.adjust = func(config map[string]any) {
		config["tls"] = map[string]any{"certificate": mine + ".pem", "key": mine + ".key"}
		b.w.write(t, "redis-password", b.password)
		config["redis"].(map[string]any)["passwordFile"] = "redis-password"
		config["limits"].(map[string]any)["sourceTimeout"] = "500ms"
		for i, s := range config["sources"].([]map[string]any) {
			file := fmt.Sprint("geheim-", i)
			b.w.write(t, file, b.word("a header for a holder"))
			s["headerFiles"].(map[string]any)["X-Geheim"] = file
			s["certificate"], s["certificateKey"] = shown+".pem", shown+".key"
		}
	}
}

// enrol puts a worker on every case whose name is a canary, and gives them tokens with more of them.
func (b *birdcage) enrol(t *testing.T) {
	b.worker, b.tokens, b.status = b.word("a worker"), map[string]string{}, map[int]int{}
	oin := map[string]broker.OIN{}
	for _, a := range b.info.Agencies {
		oin[a.Kind] = broker.OIN(a.OIN)
		var key struct{ D string }
		if err := json.Unmarshal([]byte(readFile(t, filepath.Join(b.w.dir, "agencies", a.OIN+".jwk"))), &key); err != nil || key.D == "" {
			t.Fatal("no private key of an agency")
		}
		d, err := base64.RawURLEncoding.DecodeString(key.D)
		if err != nil {
			t.Fatal(err)
		}
		b.add("an agency's private key", string(d))
	}
	gemeente := oin["gemeente"]
	r := b.w.newRegistrar(t, b.w.openRing(t), shippedCatalog(t), "balie")
	for _, c := range b.info.Cases {
		if !strings.HasPrefix(c.ID, "zaak") {
			continue
		}
		commands := []register.Command{register.Assign{Case: broker.CaseID(c.ID), Agency: gemeente, Worker: broker.WorkerID(b.worker)},
			register.Assign{Case: broker.CaseID(c.ID), Agency: gemeente, Worker: broker.WorkerID(b.worker), Coordinator: true},
			register.DeclareEmergency{Case: broker.CaseID(c.ID), Domains: []broker.Domain{"ggz"}, Until: time.Now().Add(time.Hour), Ground: "de afweging: " + b.word("the ground of an emergency")}}
		for _, d := range []broker.Domain{"ggz", "wmo", "jeugd"} {
			commands = append(commands, register.GiveConsent{Consent: register.Consent{Case: broker.CaseID(c.ID), Person: c.BSNs[0], Kind: register.KindRelease, Domain: d,
				Recipient: gemeente, Purposes: []broker.Purpose{"ontruiming-voorkomen", "wmo-onderzoek", "jeugdhulp-toegang"}, From: broker.Date{Year: 2026, Month: 1, Day: 1}, GivenBy: register.BySelf}})
		}
		if _, err := r.do(t.Context(), commands...); err != nil {
			t.Fatal(err)
		}
	}
	signer := b.w.agencyKey(t, gemeente)
	for _, role := range b.w.town.Agency("gemeente").Roles {
		token, err := signer.Sign(map[string]any{"typ": seal.TokenType}, fmt.Appendf(nil,
			`{"iss":%q,"sub":%q,"role":%q,"aud":%q,"iat":%d,"exp":%d,"jti":%q,"email":%q,"given_name":%q}`, gemeente, b.worker, role, b.info.Server,
			time.Now().Unix(), time.Now().Unix()+290, b.word("a jti")+b.word("a jti"), b.word("a claim")+"@voorbeeld.example", b.word("a claim")))
		if err != nil {
			t.Fatal(err)
		}
		b.tokens[string(role)] = token
		b.add("a token", token[len(token)-40:])
	}
}

// hear keeps an answer: what was granted apart, and every other body, and the headers of all.
func (b *birdcage) hear(t *testing.T, resp *http.Response) {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	b.status[resp.StatusCode]++
	place := "problems"
	if resp.StatusCode == http.StatusOK {
		b.given = append(b.given, body...)
	} else {
		b.places[place] = append(b.places[place], body...)
	}
	var header bytes.Buffer
	_ = resp.Header.Write(&header)
	b.places["headers of answers"] = append(b.places["headers of answers"], header.Bytes()...)
}

// questions asks for everything the catalog has, in every role that the municipality has.
func (b *birdcage) questions(t *testing.T, n int) {
	catalog, purposes := shippedCatalog(t), purposesOfRoles(t)
	var roles []string
	for _, role := range b.w.town.Agency("gemeente").Roles {
		roles = append(roles, string(role))
	}
	b.rnd.Shuffle(len(roles), func(i, j int) { roles[i], roles[j] = roles[j], roles[i] })
	var cases []int
	for i, c := range b.info.Cases {
		if strings.HasPrefix(c.ID, "zaak") {
			cases = append(cases, i)
		}
	}
	for i := range n {
		c := b.info.Cases[cases[i%len(cases)]]
		role := roles[i/len(cases)%len(roles)]
		household := map[string]string{"case": c.ID}
		if i%2 == 1 {
			household = map[string]string{"bsn": c.BSNs[b.rnd.IntN(len(c.BSNs))].Reveal()}
		}
		purpose := "handhaving" // which no role gets anything for
		if own := purposes[role]; len(own) > 0 {
			purpose = own[b.rnd.IntN(len(own))]
		}
		var fields []broker.Field
		for _, f := range catalog.Fields {
			if f.Path != "persoon.burgerservicenummer" {
				fields = append(fields, f.Path)
			}
		}
		body, err := json.Marshal(map[string]any{"household": household, "purpose": purpose, "fields": fields})
		if err != nil {
			t.Fatal(err)
		}
		b.hear(t, b.w.post(t, b.info.Server, b.tokens[role], body, map[string]string{"Idempotency-Key": b.word("an Idempotency-Key"),
			"X-Request-Id": b.word("a request id"), "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}))
	}
}

// rubbish sends what is wrong, with a canary where it is wrong.
func (b *birdcage) rubbish(t *testing.T) {
	token := b.tokens["wijkteammedewerker"]
	c := b.info.Cases[0]
	bsn := c.BSNs[0].Reveal()
	x := func() string { return b.word("a word in a wrong request") }
	for _, body := range []string{
		x(), `{"household":{"bsn":"` + bsn, `{"household":{"bsn":"` + bsn + `"},"household":{}}`, `{"` + x() + `":1,"purpose":"` + x() + `"}`,
		`{"household":{"bsn":"` + bsn[:8] + `x"},"purpose":"ontruiming-voorkomen","fields":["huur"]}`, `{"household":{"case":"` + x() + ` "},"purpose":"ontruiming-voorkomen","fields":["huur"]}`,
		`{"household":{"bsn":"` + bsn + `","case":"` + c.ID + `"},"purpose":"` + x() + `","fields":["` + x() + `","huur.` + x() + `"]}`,
		`{"household":{"case":"` + c.ID + `"},"purpose":"ontruiming-voorkomen","fields":["huur"],"onRefusal":"` + x() + `","case":"` + x() + ` "}`,
		`{"household":{"case":"` + x() + `"},"purpose":"ontruiming-voorkomen","fields":["huur"]}`, strings.Repeat(`["`+x()+`",`, 3000),
		`{"fields":"` + strings.Repeat(x(), 5000) + `"}`, `{"household":[["` + x() + `"]],"purpose":{"a":"` + x() + `"},"fields":[{"` + x() + `":"` + bsn + `"}]}`,
	} {
		b.hear(t, b.w.post(t, b.info.Server, token, []byte(body), map[string]string{"Accept-Language": x()}))
	}
	good := []byte(`{"household":{"case":"` + c.ID + `"},"purpose":"ontruiming-voorkomen","fields":["huur"]}`)
	for _, bad := range []string{x(), "a." + x() + ".b", token[:len(token)-30] + x(), token + x()} {
		b.hear(t, b.w.post(t, b.info.Server, bad, good, nil))
	}
	signer := b.w.agencyKey(t, broker.OIN(b.info.Agencies[slices.IndexFunc(b.info.Agencies, func(a struct{ OIN, Kind string }) bool { return a.Kind == "gemeente" })].OIN))
	for _, claims := range []string{`{"iss":"` + x() + `"}`, `{"iss":"00000099000000011000","sub":"` + x() + `","role":"` + x() + `","aud":"` + x() + `"}`,
		fmt.Sprintf(`{"iss":"00000099000000011000","sub":%q,"role":%q,"aud":%q,"iat":%d,"exp":%d,"jti":"%s"}`, x(), x(), b.info.Server, time.Now().Unix(), time.Now().Unix()+60, x()+x())} {
		if bad, err := signer.Sign(map[string]any{"typ": seal.TokenType, "x": x()}, []byte(claims)); err == nil {
			b.hear(t, b.w.post(t, b.info.Server, bad, good, nil))
		}
	}
	for _, header := range []map[string]string{{"Content-Type": x()}, {"Accept": x() + "/" + x()}, {"Idempotency-Key": x() + " é"}, {"Traceparent": x(), "Tracestate": "a=" + x()},
		{"Content-Encoding": x()}, {"Cookie": x()}, {"X-" + x(): x()}, {"User-Agent": x()}, {"Forwarded": "for=" + x()}} {
		b.hear(t, b.w.post(t, b.info.Server, token, good, header))
	}
	for _, path := range []string{"/v1/disclosures/" + x(), "/v1/disclosures?bsn=" + bsn, "/" + x() + "/" + bsn, "/v1/catalog?" + x() + "=" + x(), "/.well-known/" + x()} {
		for _, method := range []string{http.MethodGet, http.MethodPost, "X" + strings.ToUpper(x()[:5])} {
			req, err := http.NewRequest(method, b.info.Server+path, bytes.NewReader(good))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+token)
			resp, err := b.w.http().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			b.hear(t, resp)
		}
	}
	// What is no HTTP at all, with and without TLS around it.
	address := strings.TrimPrefix(b.info.Server, "https://")
	for _, raw := range []string{x() + " " + bsn + "\r\n\r\n", "GET /" + x() + " HTTP/9.9\r\n\r\n", "POST /v1/disclosures HTTP/1.1\r\nHost: " + x() + "\r\nContent-Length: x" + x() + "\r\n\r\n"} {
		for _, encrypted := range []bool{true, false} {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			if encrypted {
				conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
			}
			_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
			_, _ = io.WriteString(conn, raw)
			said, _ := io.ReadAll(conn)
			b.places["problems"] = append(b.places["problems"], said...)
			_ = conn.Close()
		}
	}
	// Commands that can't be done.
	for _, command := range []struct{ stdin, args string }{
		{`{"id":"zaak-x","persons":[{"bsn":"` + bsn + `","birth":"` + x() + `"}]}`, "register case add --file -"}, {`{"` + x() + `":"` + bsn + `"`, "register case add --file -"},
		{bsn, "register consent give --case zaak-999 --person bsn:- --kind release --domain ggz --recipient 00000099000000011000 --purposes wmo-onderzoek"},
		{bsn[:8] + "x", "register consent withdraw --case zaak-001 --person bsn:- --kind release --domain ggz"},
		{bsn, "register consent withdraw --case zaak-001 --person bsn:- --kind consent --domain schulden"},
	} {
		do := exec.Command(binary, strings.Fields(command.args)...)
		do.Env = append(do.Environ(), "SCHAKEL_DATA="+b.w.dir)
		do.Stdin = strings.NewReader(command.stdin)
		out, err := do.CombinedOutput()
		if err == nil {
			t.Errorf("%s: done", command.args)
		}
		b.places["what commands say"] = append(b.places["what commands say"], out...)
	}
}

// faults asks while holders lie, while Redis does not answer, and around crashes of the gateway.
func (b *birdcage) faults(t *testing.T) {
	for _, how := range []agencies.Behaviour{agencies.OtherPerson, agencies.OtherHousehold, agencies.Garbage, agencies.Extra, agencies.WrongType, agencies.Reset, agencies.Failing, agencies.Slow} {
		for _, a := range b.w.town.Agencies() {
			b.w.town.Set(a.OIN, how)
		}
		b.questions(t, 2)
	}
	for _, a := range b.w.town.Agencies() {
		b.w.town.Set(a.OIN, agencies.Honest)
	}
	b.process(t)
	b.w.redis.Pause(t)
	b.questions(t, 3)
	b.w.redis.Resume(t)
	for _, sig := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGKILL} { // the first writes down what every goroutine was doing
		asked := make(chan struct{})
		go func() {
			defer close(asked)
			c := &http.Client{Transport: b.w.http().Transport, Timeout: 5 * time.Second}
			req, err := http.NewRequest(http.MethodPost, b.info.Server+"/v1/disclosures", strings.NewReader(`{"household":{"bsn":"`+b.info.Cases[0].BSNs[0].Reveal()+
				`"},"purpose":"ontruiming-voorkomen","fields":["huur","persoon.naam.voornamen"]}`))
			if err != nil {
				return
			}
			req.Header.Set("Authorization", "Bearer "+b.tokens["wijkteammedewerker"])
			req.Header.Set("Content-Type", "application/json")
			if resp, err := c.Do(req); err == nil {
				_ = resp.Body.Close()
			}
		}()
		time.Sleep(5 * time.Millisecond)
		_ = b.w.process.Process.Signal(sig)
		_ = b.w.process.Wait()
		<-asked
		b.w.run(t, "serve", "--config", filepath.Join(b.w.dir, "schakel.yaml"))
	}
	b.questions(t, 6)
	b.process(t)
}
