package muc

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/search"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// searchFeature: finding public rooms of the service by words (XEP-0433), in the asker's goroutine.
func searchFeature(d *dispatch) {
	d.routes = append(d.routes, func(m *Module) module.IQRoute {
		m.finder = search.New(search.Options{Rooms: m.d.Store.Rooms(), Now: m.d.Clock.Now, Occupied: m.occupied, Seats: m.seats, Rate: m.o.Searches})
		return module.IQRoute{Scope: Scope, Type: stanza.TypeGet, Space: ns.ChannelSearch, Local: "search", Handle: m.search}
	})
}

func (m *Module) search(ctx context.Context, req *module.Request) (*xmlstream.Node, error) {
	h := m.hosts[req.Target().Domain()]
	if h == nil || req.Target().HasLocal() || req.Target().IsFull() {
		return nil, notHere()
	}
	from := req.IQ.From
	return m.finder.Answer(ctx, h.spec.Name, from, m.d.Hosts.IsAccountDomain(from.Domain()), req.Query.Node())
}

// occupied returns how many are in the rooms of a host that are in memory and not empty. What is counted may be a moment old.
func (m *Module) occupied(host string) map[jid.JID]int {
	out := map[jid.JID]int{}
	m.rooms.each(func(a *actor) {
		if n := int(a.seats.Load()); n > 0 && a.jid.Domain() == host {
			out[a.jid] = n
		}
	})
	return out
}

// seats returns how many are in a room.
func (m *Module) seats(at jid.JID) int {
	if a := m.rooms.find(at); a != nil {
		return int(a.seats.Load())
	}
	return 0
}

// census notes how many are in the room; it is called by the room's goroutine when it has done something.
func (a *actor) census() {
	n := 0
	if a.room != nil {
		n = a.room.Len()
	}
	a.seats.Store(int64(n))
}
