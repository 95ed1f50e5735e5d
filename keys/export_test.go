package keys

// Cheap makes a ring file take few rounds of PBKDF2, for tests of something else than the passphrase: under the race
// detector the real number takes half a second each time.
func (c Config) Cheap() Config {
	c.rounds = 1000
	return c
}
