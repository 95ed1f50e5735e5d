package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	endian "encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/source"
)

// canaries are values that stand nowhere but where they were put, and what each of them is.
type canaries struct {
	mu     sync.Mutex
	rnd    *rand.Rand
	what   map[string]string // by what is looked for
	values map[string]any    // of holders, by holder, field and person
	days   int
}

func newCanaries(seed uint64) *canaries {
	return &canaries{rnd: rand.New(rand.NewPCG(seed, 0xca)), what: map[string]string{}, values: map[string]any{}}
}

// add takes up a value that was made elsewhere.
func (c *canaries) add(what, value string) string {
	c.what[value] = what
	return value
}

// word makes one of twelve lower case letters and digits.
func (c *canaries) word(what string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := []byte("kn")
	for len(b) < 14 {
		b = append(b, "abcdefghjkmnpqrstvwxyz0123456789"[c.rnd.IntN(32)])
	}
	return c.add(what, string(b))
}

// bsn makes a number that passes the 11-test.
func (c *canaries) bsn() string {
	for {
		n := fmt.Sprint(100_000_000 + c.rnd.IntN(899_999_999))
		if _, err := broker.ParseBSN(n); err == nil {
			return c.add("a BSN", n)
		}
	}
}

// mark gives a holder's value of a field: of its type, and found nowhere else. A flag has two values, and tells nothing.
func (c *canaries) mark(holder broker.AgencyKind, field broker.Field, kind source.Type, person broker.BSN) any {
	key := fmt.Sprint(holder, field, person.Reveal())
	c.mu.Lock()
	v, there := c.values[key]
	c.mu.Unlock()
	if there {
		return v
	}
	what := fmt.Sprintf("%s of %s", field, holder)
	switch kind {
	case source.TypeText:
		v = "Knarïe & " + c.word(what)
	case source.TypeNumber:
		c.mu.Lock()
		v = json.Number(c.add(what, fmt.Sprintf("%d.%02d", 10_000_000+c.rnd.IntN(89_999_999), 1+c.rnd.IntN(99))))
		c.mu.Unlock()
	case source.TypeDate:
		c.mu.Lock()
		c.days++
		v = c.add(what, fmt.Sprintf("21%02d-%02d-%02d", 10+c.days/300, 1+c.days/28%12, 1+c.days%28))
		c.mu.Unlock()
	default:
		v = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.values[key] = v
	return v
}

// needle is one spelling of one canary.
type needle struct {
	bytes []byte
	what  string
}

// finder looks for every canary in every spelling at once: by its first eight bytes.
type finder map[uint64][]needle

// finder gives one for all canaries so far: as they are, in hex, in base64 at each place it can have in a longer text, and
// by their bare digest, which for a BSN is as good as the number.
func (c *canaries) finder() finder {
	f := finder{}
	for value, what := range c.what {
		v := []byte(value)
		sum := sha256.Sum256(v)
		for how, spelling := range map[string]string{"as it is": value, "in capitals": strings.ToUpper(value), "in hex": hex.EncodeToString(v), "in HEX": strings.ToUpper(hex.EncodeToString(v)),
			"its digest": string(sum[:]), "its digest in hex": hex.EncodeToString(sum[:]), "its digest in base64": base64.RawStdEncoding.EncodeToString(sum[:])} {
			f.add(needle{[]byte(spelling), what + ", " + how})
		}
		for shift := range 3 {
			text := append(bytes.Repeat([]byte("x"), shift), v...)
			for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
				s := e.EncodeToString(text)
				s = s[(shift*8+5)/6 : len(text)*8/6] // without the letters that others share
				f.add(needle{[]byte(s), what + ", in base64"})
			}
		}
	}
	return f
}

func (f finder) add(n needle) {
	k := endian.LittleEndian.Uint64(n.bytes)
	f[k] = append(f[k], n)
}

// find gives what is found in a text, and where.
func (f finder) find(text []byte) map[string]int {
	out := map[string]int{}
	for i := 0; i+8 <= len(text); i++ {
		for _, n := range f[endian.LittleEndian.Uint64(text[i:])] {
			if bytes.HasPrefix(text[i:], n.bytes) {
				out[n.what] = i
			}
		}
	}
	return out
}

// TestCanaryFinder: what is there is found, in each spelling, wherever it stands.
func TestCanaryFinder(t *testing.T) {
	c := newCanaries(1)
	word, bsn := c.word("a word"), c.bsn()
	f := c.finder()
	for _, canary := range []string{word, bsn} {
		sum := sha256.Sum256([]byte(canary))
		for _, text := range []string{canary, hex.EncodeToString([]byte(canary)), fmt.Sprintf("%X", canary), string(sum[:]), hex.EncodeToString(sum[:])} {
			for pad := range 5 {
				if got := f.find([]byte(strings.Repeat("?", pad) + text + "?")); len(got) == 0 {
					t.Errorf("%q is not found", text)
				}
			}
		}
		for pad := range 7 {
			for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
				if text := e.EncodeToString([]byte(strings.Repeat("ÿ", pad) + "!"[:pad%2] + canary + "~")); len(f.find([]byte(text))) == 0 {
					t.Errorf("%s is not found in %s", canary, text)
				}
			}
		}
	}
	if got := f.find([]byte("nothing is here, " + word[:10] + ", " + bsn[:8])); len(got) > 0 {
		t.Errorf("found %v", got)
	}
}
