// Package muc is multi-user chat (XEP-0045): the group chat service of every account domain (rooms.<domain>) and of the rooms of bridges.
//
// Each room is an actor: one journal.Queue owns its state, which is a room.Room (core/modules/muc/room: the rules, without I/O). A stanza for a
// room travels with its unit into that queue, is decided on there, and what it does becomes visible after the unit is committed.
// Messages are pipelined: many of them may wait for their commit at once. Everything else (entering, leaving, changes of affiliations,
// configuration and subject) waits until the room has nothing under way, so that each decision sees exactly what everybody has been
// shown, and two stanzas take effect in the order in which they came. A room is loaded when somebody addresses it and forgotten when
// nobody is in it: at rest it costs disk only.
//
// One file per feature of XEP-0045; each registers what it answers in the dispatch table (dispatch.go). They act on the one actor that owns a room; what
// can be decided without it is in the package room. A feature that XEP-0045 does not know is a folder of its own that plugs into the room
// (package plug: hat, slowmode, activity, mention), or is asked without a room (search); those that change who enters and what lists and messages
// say (tokens, versions, retraction) are files here, and plug in by hooks.go. A gateway takes part through the points of
// event.MUC and the service of event/rooms.go (EnsureRoom, SetOccupants, Inject, Retract, SetSubject), which [Module] provides.
//
// What this package is not: the archive of rooms is queried elsewhere (XEP-0313), this package only writes the references; a bridge's
// people and portals belong to bridges/gateway.
//
// Specifications: XEP-0045, XEP-0307, XEP-0317, XEP-0359, XEP-0410, XEP-0421, XEP-0424, XEP-0425, XEP-0433, XEP-0452, XEP-0463, XEP-0486, XEP-0488,
// XEP-0500, XEP-0502. How a feature beside XEP-0045 plugs in is in docs/adr/0010.
//
// Goroutines: those of the rooms' queues, which exist while there is something to do, and timers of the injected clock, which end in Stop.
//
//	m := muc.New(muc.Options{Hosts: []muc.HostSpec{{Name: "rooms.matrix.example.org", Origin: "matrix.example.org"}}})
package muc
