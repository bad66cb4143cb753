// Package c2s is the stream of a client (RFC 6120): negotiation, authentication, resource binding, stream management, and then its stanzas.
//
// A [Server] takes accepted connections (Serve) and runs one state machine for each. What a client may do when is a table of negotiation
// elements by stage; a new element is a line in it. The stanzas of a bound client are handled in the goroutine that reads its socket: each
// gets a journal.Unit, passes event.C2S.Inbound and goes to the router, which takes the unit over. What goes out is pulled by the connection's
// writer, first from the stream's negotiation, then from the session's ring.
//
// What it is not: it does not route, it keeps no session (core/session does, beyond the connection), it does not listen (core/transport) and
// it knows no module.
//
// Limits: before authentication 8 KiB and 32 elements and a deadline, then the configured size; rates are kept by reading slower, never by
// closing; the store's back-pressure (journal.Submitter.Admit) stops reading, too. See [Config].
//
// Goroutines: each connection's reader is the goroutine that calls Serve; the writer belongs to core/transport. Stop waits for the readers.
//
// Specifications: RFC 6120, RFC 6121 §4.5.2 and §8, RFC 3921 §3 (as an optional feature), XEP-0198, XEP-0368, XEP-0440, XEP-0474, XEP-0478.
//
//	srv, err := c2s.New(c2s.Options{Hosts: router, Sessions: manager, Router: router, Accounts: accounts, Events: events, Journal: committer,
//		TLS: certs.Config(tlscert.C2S), Secret: secret})
//	err = listeners.Listen(ctx, transport.Spec{Key: "listen.c2s", Addrs: addrs, Serve: srv.Serve})
//	err = listeners.Listen(ctx, transport.Spec{Key: "listen.c2s_tls", Addrs: direct, Serve: srv.ServeTLS(certs.Config(tlscert.C2SDirect))})
package c2s
