// Package offline keeps messages for accounts that nobody is there for, and delivers them in their order to the first session that becomes
// available with a priority of at least 0 (XEP-0160, RFC 6121 §8.5.2.2.1).
//
// A message stays in the list until a session has it: one with stream management in its own list, under the protection of that; one
// without in its ring. Messages that a session has not acknowledged when it ends come into the list, too (core/session).
//
// What it is not: an archive; and it answers no requests about the list (XEP-0013).
//
// Specifications: XEP-0160.
//
// Goroutines: one for each account whose list is being delivered, ended with the list or in Stop.
//
//	modules = append(modules, offline.New(offline.Options{}))
package offline
