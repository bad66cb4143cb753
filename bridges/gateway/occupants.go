package gateway

import (
	"context"
	"fmt"
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/mappings"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// nicks are those of the XMPP people in the room. p.mu is held.
func (p *portal) nicks() []string {
	var out []string
	for _, n := range p.guests {
		out = append(out, n)
	}
	return out
}

// set makes puppets enter, change and leave.
func (p *portal) set(ctx context.Context, list []event.OccupantChange) error {
	if list = p.apart(list); len(list) == 0 {
		return nil
	}
	if err := p.b.m.rooms.SetOccupants(ctx, p.room(), list); err != nil {
		return fmt.Errorf("gateway: occupants of %s: %w", p.room(), err)
	}
	p.mu.Lock()
	for _, c := range list {
		if c.Leave {
			delete(p.present, c.Puppet)
		} else {
			p.present[c.Puppet] = c.Nick
		}
	}
	p.mu.Unlock()
	return p.again(ctx, list)
}

// apart leaves out who leaves here but stays in another room of her network that the same room is linked with.
func (p *portal) apart(list []event.OccupantChange) []event.OccupantChange {
	if p.link() == nil {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(c event.OccupantChange) bool {
		if !c.Leave {
			return false
		}
		for _, q := range p.others() {
			if q.b == p.b && q.isPresent(c.Puppet) {
				p.mu.Lock()
				delete(p.present, c.Puppet)
				p.mu.Unlock()
				return true
			}
		}
		return false
	})
}

// crowd is how many puppets are in the room.
func (p *portal) crowd() int {
	n := 0
	for _, q := range p.siblings() {
		q.mu.Lock()
		n += len(q.present)
		q.mu.Unlock()
	}
	return n
}

// again shows puppets once more that have changed while they were being shown: whoever changed them did not find them in the room yet.
func (p *portal) again(ctx context.Context, list []event.OccupantChange) error {
	var stale []event.OccupantChange
	for _, c := range list {
		if c.Leave || c.Presence == nil {
			continue
		}
		q, err := p.b.puppets.known(ctx, sdk.RemoteUserID(c.ID))
		if err != nil || q == nil {
			continue
		}
		if now := p.b.presenceOf(q); xmlstream.NewFragment(now...).String() != xmlstream.NewFragment(c.Presence...).String() {
			stale = append(stale, event.OccupantChange{ID: c.ID, Puppet: c.Puppet, Nick: c.Nick, Presence: now})
		}
	}
	return p.set(ctx, stale)
}

// isPresent tells whether a puppet is in the room, as far as we know.
func (p *portal) isPresent(q jid.JID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.present[q]
	return ok
}

// setMembers enters the members of a page, as far as the room's bound allows; all of them stand on the room's lists, which puppets' affiliations are.
func (p *portal) setMembers(ctx context.Context, members []sdk.Member) error {
	const chunk = 50
	var list []event.OccupantChange
	lists := map[string]string{}
	known, err := p.b.puppets.ensureAll(ctx, members)
	if err != nil {
		return err
	}
	for _, m := range members {
		q := known[m.User.ID]
		if q == nil {
			continue // a ghost of ours, or nobody
		}
		p.mu.Lock()
		_, here := p.present[q.jid]
		p.mu.Unlock()
		if !here && p.b.m.o.Tune.MaxOccupants-p.crowd()-len(list) <= 0 {
			if p.link() == nil {
				lists[q.jid.String()] = mappings.StandingOf(m.Role).Affiliation
			}
			continue
		}
		role := m.Role
		list = append(list, p.b.change(ctx, p, q, m.Nick, &role))
		if len(list) == chunk {
			if err := p.set(ctx, list); err != nil {
				return err
			}
			list = nil
		}
	}
	if err := p.set(ctx, list); err != nil || len(lists) == 0 {
		return err
	}
	if err := p.b.m.rooms.EnsureRoom(ctx, event.RoomSpec{Room: p.room(), Affiliations: lists}); err != nil {
		return fmt.Errorf("gateway: members of %s: %w", p.room(), err)
	}
	return nil
}

// listMembers puts those behind the first page on the room's lists: who is there can be asked for, although not everybody is shown.
func (p *portal) listMembers(ctx context.Context, i *instance, next sdk.Cursor) {
	codec := p.b.codecNow()
	for listed := 0; next != "" && codec != nil && listed < p.b.m.o.Tune.MaxListed; {
		info, err := i.remote.ChatInfo(ctx, sdk.ChatInfoRequest{Portal: p.remote(), Members: 500, After: next})
		if err != nil || len(info.Members) == 0 || info.NextMembers == next {
			return
		}
		lists := map[string]string{}
		for _, m := range info.Members {
			if a, err := codec.User(m.User.ID); err == nil && validID(string(m.User.ID)) {
				lists[a.JID.String()] = mappings.StandingOf(m.Role).Affiliation
			}
		}
		if err := p.b.m.rooms.EnsureRoom(ctx, event.RoomSpec{Room: p.room(), Affiliations: lists}); err != nil {
			p.b.log.Warn("members could not be listed", "room", p.room().String(), "error", err)
			return
		}
		listed += len(lists)
		next = info.NextMembers
	}
}

// peopled tells whether somebody of this side is in the room.
func (p *portal) peopled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.people) > 0
}

// refresh asks an instance of the plugin once how a room is now and who is in it: after a start nobody of the network is.
func (p *portal) refresh(i *instance) {
	p.mu.Lock()
	todo := p.fresh != i && !p.state.Gone && !p.room().IsZero()
	p.fresh = i
	p.mu.Unlock()
	if !todo {
		return
	}
	p.b.m.run(func(context.Context) {
		ctx, cancel := context.WithTimeout(i.ctx, p.b.m.o.Tune.JoinTimeout)
		defer cancel()
		info, err := i.remote.ChatInfo(ctx, sdk.ChatInfoRequest{Portal: p.remote(), Members: p.b.m.o.Tune.MaxOccupants, Active: true})
		if err == nil {
			err = p.describe(ctx, i, info)
		}
		if err != nil && ctx.Err() == nil {
			p.b.log.Warn("a room could not be refreshed", "room", p.room().String(), "error", err)
		}
	})
}

// makeRoom makes a puppet leave if the room is full, the one that the map gives first: an arbitrary one. Those who speak come back.
func (p *portal) makeRoom(ctx context.Context) {
	if !p.full() {
		return
	}
	from := p
	var out jid.JID
	for _, q := range append([]*portal{p}, p.others()...) {
		q.mu.Lock()
		for j := range q.present {
			from, out = q, j
			break
		}
		q.mu.Unlock()
		if !out.IsZero() {
			break
		}
	}
	if out.IsZero() {
		return
	}
	if err := from.set(ctx, []event.OccupantChange{{Puppet: out, Leave: true}}); err != nil {
		p.b.log.Warn("a full room could not be thinned", "room", p.room().String(), "error", err)
	}
}

// seePeople keeps account of the XMPP people in a room: their sessions and nicks.
func (p *portal) enter(bare jid.JID, nick string) (first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.people[bare]++
	p.guests[bare] = nick
	return p.people[bare] == 1
}

func (p *portal) leave(bare jid.JID, last bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.people[bare]--
	if last || p.people[bare] <= 0 {
		delete(p.people, bare)
		delete(p.guests, bare)
	}
}
