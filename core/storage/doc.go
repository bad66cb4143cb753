// Package storage is the contract between the server and what keeps its data: repositories for accounts, roster, messages and their
// references, sessions, rooms and the gateway, and one ordered [Table] for everything else.
//
// Reads are methods of the repositories. Writes are row operations (the types with a JournalOp method) that are added to a
// journal.Unit and committed in groups; there is no other way to write. A read sees what is committed, so whoever needs its own
// uncommitted writes keeps them in memory until the after-commit step.
//
// A message body is stored once, under an integer id; an archive, an offline spool, a server-stream spool, a gateway outbox and the
// unacknowledged queue of a session are thin references (owner, id) to it. A body is removed by the background collector when nothing
// refers to it any more.
//
// Backends: core/storage/sqlite (default). Each passes core/storage/storagetest. One package (core/storage/migrations) owns all schema
// versions. A new XEP needs no backend change: it uses a Table.
//
// Strings that are JIDs are in their canonical form (core/jid). All times are UTC with millisecond precision.
package storage
