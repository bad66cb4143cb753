// Package plug is the seam between a room and a feature that XEP-0045 does not know (docs/adr/0010): which moments of a room a feature takes part in
// ([Hooks]), and what it sees of the room there ([Room]).
//
// A feature is a folder beside this one with a function that returns its Hooks, and a line in the list of features of core/modules/muc. It keeps what
// it remembers of a room in [Room.Memory] and what it stores in tables of its own, which it names in Hooks and which go with the room.
//
// What this package is not: features that change what entering or a list does act on the room's actor and are part of core/modules/muc.
//
// Goroutines: none. All hooks of one room run in that room's queue, one after the other; a Room is not used elsewhere.
//
//	func Feature() plug.Hooks { return plug.Hooks{Guard: check, Tables: []string{"muc.pace"}} }
package plug
