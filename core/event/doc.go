// Package event is the catalogue of the server's seams: typed points at which modules take part, one file per area with the point's value
// type.
//
// A point runs its handlers in phases. The first three run while a stanza is decided on, the last two once its unit is committed:
//
//	guard    may refuse: returns a *stanza.Error, or Stop to drop silently, or Pending to decide later where the point allows it
//	rewrite  may change the value (strip, stamp, annotate)
//	record   adds rows and after-commit steps to the value's journal.Unit; decides nothing
//	deliver  takes part in the delivery (copies, forks)
//	after    is told; changes nothing
//
// A module names a phase, never a neighbour. Within a phase handlers run in the order of the module list; correctness may not depend on it.
// Handlers run on a snapshot with no lock held, a panic is caught, attributed to the handler's module, and treated as
// internal-server-error in the first three phases. Points are registered in a [Catalogue], so that an admin command can list who listens
// where.
//
// Goroutines: none of its own; a point runs in the goroutine of its caller, who says in the point's doc which owner that is.
//
// A module registers in its Register method:
//
//	ev.Route.Account.On(event.Record, "mam", func(ctx context.Context, m *event.AccountMessage) error { m.Ref(...); return nil })
package event
