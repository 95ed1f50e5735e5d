// Package console is the web pages of the workbench: where a privacy officer drafts a policy, sees what it would do, and
// hands it to a colleague. Pages are rendered here, on the server; scripts only make the editor comfortable.
//
// It decides nothing and keeps nothing but drafts: what a policy does comes from the workbench, what happened from the
// register, both by way of a Desk. It holds no data of households; of a recorded decision it shows what was asked of the
// policy, which names nobody, once that somebody looks is recorded. Auditors also see who asked and for which case, by way of
// an Auditing: every look there is recorded first, with its purpose and ground.
//
// Residents has another listener, table and sign-in: there somebody sees who asked for their data, by way of a ResidentsDesk, and
// asks what the law gives them. Their BSN stands in the session, in memory, and nowhere else.
//
// The room refuses what is not in its table of routes
// (see routes.go), and writes no byte of a page without a content security policy. cmd imports it; it may import register,
// audit and workbench.
package console
