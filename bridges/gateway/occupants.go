package gateway

import (
	"context"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
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
	if len(list) == 0 {
		return nil
	}
	if err := p.b.m.rooms.SetOccupants(ctx, p.room, list); err != nil {
		return fmt.Errorf("gateway: occupants of %s: %w", p.room, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range list {
		if c.Leave {
			delete(p.present, c.Puppet)
		} else {
			p.present[c.Puppet] = c.Nick
		}
	}
	return nil
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
	for _, m := range members {
		if m.User.ID == "" || !validID(string(m.User.ID)) {
			continue // a ghost of ours, or nobody
		}
		q, err := p.b.puppets.ensure(ctx, m.User.ID, p.remote(), &m.User)
		if err != nil {
			return err
		}
		p.mu.Lock()
		_, here := p.present[q.jid]
		room := p.b.m.o.Tune.MaxOccupants - len(p.present) - len(list)
		p.mu.Unlock()
		if !here && room <= 0 {
			break
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
	return p.set(ctx, list)
}

// makeRoom makes a puppet leave if the room is full, the one that the map gives first: an arbitrary one. Those who speak come back.
func (p *portal) makeRoom(ctx context.Context) {
	p.mu.Lock()
	var out jid.JID
	if len(p.present) >= p.b.m.o.Tune.MaxOccupants {
		for j := range p.present {
			out = j
			break
		}
	}
	p.mu.Unlock()
	if out.IsZero() {
		return
	}
	if err := p.set(ctx, []event.OccupantChange{{Puppet: out, Leave: true}}); err != nil {
		p.b.log.Warn("a full room could not be thinned", "room", p.room.String(), "error", err)
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
