// Package keys is the key ring of a deployment, and the handling of JSON Web Keys.
//
// The ring holds the signing keys (answers, approvals, heads), the key-encryption keys by generation, and the secrets
// behind pseudonyms, references and touches. It lives in one file, outside the journal and its backups: a PBES2 JWE,
// opened with a passphrase. A pseudonym is a verifiable function of the BSN, which the ring proves and anybody checks with
// its public key (RFC 9381). A running server takes up a changed file by itself (Watch).
//
// The package refuses to hand a private key out: a Signer signs, the Ring wraps, seals and computes. It refuses any
// algorithm but ES256, EdDSA and PS256, a file that others may read, and a ring older than the one in use. It does
// not know what is signed: that is broker/seal. It imports broker for its identifiers, and broker/journal for what a key
// store answers; seal and cmd may import it, and everything else reaches a ring through an interface of its own.
package keys
