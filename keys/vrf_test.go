package keys_test

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"testing"

	vrf "filippo.io/mostly-harmless/vrf-r255"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/keys"
)

// TestPseudonymIsProved: a proof holds for one BSN, one version and one ring, and proves the pseudonym that the log has.
func TestPseudonymIsProved(t *testing.T) {
	r, other := inMemory(t, newClock()), inMemory(t, newClock())
	if _, err := r.RotatePseudonyms(); err != nil {
		t.Fatal(err)
	}
	bsn, neighbour := broker.BSN("999990019"), broker.BSN("999990020")
	proofs, names, public := r.ProvePseudonyms(bsn), r.Pseudonyms(bsn), r.PseudonymKeys()
	if len(proofs) != 2 || len(public) != 2 {
		t.Fatalf("%d proofs, %d keys", len(proofs), len(public))
	}
	for i, k := range public {
		k, err := keys.ParsePseudonymKey(k.String())
		if err != nil {
			t.Fatal(err)
		}
		proof := proofs[k.Version]
		if got, err := k.Verify(bsn, proof); err != nil || got != names[1-i] {
			t.Errorf("proved %q, %v; the log has %q", got, err, names[1-i])
		}
		if _, err := k.Verify(neighbour, proof); err == nil {
			t.Error("the proof serves somebody else")
		}
		if _, err := public[1-i].Verify(bsn, proof); err == nil {
			t.Error("the proof serves another version")
		}
		if _, err := other.PseudonymKeys()[0].Verify(bsn, proof); err == nil {
			t.Error("the proof serves another ring")
		}
		for i := range proof {
			wrong := bytes.Clone(proof)
			wrong[i] ^= 1
			if _, err := k.Verify(bsn, wrong); err == nil {
				t.Errorf("byte %d of the proof does not matter", i)
			}
		}
	}
	identity := "1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for _, text := range []string{"", "1", "1:", ":" + public[0].String()[2:], identity, public[0].String() + "A", "x" + public[0].String()} {
		if _, err := keys.ParsePseudonymKey(text); err == nil {
			t.Errorf("%q is a key", text)
		}
	}
}

// TestVRFVector is the vector of C2SP vrf-r255, the suite of RFC 9381 that pseudonyms rest on.
func TestVRFVector(t *testing.T) {
	of := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	sk, err := vrf.NewPrivateKey(of("3431c2b03533e280b23232e280b34e2c3132c2b03238e280b23131e280b34500"))
	if err != nil {
		t.Fatal(err)
	}
	proof := sk.Prove(of("633273702e6f72672f7672662d72323535"))
	if !bytes.Equal(sk.PublicKey().Bytes(), of("54136cd90d99fbd1d4e855d9556efea87ba0337f2a6ce22028d0f5726fcb854e")) ||
		!bytes.Equal(proof.Bytes(), of("0a97d961262fb549b4175c5117860f42ae44a123f93c476c439eddd1c0cff9265c805525233e2284dbed45e593b8eea31d5ca9734d72bcbba9738d5237f955f3b2422351149d1312503b6441a47c940c")) ||
		!bytes.Equal(proof.Hash(), of("dd653f0879b48c3ef69e13551239bec4cbcc1c18fe8894de2e9e1c790e18273603bf1c6c25d7a797aeff3c43fd32b974d3fcbd4bcce916007097922a3ea3a794")) {
		t.Error("not the vector of C2SP vrf-r255")
	}
}

// TestPseudonymsAreRemembered: what is remembered does not change what is given, and is bounded.
func TestPseudonymsAreRemembered(t *testing.T) {
	r := inMemory(t, newClock())
	first := r.Pseudonym("999990019")
	known := r.Remembered()
	for i := range keys.MaxPseudonyms {
		known[strconv.Itoa(i)] = ""
	}
	r.Pseudonym("999990020")
	if n := len(known); n != 1 {
		t.Errorf("%d remembered", n)
	}
	if r.Pseudonym("999990019") != first {
		t.Error("another pseudonym than before")
	}
}

func BenchmarkPseudonym(b *testing.B) {
	r, err := keys.Create(keys.Config{})
	if err != nil {
		b.Fatal(err)
	}
	bsn := broker.BSN("999990019")
	b.Run("prove", func(b *testing.B) {
		for range b.N {
			r.ProvePseudonyms(bsn)
		}
	})
	b.Run("compute", func(b *testing.B) {
		for range b.N {
			clear(r.Remembered())
			r.Pseudonym(bsn)
		}
	})
	proof, public := r.ProvePseudonyms(bsn)["1"], r.PseudonymKeys()[0]
	b.Run("verify", func(b *testing.B) {
		for range b.N {
			if _, err := public.Verify(bsn, proof); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("remembered", func(b *testing.B) {
		for range b.N {
			r.Pseudonym(bsn)
		}
	})
}
