package rejoin

import (
	"hash/fnv"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// known is what a client has been shown of the occupants of a room: a hash of each one's presence by nick. When there are too many it knows nothing
// and says so; then everything is shown to the client again.
type known struct {
	list map[string]uint64
	over bool
}

// note notes a presence and tells whether it is news to the client.
func (k *known) note(m *Module, nick string, hash uint64) bool {
	if k.over {
		return true
	}
	old, ok := k.list[nick]
	if ok {
		k.list[nick] = hash
		return old != hash
	}
	if len(k.list) >= m.o.Occupants || m.known.Add(1) > int64(m.o.AllOccupants) {
		if len(k.list) < m.o.Occupants {
			m.known.Add(-1)
		}
		k.clear(m)
		k.over = true
		return true
	}
	if k.list == nil {
		k.list = map[string]uint64{}
	}
	k.list[strings.Clone(nick)] = hash
	return true
}

// remove forgets an occupant and tells whether the client knew of it.
func (k *known) remove(m *Module, nick string) bool {
	if _, ok := k.list[nick]; ok {
		delete(k.list, nick)
		m.known.Add(-1)
		return true
	}
	return k.over
}

// clear forgets all.
func (k *known) clear(m *Module) {
	m.known.Add(-int64(len(k.list)))
	k.list, k.over = nil, false
}

// presenceHash is equal for presences that show the same: without the id, which answers one's own, and the status codes, which differ between
// entering and being there. It is stored, so it has no secret: whoever makes two that are alike hides something of himself only.
func presenceHash(st *stanza.Stanza) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(st.Type))
	for c := range st.Payload.All() {
		if !c.Is(ns.MUCUser, "x") {
			_, _ = h.Write(c.Raw())
			continue
		}
		for n := range c.Node().Elements() {
			if n.Name.Local != "status" {
				_, _ = h.Write(xmlstream.AppendNode(nil, n, ""))
			}
		}
	}
	return h.Sum64()
}

// seen: somebody is there, or shows something else.
func (s *seat) seen(in *incoming) bool {
	s.known.note(s.p.a.m, in.nick, presenceHash(in.st))
	return true
}

// left: somebody is gone.
func (s *seat) left(in *incoming) bool {
	s.known.remove(s.p.a.m, in.nick)
	return true
}

// compared: the room shows who is there to the session, which it takes for one that has just come. The client is shown what it does not know.
func (s *seat) compared(in *incoming) bool {
	if r := s.r; r.seen != nil && !s.known.over {
		r.seen[strings.Clone(in.nick)] = true
	}
	if in.nick == s.nick {
		s.r.usurper = in.st
		return false
	}
	if s.known.note(s.p.a.m, in.nick, presenceHash(in.st)) {
		return s.show(in.st)
	}
	return false
}

// missing: somebody goes while the room shows who is there.
func (s *seat) missing(in *incoming) bool {
	delete(s.r.seen, in.nick)
	if in.nick == s.nick {
		s.r.usurper = nil
		return false
	}
	if s.known.remove(s.p.a.m, in.nick) {
		return s.show(in.st)
	}
	return false
}

// showWhoLeft shows the client that those are gone whom the room has not shown.
func (s *seat) showWhoLeft(own string) {
	m := s.p.a.m
	for nick := range s.known.list {
		if nick == "" || nick == own || nick == s.nick || s.r.seen[nick] {
			continue
		}
		x := xmlstream.NewNode(ns.MUCUser, "x")
		x.AddNew("item", "affiliation", "none", "role", "none")
		s.show(s.fromOccupant(nick, stanza.TypeUnavailable, x))
		s.known.remove(m, nick)
	}
}

// setNick notes under which nick the session is in the room.
func (s *seat) setNick(nick string) {
	if nick != "" && nick != s.nick {
		s.nick = strings.Clone(nick)
	}
}
