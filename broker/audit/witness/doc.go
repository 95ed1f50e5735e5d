// Package witness cosigns the checkpoints of Merkle logs that other organisations keep (C2SP tlog-witness). Whoever runs one
// for a neighbour's log makes it impossible for that neighbour to show one log to an auditor and another to a resident: the
// witness signs only what extends all it signed before.
//
// It keeps one file for each log: the newest checkpoint it cosigned. It refuses logs it was not told of, and it never signs
// before what it signs is safe on its disk. It knows nothing of entries, and reads none. cmd may import it; it imports
// nothing of ours.
package witness
