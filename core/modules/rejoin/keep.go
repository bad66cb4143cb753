package rejoin

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
)

// What is known of a session that can be resumed outlives a clean stop of the server. Passwords do not: they are in memory only.

const part = "rejoin"

// keptSeat is one room of a kept session. Fields may be added, never renamed.
type keptSeat struct {
	Room    string            `json:"room"`
	Nick    string            `json:"nick"`
	Shown   string            `json:"shown,omitempty"`
	Last    string            `json:"last,omitempty"`
	Since   time.Time         `json:"since"`
	Subject uint64            `json:"subject,omitempty"`
	Recent  []uint64          `json:"recent,omitempty"`
	Known   map[string]uint64 `json:"known,omitempty"` // absent: everything is shown again
}

// perOccupant is about what an occupant takes beside the nick.
const perOccupant = 24

// saving keeps the seats of a session.
func (m *Module) saving(_ context.Context, v *event.SessionState) error {
	full := v.Session.Info().JID
	a := m.accounts.get(full.Bare())
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []keptSeat
	bytes := 0
	for _, p := range a.places {
		s := p.seat(full)
		if s == nil || s.state == entering {
			continue
		}
		k := keptSeat{Room: p.room.String(), Nick: s.nick, Shown: s.shown, Last: s.last, Since: s.since, Subject: s.subject, Recent: s.recent[:]}
		if s.r != nil && s.state != filling { // what waits is lost, and is in the gap
			k.Last, k.Since = s.r.after, s.r.begin
		}
		size := 0
		for nick := range s.known.list {
			size += len(nick) + perOccupant
		}
		if bytes+size <= maxKept && !s.known.over {
			bytes += size
			k.Known = s.known.list
		}
		list = append(list, k)
	}
	if len(list) == 0 {
		return nil
	}
	b, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("rejoin: keep session: %w", err)
	}
	v.Parts[part] = b
	return nil
}

// restored puts them back. The rooms are asked as soon as the client is there: they may have given it up while the server was away.
func (m *Module) restored(_ context.Context, v *event.SessionState) error {
	b, ok := v.Parts[part]
	if !ok {
		return nil
	}
	var list []keptSeat
	if err := json.Unmarshal(b, &list); err != nil {
		return fmt.Errorf("rejoin: restore session: %w", err)
	}
	full := v.Session.Info().JID
	a := m.accounts.make(m, full.Bare())
	defer a.mu.Unlock()
	for _, k := range list {
		room, err := jid.Parse(k.Room)
		if err != nil {
			return fmt.Errorf("rejoin: restore session: %w", err)
		}
		s := a.add(full, room)
		if s == nil {
			break
		}
		s.state, s.nick, s.shown, s.last, s.since, s.subject = joined, k.Nick, k.Shown, k.Last, k.Since, k.Subject
		copy(s.recent[:], k.Recent)
		s.known.over = k.Known == nil
		for nick, hash := range k.Known {
			s.known.note(m, nick, hash)
		}
		s.p.due = true
		s.p.arm(m.jittered(m.o.Silent))
	}
	if len(a.places) == 0 {
		a.post(func() { m.accounts.drop(a) })
	}
	return nil
}
