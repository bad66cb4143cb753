// Package roster keeps the contact lists of accounts (RFC 6121 §2): roster get and set, versioning, and pushes to every session that has asked
// for the roster.
//
// Rosters in use are kept in memory, with the changes that are not committed yet: two sessions of one person, and her contacts, change a
// roster at the same time, and each change builds on the one before. Every change goes through [Module.Update], which locks the rosters
// that take part (in the order of their owners), allots versions, adds rows and pushes to the unit and submits it before it unlocks, so that
// changes are committed in the order of their versions.
//
// What it is not: what a subscription stanza does to an item is decided by core/modules/presence; groups of contacts that an operator shares
// are another module.
//
// Specifications: RFC 6121 §2.
//
// Goroutines: none. Pushes run in the queue of the account's lane.
//
//	modules = append(modules, roster.New(roster.Options{}))
package roster
