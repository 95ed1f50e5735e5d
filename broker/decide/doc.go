// Package decide answers policy queries with OPA. It loads revisions of a policy, keeps several at once, and gives the
// same decision bytes for the same query, revision and engine, for ever.
//
// It refuses: a revision whose content has another digest than its name; Rego that is not strict, does not fit its
// schemas or uses a builtin outside the allow-list (no network, time, randomness or runtime); a revision that grants
// anything from the query about a household nobody may know of; and, at decision time, every result that is undefined
// or malformed. None of these is ever turned into a quiet refusal.
//
// A query is decided field by field, and each field's answer is remembered under the whole query: decide(F) is the
// union of decide({f}).
//
// cmd wires it into the broker; workbench uses Read, Compile and Capabilities to check and test policies. OPA is
// imported here and in workbench only.
package decide
