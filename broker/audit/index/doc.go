// Package index lets a resident prove to themselves that nothing about them was left out of what they were told, but for what
// the law permits not to name (AVG 23, UAVG 41).
//
// Each day the events since the day before are indexed by data subject: a sorted list of keys, one for each pseudonym that
// an event has a part about, with a digest of the hashes of those events. The list is the leaves of a Merkle tree (RFC 6962).
// A manifest names the tree's root, how far each stream was indexed, and the manifest before; its hash is a leaf of the
// Merkle log (checkpoint.Index). So for each day one place in the tree proves which events there are, or, by two neighbours,
// that there are none.
//
// A key is a hash of the pseudonym and the day's number: without the pseudonym nobody can tell which keys are one person's,
// also not over days. The pseudonym is a verifiable function of the BSN (RFC 9381, keys.PseudonymKey), whose proof stands in
// the resident's file: absence can't be proved under somebody else's.
//
// What is proved: which events the log has about a BSN, by their hashes. What such an event says is encrypted; that it is what
// the report tells rests on the log's keeper, and on the agency's receipt, which has the same hash.
//
// The same index tells where a person's events stand (Mentions), so that a report need not read the whole log: which days have
// nothing is proved, and what stands at a place is held against the day's entry. What is not sealed yet is read.
//
// What is not named is told by whoever reads the policy that decided an event (Config.NotNamed). It stands in an encrypted index
// beside the other, to which the manifest commits, for the functionaris gegevensbescherming (NotNamed). Nothing else tells of it:
// not the tree, a place, a length, nor how much is read.
//
// It refuses to prove where the index and the log differ. It imports broker, broker/journal, broker/audit, its checkpoint, and
// keys; only cmd and console may import it.
package index
