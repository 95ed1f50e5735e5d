// Package seal opens the tokens by which agencies ask, seals the answers they get, and verifies both, online and
// offline. It also signs and verifies the heads of journal streams.
//
// An Opener refuses every token that is not exactly what an agency of the register may make: each refusal has a code
// (TokenCodes) and nothing about a person. It tells that a key or agency is suspended, that a role may not be asserted
// and the like only to who could sign with the key; before that it tells what the OIN and the kid tell by themselves.
// Claims and header members it does not know are passed over, since agencies use general token services that add
// their own (azp, nbf, …); those that would change how a token is read (crit, b64, embedded keys) are refused.
//
// Everything signed names what it is in typ, so that a token can't pass for an answer nor an answer for a head. The
// package refuses to know HTTP, the register and the journal; it imports broker and keys. Only cmd and tests may
// import it: the flow reaches it through broker.Opener and broker.Sealer.
package seal
