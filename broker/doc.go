// Package broker is the heart of Schakel: the vocabulary every other room speaks, and the one flow, Disclose.
//
// A wijkteam's system asks for fields about a household, for a purpose. Disclose walks one direction:
//
//	Opener.Open     token            → Caller     who asks, in which role
//	ReadRequest     Caller, body     → Request    about whom, for which purpose, which fields
//	Register.Facts  Request          → Facts      relation, agreements, consent, composition, holders
//	Decider.Decide  Facts            → Decision   per data subject: grants, refusals, obligations
//	Source.Fetch    granted only     → Record     named holders, granted fields, nothing more
//	Minimise        Record           → Release    allow-list copy, each value in its granted form
//	Encode          Release          → bytes      the exact bytes of the answer
//	Journal.Append  Event            → Receipt    durable, or no byte leaves
//	Sealer.Seal     bytes, Receipt   → Envelope   a signature over exactly those bytes
//
// Each stage takes what the one before returned. A Release can only be filled by Minimise, and only a Release can be
// encoded, so data that was not minimised cannot reach a signature. A refusal is recorded and signed like a disclosure.
//
// The package refuses to know HTTP, Rego, Redis or JOSE: those stand behind the interfaces in ports.go. It imports the
// standard library only, and every other package may import it.
package broker
