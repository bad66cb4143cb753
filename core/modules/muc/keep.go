package muc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// A clean stop does not put people out: a session that can be resumed (XEP-0198) keeps the rooms that it is in, and is in them again after the
// start, before its client comes back. Nobody is told anything, because nothing has changed.

// tableKept holds the temporary rooms with such sessions (owner: host, key: room), which must not be swept at the start.
const tableKept = "muc.kept"

const keptPart = "muc"

// keptRoom is one room of a kept session. Fields may be added, never renamed.
type keptRoom struct {
	Room string    `json:"room"`
	Nick string    `json:"nick"`
	Role room.Role `json:"role"`
	Show string    `json:"show,omitempty"`
	// Lists is the version of the lists that she has (XEP-0463), and one; 0: she has not asked.
	Lists int64 `json:"lists,omitempty"`
}

// saving writes the rooms of a session that is kept across a stop.
func (m *Module) saving(ctx context.Context, v *event.SessionState) error {
	full := v.Session.Info().JID
	var list []keptRoom
	u := journal.NewUnit(journal.Lane{})
	for _, at := range m.joined.of(full) {
		// When ctx ends first the room comes to it later: what it finds then belongs to nobody, so it is handed over and not shared.
		type kept struct {
			keptRoom
			temporary bool
		}
		found := make(chan kept, 1)
		err := m.call(ctx, at, exclusive, func(a *actor, _ *inbound, done func(error)) {
			defer done(nil)
			if a.room == nil {
				return
			}
			if o := a.room.BySession(full); o != nil {
				k := kept{keptRoom{Room: at.String(), Nick: o.Nick, Role: o.Role, Show: o.Presence.String()}, temporary(a.room.Config)}
				if v, ok := a.extra.lists.watch[full]; ok {
					k.Lists = v + 1
				}
				found <- k
			}
		})
		if err != nil {
			return fmt.Errorf("muc: keep session: %w", err)
		}
		select {
		case k := <-found:
			list = append(list, k.keptRoom)
			if k.temporary {
				u.Add(storage.PutRow{Table: tableKept, Owner: at.Domain(), Key: at.String(), Value: []byte{1}})
			}
		default: // she is not there any more
		}
	}
	if len(list) == 0 {
		return nil
	}
	b, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("muc: keep session: %w", err)
	}
	v.Parts[keptPart] = b
	if !u.Empty() {
		m.d.Journal.Submit(u)
	}
	return nil
}

// restored puts a kept session back into its rooms.
func (m *Module) restored(_ context.Context, v *event.SessionState) error {
	b, ok := v.Parts[keptPart]
	if !ok {
		return nil
	}
	var list []keptRoom
	if err := json.Unmarshal(b, &list); err != nil {
		return fmt.Errorf("muc: restore session: %w", err)
	}
	full := v.Session.Info().JID
	var bad error
	for _, k := range list {
		at, err := jid.Parse(k.Room)
		h := m.hosts[at.Domain()]
		if err != nil || h == nil {
			bad = errors.Join(bad, fmt.Errorf("muc: restore session: room %q: %w", k.Room, errors.Join(err, ErrNoHost)))
			continue
		}
		m.post(h, at, func(a *actor) {
			a.accept(task{class: exclusive, run: func(a *actor, _ *inbound) { a.comeBack(full, k) }})
		})
	}
	return bad
}

// comeBack is entering without a word.
func (a *actor) comeBack(full jid.JID, k keptRoom) {
	if a.room == nil || a.room.BySession(full) != nil || a.room.Affiliation(full) == room.Outcast {
		return
	}
	if _, err := a.room.CheckNick(full, k.Nick); err != nil {
		return
	}
	show, err := xmlstream.ParseFragment([]byte(k.Show))
	if err != nil {
		a.m.d.Log.Error("the presence of a kept occupant could not be read", "room", a.jid.String(), "err", err)
		return
	}
	o, _ := a.room.Enter(full, k.Nick, k.Role)
	o.SetPresence(show)
	a.hear.valid = false
	a.arrived(full)
	if k.Lists > 0 {
		a.extra.lists.note(full, k.Lists-1)
	}
}

// shutDown tells the occupants of other servers, whose sessions are not kept, that the service goes (XEP-0045 §11.2).
func (a *actor) shutDown() {
	if a.room == nil {
		return
	}
	for _, o := range a.room.Occupants() {
		for _, s := range o.Sessions {
			if a.m.d.Hosts.IsAccountDomain(s.Domain()) {
				continue
			}
			n := notice{o: o, typ: stanza.TypeUnavailable, aff: a.room.Affiliation(o.Bare), role: room.NoRole, status: []int{332}}
			a.tellSelf(n, s)
		}
	}
}

// sweepTemporary removes the temporary rooms that an earlier run has left, but for those whose occupants come back.
func (m *Module) sweepTemporary(ctx context.Context) error {
	for name := range m.hosts {
		kept, err := m.keys(ctx, tableKept, name)
		if err != nil {
			return err
		}
		rooms, err := m.keys(ctx, tableTemporary, name)
		if err != nil {
			return err
		}
		u := journal.NewUnit(journal.Lane{})
		for key := range rooms {
			if kept[key] {
				continue
			}
			at, err := jid.Parse(key)
			if err != nil {
				return fmt.Errorf("muc: start: temporary room: %w", err)
			}
			m.dropRoom(u, at)
		}
		if len(kept) > 0 {
			u.Add(storage.DeleteRows{Table: tableKept, Owner: name})
		}
		if u.Empty() {
			continue
		}
		// Nobody may see a room that is being removed: the service starts when it is done.
		done := make(chan error, 1)
		u.After(direct{}, func(err error) { done <- err })
		m.d.Journal.Submit(u)
		select {
		case err := <-done:
			if err != nil {
				return fmt.Errorf("muc: start: remove temporary rooms: %w", err)
			}
		case <-ctx.Done():
			return fmt.Errorf("muc: start: %w", ctx.Err())
		}
	}
	return nil
}

// keys returns all keys of an owner in a table.
func (m *Module) keys(ctx context.Context, table, owner string) (map[string]bool, error) {
	const page = 500
	out := map[string]bool{}
	for from := ""; ; {
		rows, err := m.d.Store.Table(table).Range(ctx, owner, from, "", page, false)
		if err != nil {
			return nil, fmt.Errorf("muc: start: read %s: %w", table, err)
		}
		for _, r := range rows {
			out[r.Key] = true
			from = r.Key + "\x00"
		}
		if len(rows) < page {
			return out, nil
		}
	}
}
