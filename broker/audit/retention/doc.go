// Package retention ends what was kept long enough: it surveys which parts of the log have outlived their term, and erases
// them by their data keys.
//
// A part is under the data key of a data subject and a quarter, of staff and a month, of a case, of what a resident asked, or of an
// officer's id or a team's members.
// When the longest term of what is under a key has ended, the key goes: it is deleted, whatever other keys were wrapped with it
// get another wrapping, and the key-encryption key that wrapped it is destroyed. Only then is it erased, in every copy of the
// journal at once. The events stay, so that every chain, proof and replay of their common part holds; an archive of old events
// needs no work, for the same key opens both. A backup of before has the survivors too under the wrapping that was destroyed: make a new one.
//
// Terms come from the policy (Terms), which says who decides them. The package refuses to erase what has no term, what others
// may still write under, and to call anything erased before its wrapping is destroyed. It knows no officer and writes no
// event: cmd makes sure of who may, and the register records that an erasure began and ended. Only cmd may import it.
package retention
