package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Ghosts: where the network lets XMPP people appear in a room's list of members, they join when the person joins and leave when she leaves: at once
// if she says so or is removed, LeaveAfter later if her session just ended, and not at all if she has come back by then. Joins and leaves
// go through a queue of their own, so many per second, and wait in the store (tableGhosts): messages are never delayed by them, since a bridge makes
// a ghost join at its first message in any case.

// ghostState is what is stored of a ghost in a portal.
type ghostState struct {
	Bare   string    `json:"bare"`
	Nick   string    `json:"nick"`
	ID     string    `json:"id,omitempty"`
	Joined bool      `json:"joined,omitempty"` // the network has her
	Want   bool      `json:"want"`
	Due    time.Time `json:"due"`
	Reason string    `json:"reason,omitempty"`
	Tries  int       `json:"tries,omitempty"`
	Serial int       `json:"serial,omitempty"` // of the wish: each is another operation
}

// settled tells that there is nothing to do.
func (g ghostState) settled() bool { return g.Joined == g.Want }

type ghostKey struct {
	portal string
	person sdk.PersonID
}

// ghostQueue is what a bridge has to do for its ghosts.
type ghostQueue struct {
	b  *Bridge
	mu sync.Mutex
	// states holds every ghost that is in a room or has something to do.
	states  map[ghostKey]ghostState
	timer   module.Timer
	running bool
	stopped bool
}

func (g *ghostQueue) init(b *Bridge) { g.b, g.states = b, map[ghostKey]ghostState{} }

// load reads the ghosts. Nobody is in a room yet: those who are joined are to leave if they do not come back.
func (g *ghostQueue) load(ctx context.Context) error {
	t := g.b.m.d.Store.Table(tableGhosts)
	after := g.b.spec.Name + sep
	leave := g.b.m.d.Clock.Now().Add(g.b.m.o.Tune.LeaveAfter)
	for {
		owners, err := t.Owners(ctx, storage.Page{After: after, Limit: 200})
		if err != nil {
			return fmt.Errorf("gateway: read ghosts: %w", err)
		}
		for _, o := range owners {
			after = o
			if name, _, ok := parsePortalKey(o); !ok || name != g.b.spec.Name {
				return nil
			}
			rows, err := t.Range(ctx, o, "", "", 10000, false)
			if err != nil {
				return fmt.Errorf("gateway: read ghosts: %w", err)
			}
			for _, r := range rows {
				var s ghostState
				if json.Unmarshal(r.Value, &s) != nil {
					continue
				}
				if s.Joined && s.Want {
					s.Want, s.Due = false, leave
					s.Serial++
				}
				g.states[ghostKey{o, sdk.PersonID(r.Key)}] = s
			}
		}
		if len(owners) < 200 {
			return nil
		}
	}
}

// change sets what is wanted of a ghost.
func (g *ghostQueue) change(p *portal, o event.Occupant, want bool, after time.Duration, reason string) {
	level := p.caps().GhostJoins
	bare := o.Real.Bare()
	k := ghostKey{p.key, g.b.m.person(bare)}
	g.mu.Lock()
	s, known := g.states[k]
	if !known && (!want || level == sdk.LevelNone) {
		g.mu.Unlock()
		return
	}
	s.Bare, s.Want, s.Reason, s.Tries = bare.String(), want, reason, 0
	s.Serial++
	s.Due = g.b.m.d.Clock.Now().Add(after)
	if want {
		s.Nick, s.ID = o.Nick, o.ID
	}
	g.states[k] = s
	g.mu.Unlock()
	g.store(k, s, personRow(k.person, bare))
	g.wake()
}

// gone: the network has removed a ghost.
func (g *ghostQueue) gone(p *portal, who sdk.PersonID) {
	k := ghostKey{p.key, who}
	g.mu.Lock()
	delete(g.states, k)
	g.mu.Unlock()
	u := newLinkUnit(g.b.spec.Name)
	u.Add(storage.DeleteRow{Table: tableGhosts, Owner: k.portal, Key: string(k.person)})
	g.b.m.d.Journal.Submit(u)
}

func (g *ghostQueue) store(k ghostKey, s ghostState, more ...storage.PutRow) {
	b, err := json.Marshal(s)
	if err != nil {
		return
	}
	u := newLinkUnit(g.b.spec.Name)
	u.Add(storage.PutRow{Table: tableGhosts, Owner: k.portal, Key: string(k.person), Value: b})
	for _, op := range more {
		u.Add(op)
	}
	g.b.m.d.Journal.Submit(u)
}

// wake works on what is due, now or when it becomes due.
func (g *ghostQueue) wake() {
	if !g.b.can(sdk.AbilityGhosts) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running || g.stopped {
		return
	}
	_, _, wait := g.next()
	if wait < 0 {
		return
	}
	if g.timer != nil {
		g.timer.Stop()
	}
	g.timer = g.b.m.d.Clock.AfterFunc(wait, g.fire)
}

