package sqlite

import (
	"reflect"

	"github.com/viaduct-xmpp/viaduct/core/journal"
)

// handler executes one type of operation. conditional: it can fail with an outcome of journal (conflict, duplicate, stale), and has then
// written nothing.
type handler struct {
	op          reflect.Type
	run         func(b *batch, op journal.Op) error
	conditional bool
}

func always[T journal.Op](run func(*batch, T) error) handler {
	return handler{reflect.TypeFor[T](), func(b *batch, op journal.Op) error { return run(b, op.(T)) }, false}
}

func conditional[T journal.Op](run func(*batch, T) error) handler {
	h := always(run)
	h.conditional = true
	return h
}

// handlers is the table of all operations by their types; it does not change.
var handlers = table(
	conditional(createAccount), conditional(updateAccount), always(touchAccount), always(deleteAccount),
	always(putRosterItem), always(deleteRosterItem),
	always(putMessage), always(replaceMessage), always(putRef), always(deleteRef), always(deleteRefs), always(moveRefs), conditional(dedupe),
	always(putSession), always(sessionIn), always(sessionOut), always(deleteSession),
	always(putRoom), conditional(createRoom), always(deleteRoom), always(putAffiliation),
	always(putPortal), always(deletePortal), always(putPuppet), always(putIDPair), always(deleteIDPairs),
	always(putRow), conditional(compareAndPut), always(deleteRow), always(deleteRows),
	conditional(claimEpoch),
	always(dropRetries), always(index), always(dropSession), always(dropGone), always(dropBodies),
	always(doMakeBlock), always(doSettleBlock), always(doClearBlocks), always(doNoteVolume),
)

func table(all ...handler) map[reflect.Type]handler {
	m := make(map[reflect.Type]handler, len(all))
	for _, h := range all {
		m[h.op] = h
	}
	return m
}

func handlerOf(op journal.Op) (handler, bool) {
	h, ok := handlers[reflect.TypeOf(op)]
	return h, ok
}
