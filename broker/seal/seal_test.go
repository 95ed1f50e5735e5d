package seal_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/keys"
)

func sealer(t testing.TB, r *keys.Ring) *seal.Sealer {
	t.Helper()
	s, err := seal.NewSealer(seal.SealerConfig{Signer: func() (keys.Signer, error) { return r.Signer(keys.Answers) }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ring(t testing.TB, alg keys.Algorithm) *keys.Ring {
	t.Helper()
	r, err := keys.Create(keys.Config{Algorithm: alg, Now: func() time.Time { return start }})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func sealing() broker.Sealing {
	return broker.Sealing{
		Body:     []byte(`{"id":"0193a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b","naam":"José & <Zoë>"}`),
		Receipt:  broker.Receipt{Log: "log-7", Hash: broker.Hash(sum([]byte("event")))},
		Nonce:    broker.Nonce(sum([]byte("nonce"))[:16]),
		IssuedAt: start,
	}
}

func mustSeal(t testing.TB, s *seal.Sealer, in broker.Sealing) broker.Envelope {
	t.Helper()
	out, err := s.Seal(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSealAndVerify(t *testing.T) {
	for _, alg := range []keys.Algorithm{keys.ES256, keys.EdDSA} {
		r := ring(t, alg)
		s := sealer(t, r)
		for _, refusal := range []bool{false, true} {
			for _, compact := range []bool{false, true} {
				in := sealing()
				in.Refusal, in.Compact = refusal, compact
				out := mustSeal(t, s, in)
				e := seal.Evidence{Body: out.Body, Signature: out.Signature}
				if compact {
					if out.Signature != "" || !out.Compact {
						t.Fatal("a compact answer with a detached signature")
					}
					e = seal.Evidence{Compact: string(out.Body)}
				} else if !bytes.Equal(out.Body, in.Body) {
					t.Fatal("the body was changed")
				}
				file, err := e.Encode()
				if err != nil {
					t.Fatal(err)
				}
				if e, err = seal.ReadEvidence(file); err != nil {
					t.Fatal(err)
				}
				got, err := seal.Verify(e, r.JWKS(keys.Answers))
				if err != nil {
					t.Fatal(err)
				}
				kind := seal.Answer
				if refusal {
					kind = seal.Refusal
				}
				k, _ := r.Signer(keys.Answers)
				if got.Kind != kind || out.Refusal != refusal || got.KeyID != k.ID() || !got.IssuedAt.Equal(start) ||
					got.Receipt != in.Receipt || got.Nonce != in.Nonce || !bytes.Equal(got.Body, in.Body) {
					t.Errorf("%s: got %+v", alg, got)
				}
			}
		}
	}
}

// The protected header holds exactly what the design says.
func TestSealHeader(t *testing.T) {
	r := ring(t, keys.ES256)
	out := mustSeal(t, sealer(t, r), sealing())
	head, signature, ok := strings.Cut(out.Signature, "..")
	if !ok || strings.Contains(signature, ".") {
		t.Fatalf("not detached: %s", out.Signature)
	}
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		t.Fatal(err)
	}
	var h map[string]any
	if err := json.Unmarshal(raw, &h); err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(h)); !slices.Equal(got, []string{"alg", "iat", "kid", "nonce", "receipt", "typ"}) {
		t.Errorf("members %v", got)
	}
	if h["typ"] != seal.AnswerType || h["alg"] != "ES256" || h["iat"] != float64(start.Unix()) {
		t.Errorf("header %v", h)
	}
}

func TestSealEncryptsForTheAgency(t *testing.T) {
	public, private, err := keys.NewEncryptionKey()
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := keys.NewEncryptionKey()
	if err != nil {
		t.Fatal(err)
	}
	r := ring(t, keys.ES256)
	in := sealing()
	in.Compact, in.EncryptionKey = true, public
	out := mustSeal(t, sealer(t, r), in)
	jwe := string(out.Body)
	if strings.Count(jwe, ".") != 4 {
		t.Fatalf("not a compact JWE: %s", jwe)
	}
	if _, err := seal.ReadEvidence(out.Body); err == nil || !strings.Contains(err.Error(), "decrypt") {
		t.Errorf("an encrypted answer as evidence: %v", err)
	}
	if _, err := seal.Decrypt(jwe, other); err == nil {
		t.Error("another key opens it")
	}
	if _, err := seal.Decrypt(jwe, public); err == nil {
		t.Error("the public key opens it")
	}
	compact, err := seal.Decrypt(jwe, private)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := seal.Verify(seal.Evidence{Compact: compact}, r.JWKS()); err != nil || !bytes.Equal(got.Body, in.Body) {
		t.Errorf("inside: %v", err)
	}
	in.Compact = false // the key matters for compact answers only
	if out := mustSeal(t, sealer(t, r), in); !bytes.Equal(out.Body, in.Body) || out.Signature == "" {
		t.Error("a detached answer was encrypted")
	}
	in.Compact, in.EncryptionKey = true, json.RawMessage(`{"kty":"EC"}`)
	if _, err := sealer(t, r).Seal(context.Background(), in); err == nil {
		t.Error("an answer left in clear since its encryption key is unusable")
	}
}

// An old answer verifies after its key was rotated away, and a new one is signed with the new key.
func TestRotationKeepsOldAnswers(t *testing.T) {
	r := ring(t, keys.ES256)
	s := sealer(t, r)
	old := mustSeal(t, s, sealing())
	before := r.JWKS(keys.Answers)
	for range 2 {
		if _, err := r.Rotate(keys.Answers); err != nil {
			t.Fatal(err)
		}
	}
	first, err := seal.Verify(seal.Evidence{Body: old.Body, Signature: old.Signature}, r.JWKS(keys.Answers))
	if err != nil {
		t.Fatalf("after rotation: %v", err)
	}
	fresh := mustSeal(t, s, sealing())
	second, err := seal.Verify(seal.Evidence{Body: fresh.Body, Signature: fresh.Signature}, r.JWKS(keys.Answers))
	if err != nil || first.KeyID == second.KeyID {
		t.Errorf("after rotation the same key signs, or: %v", err)
	}
	// The set from before knows the key that was next, but not the one after it.
	if _, err := seal.Verify(seal.Evidence{Body: fresh.Body, Signature: fresh.Signature}, before); err == nil || !strings.Contains(err.Error(), "not in this key set") {
		t.Errorf("with the old set: %v", err)
	}
}

func TestVerifyFindsAnyChange(t *testing.T) {
	r := ring(t, keys.ES256)
	out := mustSeal(t, sealer(t, r), sealing())
	jwks := r.JWKS()
	rapid.Check(t, func(rt *rapid.T) {
		e := seal.Evidence{Body: bytes.Clone(out.Body), Signature: out.Signature}
		if rapid.Bool().Draw(rt, "body") {
			i := rapid.IntRange(0, len(e.Body)-1).Draw(rt, "at")
			e.Body[i] ^= byte(rapid.IntRange(1, 255).Draw(rt, "xor"))
		} else {
			i := rapid.IntRange(0, len(e.Signature)-1).Draw(rt, "at")
			b := []byte(e.Signature)
			b[i] ^= byte(rapid.IntRange(1, 255).Draw(rt, "xor"))
			e.Signature = string(b)
			if strings.TrimSpace(e.Signature) == out.Signature {
				return
			}
		}
		if _, err := seal.Verify(e, jwks); err == nil {
			rt.Fatal("a changed answer verifies")
		}
	})
}

// What another key or another kind of object signed is no answer.
func TestVerifyRefuses(t *testing.T) {
	r, stranger := ring(t, keys.ES256), ring(t, keys.ES256)
	key := func(r *keys.Ring, u keys.Use) keys.Signer {
		k, err := r.Signer(u)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	header := object{"typ": seal.AnswerType, "iat": start.Unix(), "nonce": b64(make([]byte, 16)),
		"receipt": object{"log": "log-7", "hash": strings.Repeat("0", 64)}}
	made := func(k keys.Signer, h object) seal.Evidence {
		s, err := k.Sign(h, []byte(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		return seal.Evidence{Compact: s}
	}
	if _, err := seal.Verify(made(key(r, keys.Answers), header), r.JWKS()); err != nil {
		t.Fatalf("the answer every case starts from: %v", err)
	}
	head, err := seal.SignHead(key(r, keys.Heads), aHead())
	if err != nil {
		t.Fatal(err)
	}
	token, err := seal.SignToken(key(r, keys.Answers), seal.TokenClaims{Agency: gemeente, Worker: "w", Role: "r", Audience: "a", IssuedAt: start})
	if err != nil {
		t.Fatal(err)
	}
	unsigned := enc(t, with(with(header, "alg", "none"), "kid", key(r, keys.Answers).ID())) + ".e30."
	hmaced := enc(t, with(with(header, "alg", "HS256"), "kid", key(r, keys.Answers).ID())) + ".e30"
	hmaced += "." + b64(hs256(key(r, keys.Answers).Public(), hmaced))
	for name, c := range map[string]struct {
		e    seal.Evidence
		says string
	}{
		"a stranger's ring":    {made(key(stranger, keys.Answers), header), "not in this key set"},
		"a key for heads":      {made(key(r, keys.Heads), header), "may not sign"},
		"a head":               {seal.Evidence{Compact: head}, "may not sign"},
		"a token":              {seal.Evidence{Compact: token}, "neither an answer"},
		"no typ":               {made(key(r, keys.Answers), without(header, "typ")), "neither an answer"},
		"no iat":               {made(key(r, keys.Answers), without(header, "iat")), "iat"},
		"no nonce":             {made(key(r, keys.Answers), without(header, "nonce")), "nonce"},
		"short nonce":          {made(key(r, keys.Answers), with(header, "nonce", "AAAA")), "nonce"},
		"no receipt":           {made(key(r, keys.Answers), without(header, "receipt")), "receipt"},
		"receipt without log":  {made(key(r, keys.Answers), with(header, "receipt", object{"hash": strings.Repeat("0", 64)})), "receipt"},
		"receipt with no hash": {made(key(r, keys.Answers), with(header, "receipt", object{"log": "l", "hash": "00"})), "receipt"},
		"crit":                 {made(key(r, keys.Answers), with(header, "crit", []string{"iat"})), "crit"},
		"embedded key":         {made(key(r, keys.Answers), with(header, "jwk", key(stranger, keys.Answers).Public())), "carries a key"},
		"alg none":             {seal.Evidence{Compact: unsigned}, "alg does not fit"},
		"HS256 public key":     {seal.Evidence{Compact: hmaced}, "alg does not fit"},
		"not detached":         {seal.Evidence{Body: []byte("{}"), Signature: token}, "detached"},
		"three dots":           {seal.Evidence{Body: []byte("{}"), Signature: "a..b.c"}, "detached"},
		"nothing":              {seal.Evidence{}, "detached"},
	} {
		if _, err := seal.Verify(c.e, r.JWKS()); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want it to say %q", name, err, c.says)
		}
	}
	for name, jwks := range map[string]string{"none": "", "no object": "[]", "no keys": `{}`, "empty": `{"keys":[]}`,
		"only foreign kinds": `{"keys":[{"kty":"oct","k":"AAAA"},{"kty":"new"}]}`} {
		if _, err := seal.Verify(made(key(r, keys.Answers), header), []byte(jwks)); err == nil {
			t.Errorf("verified with the key set %q (%s)", jwks, name)
		}
	}
}

func TestReadEvidence(t *testing.T) {
	for name, c := range map[string]struct{ file, says string }{
		"empty":             {"", "neither"},
		"no JSON":           {"{", "JSON"},
		"an answer's body":  {`{"id":"x","granted":[]}`, "no evidence without"},
		"body alone":        {`{"body":"{}"}`, "must have body and signature"},
		"signature alone":   {`{"signature":"a..b"}`, "must have body and signature"},
		"both":              {`{"body":"{}","signature":"a..b","compact":"a.b.c"}`, "must have body and signature"},
		"body twice":        {`{"body":"{}","body":"[]","signature":"a..b"}`, "twice"},
		"another spelling":  {`{"body":"{}","Body":"[]","signature":"a..b"}`, "nothing else"},
		"body an object":    {`{"body":{},"signature":"a..b"}`, "all texts"},
		"not UTF-8":         {"{\"body\":\"\xff\",\"signature\":\"a..b\"}", "UTF-8"},
		"detached only":     {"a..b", "without its body"},
		"encrypted":         {"a.b.c.d.e", "decrypt"},
		"something else":    {"hello", "neither"},
		"JSON of the ages":  {`{"payload":"e30","signatures":[]}`, "nothing else"},
		"list":              {`[]`, "neither"},
		"compact an object": {`{"compact":{}}`, "all texts"},
	} {
		if _, err := seal.ReadEvidence([]byte(c.file)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want it to say %q", name, err, c.says)
		}
	}
	if e, err := seal.ReadEvidence([]byte(" a.b.c\n")); err != nil || e.Compact != "a.b.c" {
		t.Errorf("a bare compact JWS: %v", err)
	}
	if _, err := (seal.Evidence{Body: []byte("\xff"), Signature: "a..b"}).Encode(); err == nil {
		t.Error("a body that is not UTF-8 was saved, changed")
	}
}

// Whatever the body, the file gives back its bytes.
func TestEvidenceKeepsBytes(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		e := seal.Evidence{Body: []byte(rapid.StringN(1, 200, -1).Draw(r, "body")), Signature: "a..b"}
		file, err := e.Encode()
		if err != nil {
			return // not UTF-8: refused, never changed
		}
		got, err := seal.ReadEvidence(file)
		if err != nil || !bytes.Equal(got.Body, e.Body) || got.Signature != e.Signature {
			r.Fatalf("%q came back as %q, %v", e.Body, got.Body, err)
		}
	})
}

func TestSealerNeedsAKey(t *testing.T) {
	if _, err := seal.NewSealer(seal.SealerConfig{}); err == nil {
		t.Error("made a sealer without a key")
	}
	lost := errors.New("lost")
	s, err := seal.NewSealer(seal.SealerConfig{Signer: func() (keys.Signer, error) { return keys.Signer{}, lost }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Seal(context.Background(), sealing()); !errors.Is(err, lost) {
		t.Errorf("sealed without a key: %v", err)
	}
	s, _ = seal.NewSealer(seal.SealerConfig{Signer: func() (keys.Signer, error) { return keys.Signer{}, nil }})
	if out, err := s.Seal(context.Background(), sealing()); err == nil || out.Body != nil {
		t.Error("sealed with the zero key")
	}
}

func aHead() seal.Head {
	return seal.Head{Log: "log-7", Writer: "gw-1", Epoch: 3, Seq: 41, Hash: broker.Hash(sum([]byte("head"))),
		Time: start.Add(123456789 * time.Nanosecond)}
}

func TestHeads(t *testing.T) {
	r := ring(t, keys.ES256)
	k, err := r.Signer(keys.Heads)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := seal.SignHead(k, aHead())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := seal.VerifyHead(signed, r.JWKS(keys.Heads)); err != nil || got != aHead() {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := seal.VerifyHead(signed, r.JWKS(keys.Answers)); err == nil {
		t.Error("verified with keys for answers")
	}
	changed := aHead()
	changed.Seq = 40
	payload, _ := json.Marshal(changed)
	parts := segments(signed)
	if _, err := seal.VerifyHead(parts[0]+"."+b64(payload)+"."+parts[2], r.JWKS()); err == nil {
		t.Error("a head of another seq verifies")
	}
	answers, _ := r.Signer(keys.Answers)
	if s, _ := seal.SignHead(answers, aHead()); s == "" {
		t.Fatal("no signature")
	} else if _, err := seal.VerifyHead(s, r.JWKS()); err == nil {
		t.Error("a key for answers signed a head")
	}
	for name, c := range map[string]struct{ typ, payload string }{
		"another typ": {seal.AnswerType, parts[1]}, "no head": {seal.HeadType, b64([]byte(`{"log":"x"}`))},
		"unknown member": {seal.HeadType, b64(append(payload[:len(payload)-1:len(payload)-1], `,"x":1}`...))},
	} {
		body, _ := base64.RawURLEncoding.DecodeString(c.payload)
		s, err := k.Sign(object{"typ": c.typ}, body)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := seal.VerifyHead(s, r.JWKS()); err == nil {
			t.Errorf("%s: verified", name)
		}
	}
}