// next returns what is due first and how long it has time; negative: nothing is to do. g.mu is held.
func (g *ghostQueue) next() (ghostKey, ghostState, time.Duration) {
	var key ghostKey
	var first ghostState
	for k, s := range g.states {
		if !s.settled() && (key.portal == "" || s.Due.Before(first.Due)) {
			key, first = k, s
		}
	}
	if key.portal == "" {
		return key, first, -1
	}
	return key, first, max(0, first.Due.Sub(g.b.m.d.Clock.Now()))
}

// fire does one thing, and sets the timer for the next.
func (g *ghostQueue) fire() {
	g.mu.Lock()
	k, s, wait := g.next()
	if g.running || g.stopped || wait != 0 {
		g.mu.Unlock()
		g.wake()
		return
	}
	g.running = true
	g.mu.Unlock()
	started := g.b.m.run(func(ctx context.Context) {
		g.move(ctx, k, s)
		g.mu.Lock()
		g.running = false
		if !g.stopped {
			// The cap: so many in a second, and no burst.
			g.timer = g.b.m.d.Clock.AfterFunc(time.Second/time.Duration(g.b.m.o.Tune.GhostsPerSec), g.fire)
		}
		g.mu.Unlock()
	})
	if !started {
		g.mu.Lock()
		g.running = false
		g.mu.Unlock()
	}
}

// move makes a ghost join or leave.
func (g *ghostQueue) move(ctx context.Context, k ghostKey, s ghostState) {
	i := g.b.current()
	p, err := g.b.portals.byText(ctx, k.portal)
	bare, jerr := jid.Parse(s.Bare)
	if i == nil || err != nil || p == nil || jerr != nil {
		return
	}
	h := sdk.OpHeader{ID: opID(k.portal, storage.MessageID(s.Due.UnixMilli()), string(k.person)+"/"+strconv.Itoa(s.Serial)), Portal: p.remote(), Time: s.Due, Attempt: s.Tries + 1,
		Doubt: s.Tries > 0, Sender: g.b.sender(ctx, bare, s.ID, s.Nick, "")}
	p.address(ctx, &h.Sender)
	var op sdk.Op = &sdk.JoinGhost{OpHeader: h}
	if !s.Want {
		op = &sdk.LeaveGhost{OpHeader: h, Reason: s.Reason}
	}
	opCtx, cancel := context.WithTimeout(i.ctx, g.b.m.o.Tune.OpTimeout)
	_, err = sdk.Handle(opCtx, i.remote, op)
	cancel()
	g.moved(k, s, err)
}

// moved stores the result. What is refused for good is not tried again: she is there when she speaks.
func (g *ghostQueue) moved(k ghostKey, was ghostState, err error) {
	e := sdk.AsError(err)
	g.mu.Lock()
	s := g.states[k]
	switch {
	case e == nil || !e.Temporary:
		s.Joined = was.Want
	default:
		s.Tries++
		if s.Want == was.Want && s.Due.Equal(was.Due) {
			s.Due = g.b.m.d.Clock.Now().Add(max(e.RetryAfter, min(time.Minute, time.Second<<min(s.Tries, 6))))
		}
	}
	if s.settled() && !s.Want {
		delete(g.states, k)
	} else {
		g.states[k] = s
	}
	g.mu.Unlock()
	if s.settled() && !s.Want {
		u := newLinkUnit(g.b.spec.Name)
		u.Add(storage.DeleteRow{Table: tableGhosts, Owner: k.portal, Key: string(k.person)})
		g.b.m.d.Journal.Submit(u)
		return
	}
	g.store(k, s)
}

func (g *ghostQueue) halt() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopped = true
	if g.timer != nil {
		g.timer.Stop()
	}
}

// joined is told of a person who has entered a portal.
func (m *Module) joined(ctx context.Context, v *event.RoomJoin) error {
	if v.Occupant.Puppet {
		return nil
	}
	return m.each(ctx, v.Occupant.Room, func(p *portal) error {
		p.welcome(v.Occupant)
		p.showPerson(ctx, v.Occupant, v.Stanza)
		if i := p.b.current(); i != nil {
			p.refresh(i)
		}
		p.b.watchSoon()
		return nil
	})
}

// welcome keeps account of a session of this side that is in the room now.
func (p *portal) welcome(o event.Occupant) {
	bare := o.Real.Bare()
	if p.enter(bare, o.Nick) && p.b.mayUse(bare) && !p.gone() {
		p.b.ghosts.change(p, o, true, 0, "")
	}
}

// left is told of a person who is no longer in a portal.
func (m *Module) left(ctx context.Context, v *event.RoomLeft) error {
	after := time.Duration(0)
	if v.Gone && !slices.Contains(v.Status, 307) && !slices.Contains(v.Status, 301) {
		after = m.o.Tune.LeaveAfter
	}
	return m.each(ctx, v.Occupant.Room, func(p *portal) error {
		if v.Occupant.Puppet {
			p.mu.Lock()
			delete(p.present, v.Occupant.Real.Bare())
			p.mu.Unlock()
			return nil
		}
		p.leave(v.Occupant.Real.Bare(), v.Last)
		if v.Last {
			p.b.ghosts.change(p, v.Occupant, false, after, v.Reason)
			p.showPerson(ctx, v.Occupant, stanza.NewPresence(stanza.TypeUnavailable))
		}
		return nil
	})
}
