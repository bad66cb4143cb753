// Package adhoc offers the server's own commands to those who may give them, in their client: ad-hoc commands (XEP-0050) of the account domains, each with
// a form (XEP-0004) for what it needs.
//
// A command is one form and one answer. Nothing is remembered between the two: the filled form says everything, so that a client may send it at once, and a
// session ends with its answer. What was filled in wrongly comes back as the same form with what was written and what is wrong.
//
// What it is not: it knows no command. The [Source] lists them for whoever asks, and runs them; internal/appliance hands in the table of core/admin. Commands of
// rooms, nodes and bridges are their own hosts'.
//
// Specifications: XEP-0050 1.3.0, XEP-0004.
//
// Goroutines: one for each command that runs, bounded for each person and in all; they end with Stop.
//
//	modules.Options{AdHoc: adhoc.Options{Source: table}}
package adhoc
