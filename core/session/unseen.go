package session

import (
	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// unseen tells whether nobody looks at what the session gets now, and somebody wants to know of it; mu is held.
func (s *Session) unseen() bool {
	if info := s.info.Load(); !info.Detached && !info.Has(event.FlagInactive) {
		return false
	}
	return s.m.o.Events.C2S.Unseen.Has(event.After)
}

// untold returns the messages of the ring that nobody was told of, and marks them; mu is held.
func (s *Session) untold() []Item {
	if !s.m.o.Events.C2S.Unseen.Has(event.After) {
		return nil
	}
	var out []Item
	for i := range s.ring.n {
		if e := s.ring.at(i); !e.told && e.wire.Kind == stanza.Message {
			e.told = true
			out = append(out, Item{Wire: e.wire, To: e.to})
		}
	}
	return out
}

// tellUnseen fires event.C2S.Unseen for the messages among items.
func (s *Session) tellUnseen(items []Item) {
	for i := range items {
		if it := &items[i]; it.Wire.Kind == stanza.Message {
			_ = s.m.o.Events.C2S.Unseen.Fire(s.m.ctx, &event.Unseen{Session: s, Wire: it.Wire, To: it.To}) // told only
		}
	}
}
