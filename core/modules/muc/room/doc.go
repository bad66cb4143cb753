// Package room is the rules of group chat (XEP-0045) without any I/O: who may do what, what a room is configured to be, who is in it, and
// what a change does to the others.
//
// A [Room] is the state of one room: its configuration, subject, affiliations and occupants. Its methods answer (Admit, CheckRole,
// PlanAffiliations …) or change it (Enter, Leave, Rename, Apply …); a question never changes anything, and a refusal is a *stanza.Error with the
// condition that the text gives for it. The tables of XEP-0045 §5 are tables here.
//
// What this package is not: it knows no unit, no store, no router and no presence traffic; core/modules/muc, which owns a room's goroutine,
// asks it, makes the change durable and tells the occupants.
//
// Goroutines: none. A Room belongs to one goroutine at a time.
//
//	r := room.New(jid.MustParse("ops@rooms.example.org"), room.DefaultConfig(), secret)
//	adm, err := r.Admit(room.JoinRequest{Who: alice, Nick: "Alice"})
//	if err == nil { r.Enter(alice, "Alice", adm) }
package room
