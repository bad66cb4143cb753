package muc

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/payload/hash"
)

// The rooms service of core/event/rooms.go. Every call is carried out in the room's queue, in the order of the calls for one room, and with
// the same rules of order as a stanza. A handler of an event of the same room may call it too: the call is then carried out at once.

// ErrNoRoom says that the room of a call does not exist.
var ErrNoRoom = errors.New("muc: there is no such room")

// ErrNoHost says that the domain of a room is not served here.
var ErrNoHost = errors.New("muc: this host is not served here")

// call runs fn in a room's queue and waits until it calls done. The unit is the call's own: if nothing comes of it, it is not submitted.
func (m *Module) call(ctx context.Context, at jid.JID, c class, fn func(a *actor, in *inbound, done func(error))) error {
	h := m.hosts[at.Domain()]
	if h == nil || !at.IsBare() || !at.HasLocal() {
		return fmt.Errorf("%w: %s", ErrNoHost, at)
	}
	result := make(chan error, 1)
	done := func(err error) {
		select {
		case result <- err:
		default: // a panic after the answer
		}
	}
	run := func(a *actor, in *inbound) { fn(a, in, done) }
	if a := contextRoom(ctx); a != nil && a.jid == at {
		a.inline++
		defer func() { a.inline-- }()
		run(a, &inbound{u: a.unit(), h: h, failed: done, call: true})
		return <-result
	}
	m.post(h, at, func(a *actor) {
		a.accept(task{class: c, in: &inbound{u: a.unit(), h: h, failed: done, call: true}, run: run})
	})
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return fmt.Errorf("muc: call room %s: %w", at, ctx.Err())
	}
}

// EnsureRoom makes a room be as spec says; what spec leaves zero stays as it is.
func (m *Module) EnsureRoom(ctx context.Context, spec event.RoomSpec) error {
	return m.call(ctx, spec.Room, exclusive, func(a *actor, in *inbound, done func(error)) {
		lists, err := listsOf(spec.Affiliations)
		if err == nil {
			err = a.ensure(in, spec, lists, done)
		}
		if err != nil {
			done(fmt.Errorf("muc: ensure room: %w", err))
		}
	})
}

// listsOf reads the affiliations of a spec.
func listsOf(in map[string]string) (map[string]room.Affiliation, error) {
	out := make(map[string]room.Affiliation, len(in))
	for who, name := range in {
		j, err := jid.Parse(who)
		if err != nil {
			return nil, err
		}
		af, ok := room.ParseAffiliation(name)
		if !ok {
			return nil, fmt.Errorf("unknown affiliation %q", name)
		}
		out[j.Bare().String()] = af
	}
	return out, nil
}

// ensure adds the rows and commits; an error means that nothing was begun.
func (a *actor) ensure(in *inbound, spec event.RoomSpec, lists map[string]room.Affiliation, done func(error)) error {
	if len(spec.Avatar) > maxVCard/2 {
		return fmt.Errorf("a picture of %d bytes is too large", len(spec.Avatar))
	}
	if a.room == nil {
		return a.ensureNew(in, spec, lists, done)
	}
	c := apply(spec, a.room.Config)
	var changes []room.AffiliationChange
	for who, af := range lists {
		if e, ok := a.room.EntryOf(who); !ok && af != room.None || ok && e.Affiliation != af {
			changes = append(changes, room.AffiliationChange{Target: who, Affiliation: af})
		}
	}
	picture := c.AvatarHash != a.room.Config.AvatarHash
	if string(c.Encode()) == string(a.room.Config.Encode()) && len(changes) == 0 {
		a.m.d.Journal.Submit(in.u)
		done(nil)
		return nil
	}
	if len(changes) > 0 {
		a.saveAffiliations(in.u, changes)
	}
	if picture {
		a.saveVCard(in.u, vcardOf(c.Name, spec.Avatar))
	}
	a.saveConfig(in.u, c)
	a.commit(in.u, func(err error) {
		if err == nil {
			a.applyConfig(in, c, changes, room.Actor{Service: true})
			if picture {
				a.fan(a.roomPresence(), a.audience().all)
			}
		}
		done(err)
	})
	return nil
}

func (a *actor) ensureNew(in *inbound, spec event.RoomSpec, lists map[string]room.Affiliation, done func(error)) error {
	c := room.DefaultConfig()
	c.MaxHistory = 0
	r, err := a.m.newRoom(a.jid, apply(spec, c))
	if err != nil {
		return err
	}
	a.saveNew(in.u, r, lists)
	if len(spec.Avatar) > 0 {
		a.saveVCard(in.u, vcardOf(spec.Name, spec.Avatar))
	}
	a.commit(in.u, func(err error) {
		if err == nil {
			err = a.adopt(r)
		}
		done(err)
	})
	return nil
}

// apply returns a configuration as a spec changes it. Flags are set, never cleared: a zero value leaves what is.
func apply(s event.RoomSpec, c room.Config) room.Config {
	c = c.Clone()
	text := func(at *string, v string) {
		if v != "" {
			*at = v
		}
	}
	text(&c.Name, s.Name)
	text(&c.Description, s.Description)
	text(&c.Origin, s.Origin)
	c.Public = c.Public || s.Public
	c.Persistent = c.Persistent || s.Persistent
	c.NonAnonymous = c.NonAnonymous || s.NonAnonymous
	c.MembersOnly = c.MembersOnly || s.MembersOnly
	c.ChangeSubject = c.ChangeSubject || s.ChangeSubject
	c.Locked = false
	if s.MaxHistory > 0 {
		c.MaxHistory = s.MaxHistory
	} else if c.MaxHistory == 0 {
		c.MaxHistory = room.DefaultConfig().MaxHistory
	}
	if s.Features != nil {
		c.Features = append([]string(nil), s.Features...)
	}
	if s.Info != nil {
		c.Info = s.Info
		c = c.Clone()
	}
	if len(s.Avatar) > 0 {
		c.AvatarHash = hash.Avatar(s.Avatar)
	}
	return c
}

// Expel puts a person with all her sessions out of a room (XEP-0045 §8.2).
func (m *Module) Expel(ctx context.Context, x event.RoomExpulsion) error {
	return m.call(ctx, x.Room, exclusive, func(a *actor, in *inbound, done func(error)) {
		defer a.m.d.Journal.Submit(in.u)
		if a.room == nil {
			done(fmt.Errorf("muc: expel: %w", ErrNoRoom))
			return
		}
		for _, o := range slices.Clone(a.room.ByBare(x.Person.Bare())) {
			a.remove(o, removal{status: []int{307}, reason: x.Reason, actor: room.Actor{Nick: x.Actor, Service: true}})()
		}
		done(nil)
	})
}
