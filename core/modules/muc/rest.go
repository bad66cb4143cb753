package muc

import "github.com/viaduct-xmpp/viaduct/core/module"

// A room that has nobody in it and nothing to do rests for Options.Idle and is then forgotten.

// wake says that the room is in use.
func (a *actor) wake() { a.resting = false }

// busy tells whether something of the room is under way.
func (a *actor) busy() bool {
	return len(a.backlog) > 0 || a.inflight > 0 || a.barrier > 0 || a.pending > 0
}

// mayForget tells whether the room can leave memory. It is called in the room's goroutine, with the table's shard locked.
func (a *actor) mayForget() bool {
	if a.busy() {
		return false
	}
	if a.room == nil {
		return true
	}
	if a.room.Len() > 0 {
		return false
	}
	if a.resting || a.m.stopped.Load() {
		return true
	}
	a.startIdle()
	return false
}

// startIdle starts, or starts again, the time after which an empty room is forgotten.
func (a *actor) startIdle() {
	if a.idle != nil {
		a.idle.Reset(a.m.o.Idle)
		return
	}
	a.idle = a.m.d.Clock.AfterFunc(a.m.o.Idle, func() {
		a.q.Post(func() {
			a.resting = true
			a.rest()
		})
	})
}

// rest forgets the room if it may be; it is the end of everything that was not posted through the table.
func (a *actor) rest() {
	p := &a.m.rooms.part[a.m.rooms.shard(a.jid)]
	p.mu.Lock()
	defer p.mu.Unlock()
	a.forget(&p.actors)
	if a.forgotten {
		a.stopTimers()
	}
}

func (a *actor) stopTimers() {
	for _, t := range []module.Timer{a.idle, a.flush, a.pulses, a.waiting} {
		if t != nil {
			t.Stop()
		}
	}
}
