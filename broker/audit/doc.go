// Package audit keeps the log: it turns events into bytes, chains them by hash, appends them durably in batches, signs
// heads, reads the log back and verifies it.
//
// Each writer (a gateway, a command) has a stream of its own. An event is one line of JSON: a clear header, a clear
// common part without identifiers, and encrypted parts about staff and data subjects. The stored bytes are the hashed
// bytes, and each event carries the hash of the one before, over restarts too.
//
// It refuses to acknowledge what is not durable, to append anything while the outcome of an append is unknown, to go on
// after another process claimed its stream, and to write a value about a person in clear. It does not know how heads
// are signed, how keys are kept or what register entries mean: those come in as functions and interfaces.
//
// gateway, console and cmd may import it. It imports broker, broker/journal and, for the type Part, keys.
package audit
