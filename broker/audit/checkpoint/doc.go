// Package checkpoint keeps the Merkle log: one leaf for every event of every writer and for every register entry, in
// signed checkpoints that anybody can read and that witnesses cosign. A hash chain shows that a stream is whole up to a
// head that its own writer signed; a checkpoint binds all streams together, and a witness's cosignature takes away the
// power to show one log to one reader and another to the next.
//
// The log is a folder in the layout of C2SP tlog-tiles, its checkpoints are C2SP tlog-checkpoint, and the tree is that of
// RFC 6962. transparency-dev/tessera keeps the tiles. This package follows the streams (Checkpointer), reads the log
// (Log) and makes and checks offline proofs (Proof, C2SP tlog-proof).
//
// It refuses to sign a tree that it did not read back leaf by leaf, one that does not extend what it signed last, and
// anything at all without the lease. It knows nothing of what events mean: it seals their hashes. cmd and console may
// import it. It imports broker and broker/journal.
package checkpoint
