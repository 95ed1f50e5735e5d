package decide_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/bundle"

	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/keys"
	"github.com/schakel/schakel/policies"
)

func signed(t *testing.T, files map[string][]byte, key keys.Signer) map[string][]byte {
	t.Helper()
	content, err := decide.BundleContent(files)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := key.Sign(map[string]any{"typ": "x"}, content)
	if err != nil {
		t.Fatal(err)
	}
	out, err := decide.WithSignature(files, signature)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := decide.BundleSignature(out); err != nil || again != signature {
		t.Fatalf("read back: %v", err)
	}
	return out
}

// What is signed here, OPA itself verifies: the archive is one of its own signed bundles. And what it refuses, is refused.
func TestBundleIsOPAs(t *testing.T) {
	public, private, err := keys.NewAgencyKey(keys.ES256)
	if err != nil {
		t.Fatal(err)
	}
	key, err := keys.ParseSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	var jwk struct{ X, Y string }
	if err := json.Unmarshal(public, &jwk); err != nil {
		t.Fatal(err)
	}
	point := []byte{4}
	for _, part := range []string{jwk.X, jwk.Y} {
		number, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			t.Fatal(err)
		}
		point = append(point, number...)
	}
	curve, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(curve)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	verify := bundle.NewVerificationConfig(map[string]*bundle.KeyConfig{key.ID(): {Key: string(text), Algorithm: "ES256"}}, key.ID(), "", nil)
	files := signed(t, policies.Files(), key)
	opa := func(files map[string][]byte) error {
		archive, err := policies.Bundle(files)
		if err != nil {
			t.Fatal(err)
		}
		_, err = bundle.NewReader(bytes.NewReader(archive)).WithBundleVerificationConfig(verify).WithSkipBundleVerification(false).Read()
		return err
	}
	if err := opa(files); err != nil {
		t.Fatalf("OPA refuses our bundle: %v", err)
	}
	content, err := decide.BundleContent(files)
	if err != nil {
		t.Fatal(err)
	}
	if err := decide.CheckBundle(files, content); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(map[string][]byte){
		"altered": func(f map[string][]byte) {
			f["schakel/access.rego"] = bytes.Replace(f["schakel/access.rego"], []byte("not found.granted"), []byte("found.granted"), 1)
		},
		"data altered": func(f map[string][]byte) {
			f["schakel/settings/data.json"] = bytes.Replace(f["schakel/settings/data.json"], []byte(`"never": [`), []byte(`"never": ["x",`), 1)
		},
		"added": func(f map[string][]byte) { f["schakel/more.rego"] = []byte("package schakel.more\n") },
		"gone":  func(f map[string][]byte) { delete(f, "schakel/reasons.rego") },
	} {
		t.Run(name, func(t *testing.T) {
			other := maps.Clone(files)
			change(other)
			if policies.Revision(other) == policies.Revision(files) {
				t.Fatal("nothing was changed")
			}
			if opa(other) == nil {
				t.Error("OPA takes it")
			}
			if decide.CheckBundle(other, content) == nil {
				t.Error("it is taken for what was signed")
			}
		})
	}
	delete(files, policies.Signatures)
	if _, err := decide.BundleSignature(files); err == nil || !strings.Contains(err.Error(), "not signed") {
		t.Errorf("unsigned: %v", err)
	}
}
