// Package register knows the facts about households: which agencies there are, which cases, who works on them, which
// holders they name, which agreements and consents stand. It keeps them as views in memory over the journal's register
// stream, follows that stream, and changes it by commands.
//
// The one way in is a Command: it is checked against the view, sealed where it is about persons or staff, and appended by
// compare-and-set together with the audit event of the same change. The one way out to the flow is Facts, which says what
// binds an asker to a household at one position, and on which touches that rests: whatever entry could change those facts
// carries one of them.
//
// It also keeps what residents ask about their own data, the answers, who represents whom, and of whom nothing may be given for
// now: that last one stands in the facts of every household that such a person is in.
//
// It refuses to tell an unknown household from a forbidden one, to answer when its view may be behind the stream, and to
// keep a BSN anywhere in clear but in memory. It decides nothing: policy does.
//
// The edges (gateway, console) and cmd may import it. It imports broker, the journal's interface, and package keys for
// the form of an encrypted part.
package register
