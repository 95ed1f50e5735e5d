// Package looks finds the looks at households that nothing explains. It takes what the log has of each request, makes the
// facts of it (Facts): what bound the worker, who else looked at this case and when, the worker's own rhythm, and the same of
// peers; and has rules judge them. Rules and thresholds are Rego and data of the policy (policies/schakel/looks); this package only counts.
//
// It refuses to know anything about a worker that is not in the log or the register: no roster, no address, no family. A
// judgement is a reason to ask, and says of nobody that they did wrong. Facts of a look rest on that look and those before
// it alone, so that a later one never changes them.
//
// cmd may import it. It imports broker only: the rules come in as a function.
package looks
