package journal

import "context"

// Inventory is for whoever works on all keys and blobs of a store: erasure, which wraps keys anew, and backups.
type Inventory interface {
	// BlobNames lists the names of all blobs, sorted.
	BlobNames(ctx context.Context) ([]string, error)
	// ScanKeys gives about max keys, and where to go on: "" is where it begins, and what it gives at the end. A key that is
	// there from the first call to the last comes at least once, in any order; of others nothing is promised.
	ScanKeys(ctx context.Context, from string, max int) (keys []WrappedKey, next string, err error)
	// SwapKeys swaps wrappings. A key that is not Old any more stays as it is, so one that was deleted does not come back.
	// All that was swapped is durable when it returns.
	SwapKeys(ctx context.Context, swaps []KeySwap) error
}

// KeySwap puts another wrapping of a data key in the place of the one that is there.
type KeySwap struct {
	ID       string
	Old, New []byte
}
