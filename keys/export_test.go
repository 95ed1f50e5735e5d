package keys

import "slices"

// Cheap makes a ring file take few rounds of PBKDF2, for tests of something else than the passphrase: under the race
// detector the real number takes half a second each time.
func (c Config) Cheap() Config {
	c.rounds = 1000
	return c
}

// Forget takes the keys of a use out of a ring, as if it was made before there was such a use.
func (r *Ring) Forget(use Use) error {
	return r.edit(func(c *content) error {
		c.Signing = slices.DeleteFunc(c.Signing, func(k signingKey) bool { return k.Use == use })
		return nil
	})
}

// MaxPseudonyms is how many a ring remembers.
const MaxPseudonyms = maxPseudonyms

// Remembered gives the pseudonyms that a ring remembers.
func (r *Ring) Remembered() map[string]string { return r.now.Load().remembered.known }
