// Package backup copies a journal into a folder, and a folder into an empty journal, of whichever backend.
//
// A copy is of one moment: the register up to an entry, every event that recorded something of it, and no event that rests on
// what came later; so a journal that was put back from it is one that was. It holds the events of the archive too, the wrapped
// data keys, and the blobs; not the key ring, which opens them and belongs elsewhere. A manifest, written last, says what is in
// it, with digests.
//
// It refuses a journal that is not whole in what it copies, a folder that has something in it, a copy of which a byte differs,
// and a journal that is not empty, but for what a restore that was interrupted left there. It opens nothing that is encrypted,
// and does not know who may do this: that is cmd, which alone may import it.
package backup
