// Package gateway is the HTTP edge of Schakel: bytes in, signed bytes or a problem document (RFC 9457) out. It is the
// only package that knows HTTP status codes, and it knows nothing of what a request means: it reads headers strictly,
// hands token and body to a Broker, and writes what comes back without looking inside.
//
// It refuses what it can't read with certainty (a second Authorization header, a compressed body, a query string on a
// disclosure), and it answers a household that does not exist and one that may not be known alike, since it can't tell
// them apart: both are the Envelope of a refusal. What it writes to the log and counts in metrics is built from closed
// lists: no body, worker, query string, unknown path or panic value gets there.
//
// Every problem has a code. The table in codes.go gives each code that a package under broker can fail with its
// status and its Dutch and English text; a test holds the table against the sources of those packages. An error that is
// not in the table is a 500 without detail.
//
// Only cmd may import it.
package gateway
