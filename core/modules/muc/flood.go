package muc

import (
	"slices"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
)

// Presence is what grows with the square of a room: who changes hers often is shown less often, and what concerns many occupants at once
// is shown little by little (attacks: presence flood).

const (
	slowBatch = 100 // at once
	slowEvery = time.Second
)

// tellInTime shows the others what an occupant shows now, unless she has changed it too often; then what she shows later on is shown later.
func (a *actor) tellInTime(o *room.Occupant) {
	if o.Shows.Take(a.m.o.Shows, a.m.d.Clock.Now()) {
		a.behind = slices.DeleteFunc(a.behind, func(b *room.Occupant) bool { return b == o })
		a.tellOthers(a.available(o), o.Role)
		return
	}
	if !slices.Contains(a.behind, o) {
		a.behind = append(a.behind, o)
		a.later(o.Shows.Wait(a.m.o.Shows, a.m.d.Clock.Now()))
	}
}

// comingRate bounds how often one person enters, because each time everybody is told. It lets all of her clients in at once.
var comingRate = room.Rate{Size: 30, Every: 5 * time.Second}

// slowly runs fn now, or in its turn if there is much to show.
func (a *actor) slowly(fn func()) {
	a.slow = append(a.slow, fn)
	if len(a.slow) == 1 {
		a.later(0)
	}
}

// later starts the timer, if it does not run.
func (a *actor) later(d time.Duration) {
	if a.flush != nil {
		return
	}
	a.flush = a.m.d.Clock.AfterFunc(d, func() {
		a.q.Post(func() {
			defer a.rest()
			a.accept(task{class: exclusive, run: func(a *actor, _ *inbound) { a.catchUp() }})
		})
	})
}

// catchUp shows what has waited.
func (a *actor) catchUp() {
	a.flush = nil
	now := a.m.d.Clock.Now()
	var rest []*room.Occupant
	wait := time.Duration(-1)
	for _, o := range a.behind {
		switch {
		case a.room == nil || a.room.ByNick(o.Nick) != o: // she has left
		case o.Shows.Take(a.m.o.Shows, now):
			a.tellOthers(a.available(o), o.Role)
		default:
			rest = append(rest, o)
			if w := o.Shows.Wait(a.m.o.Shows, now); wait < 0 || w < wait {
				wait = w
			}
		}
	}
	a.behind = rest
	n := min(slowBatch, len(a.slow))
	for _, fn := range a.slow[:n] {
		fn()
	}
	if a.slow = a.slow[n:]; len(a.slow) > 0 && (wait < 0 || wait > slowEvery) {
		wait = slowEvery
	}
	if wait >= 0 {
		a.later(max(wait, time.Millisecond))
	}
}

// showRoles shows and hides occupants after a change of which roles are broadcast (muc#roomconfig_presencebroadcast). Moderators have seen
// everybody all along.
func (a *actor) showRoles(old room.Config) {
	c := a.room.Config
	for _, o := range a.room.Occupants() {
		was, is := old.Broadcasts(o.Role), c.Broadcasts(o.Role)
		if was == is {
			continue
		}
		a.slowly(func() {
			switch {
			case a.room == nil || a.room.ByNick(o.Nick) != o || a.room.Config.Broadcasts(o.Role) != is: // not so any more
			case is:
				a.tellOthers(a.available(o), o.Role)
			default:
				a.hide(o)
			}
		})
	}
}
