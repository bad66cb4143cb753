// Package router decides where a stanza goes: RFC 6120 §10 and RFC 6121 §8. It owns the table of domains (account domains, hosts of modules,
// everything else is remote) and answers requests from the table that the modules have filled (module.Registry.IQ).
//
// A stanza comes with a [journal.Unit]. The router asks the points of event.Route, adds what has to be durable and after-commit steps that
// deliver, and submits the unit: exactly once, whatever happens. What it delivers to an account it delivers from that account's lane, so that
// the order between two people holds although a stored message waits for its commit and a chat state does not.
//
// What it is not: it knows no socket, no session by pointer and no module. Presence of accounts is decided on by whoever registered as
// module.AccountPresence; what is kept, archived or copied is decided on by modules at event.Route.
//
// Specifications: RFC 6120 §8.1-8.3 and §10, RFC 6121 §8.
//
// Goroutines: none of its own. Decisions run in the caller's goroutine, deliveries in those of a fixed number of journal.Queues, one of which
// every account is assigned to; timers of Request end in Stop.
//
//	r, err := router.New(router.Options{Domains: []string{"example.org"}, Sessions: sessions, Accounts: accounts, Journal: committer, IDs: ids, Events: events})
//	err = r.Attach(registry)
//	r.Route(ctx, unit, stanza)
package router
