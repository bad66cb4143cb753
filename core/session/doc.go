// Package session is the table of bound resources and their stream management (XEP-0198).
//
// A [Session] is one bound resource of an account: what its client gets waits in its ring (acknowledged | sent | unsent, bounded by bytes and
// by count), what its client sends is counted until it is durable. It lives longer than a connection: a connection is a [Link] that can be
// taken off and, with stream management, be replaced. The [Manager] owns the table, answers who is there (module.Sessions), takes stanzas for
// full JIDs (Push, which never blocks), resumes, keeps sessions across a clean stop and ends them.
//
// What is promised (docs/ARCHITECTURE.md, promise 1): an <a h='N'/> goes out only when the store holds h >= N for the session; a durable
// message is kept by reference (storage.Unacked) until its client has acknowledged it, and moves to the account's offline list when the
// session is over; after a clean stop a session is resumed whole, after a crash the client learns h.
//
// Overflow of a ring: a session with stream management keeps references of durable messages instead of their bytes and loses its connection,
// once, but stays resumable; if something that is kept nowhere else does not fit, it is over. A session without is closed with
// policy-violation. Whoever pushes never waits.
//
// What it is not: it parses nothing, opens no socket and decides on no stanza; that is core/c2s and core/router.
//
// Goroutines: none of its own beside each session's journal.Queue, which has one while something is posted, and timers. Every session has one
// lock, which is never held while anything outside of this package is called but Link.Wake.
//
//	m := session.New(session.Options{Store: store, Journal: committer, Events: events})
//	s, err := m.Bind(ctx, session.BindRequest{Account: alice, Link: conn})
//	m.Push(s.Info().JID, session.Item{Wire: st.Wire(), To: st.To})
package session
