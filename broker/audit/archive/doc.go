// Package archive keeps the old part of the log in files, so that Redis holds what is young and the log still is whole.
//
// A segment is a run of events of one stream: one file, in a folder that every gateway and every offline verifier reads. It has
// the manifest in clear (a skippable frame, RFC 8878) and then, compressed with zstd, one line of JSON an event with exactly
// the stored bytes, so that `zstd -dc` gives lines. Digests are over the lines, not over how they are compressed. Manifests are
// numbered and each names the one before; the hash of each is a leaf of the Merkle log (checkpoint.Archive).
//
// Move writes segments and drops their events from the journal, in that order: written and synced, read back, every event and
// the manifest under a checkpoint that the witnesses cosigned, and only then dropped. A process may die between any two of
// these: nothing is lost, and nothing is moved twice. Store reads both parts as one journal, so that nobody else knows where
// an event is. Streams gives a checkpointer the manifests to seal. Check holds the folder against the Merkle log.
//
// A segment is never changed and never removed by this package. Erasure needs neither: it destroys the keys of the encrypted
// parts (design, Events), so that of an archived event too nothing but the common part can be read.
//
// It refuses to move what is not a line of JSON with its own hash, to drop what it did not read back, and to read on over a
// segment that is missing or altered. It does not know what events mean, and never moves the register. It imports broker,
// broker/journal and broker/audit/checkpoint; only cmd may import it.
package archive
