// Package journal is the unit of durable work and its committer.
//
// A handler that changes something durable adds rows ([Op]) and after-commit steps to the [Unit] that its event carries, and
// returns; it never waits. One [Committer] per store takes the units in the order in which they were submitted, groups them,
// commits a group in one transaction and then posts each unit's steps to the queues of their owners (a session, a room, a portal):
// the ack to the sender, the delivery, the fan-out, the wake-up of an outbox. The committer never runs a step itself and never
// blocks on a socket, a handler or a full queue. A durable stanza is therefore visible to nobody before it is on disk.
//
// What is not durable (chat states, presence) is submitted as a unit without rows: it does not wait for the disk, but it keeps its
// place behind what is durable in the same [Lane].
//
// What this package is not: it knows no table and no SQL (core/storage defines the rows, a backend writes them), and it has no
// opinion on what a stanza means.
//
// Goroutines: [Committer] owns one that commits and one that runs background work; both end in Stop. A [Queue] has none while it is
// empty.
//
//	u := journal.NewUnit(journal.AccountLane(bob))
//	u.Add(storage.PutMessage{ID: id, Body: wire}, storage.PutRef{Kind: storage.Archive, Owner: bob, ID: id})
//	u.After(session.Queue(), func(err error) { session.Deliver(id, wire, err) })
//	committer.Submit(u)
package journal
