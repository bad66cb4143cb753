// Package presence is the presence of accounts (RFC 6121 §3 and §4): subscriptions in all their states, the exchange of presence with
// contacts, probes, and presence that is directed to somebody.
//
// What a subscription stanza does to a roster item is a table (states.go, RFC 6121 Appendix A). Between two accounts of this server both
// items change in one unit: no crash leaves one side subscribed and the other not.
//
// What it is not: it keeps no list of its own; items live in core/modules/roster, the last presence of a session in core/session.
//
// Specifications: RFC 6121 §3, §4 and Appendix A.
//
// Goroutines: none. Decisions run in the goroutine of the stream, what is shown after a commit in the queues of the accounts' lanes.
//
//	modules = append(modules, presence.New())
package presence
