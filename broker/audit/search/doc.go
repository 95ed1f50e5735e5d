// Package search finds disclosures in the log by who asked, for what, about which case, which fields, what was decided and
// why: newest first, over ten million of them.
//
// What it keeps is an index and never the truth: a file that can be thrown away at any time and is made again from the log.
// Every event it finds is read back from the log and held against the question before it is given. The file holds no value
// of the log: each word stands in it as a keyed hash (HMAC-SHA256, 64 bits of it) under a key of its own that the key ring
// wraps, so that without the ring it can't be asked anything. It stands beside the drafts of the console, for the server's
// account alone. Where a key of the log's staff parts was deleted, the parts of the index that have words from under it are made
// again, and those alone: what was erased is then in it no more, and is not found.
//
// In the file an event has a number, in the order of their times as they were read. For each word and each 65,536 numbers
// there is a set of those that have the word; a question is the intersection of such sets, so that it costs the same whether
// much or little of a log answers it.
//
// It refuses to open a file of another log, another version or that is ahead of its log, and makes a new one instead. cmd
// may import it, and console its questions. It imports broker, broker/audit and broker/journal; SQLite is known here only.
package search
