// Package agencies holds the stand-ins for the agencies around a household: the civil registry, benefits, tax, a
// housing corporation and the rest, each a real HTTP server with its own listener.
//
// They are for the demonstration, docker-compose and tests. What they know about persons comes from the official test set of
// person lists where a file is given, and from a generator otherwise; nobody in either exists. What they answer beyond
// that is computed from a digest of the person, so that it is the same on every run. Each keeps a log of who asked what
// by which key, so that a test can prove what was never asked.
//
// They share the vocabulary and the form of a field mapping with the broker, and nothing of its way of asking: what they
// accept and answer is written down here a second time, so that a mistake in one is found by the other. They refuse a BSN where the holder has no ground for one. cmd, tests
// and the program in cmd/agencies may import it; nothing under broker/ may, except a test.
package agencies
