package muc

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// What rooms keep of a person beside her affiliation goes with her account, so there is a way from her to them: the lists of rooms know only
// those who are in them, and hats, voice and the pace of slow mode are also for people who are on no list.

// tableTraces: owner bare JID, key room. A row may outlive what it points at: then there is nothing to remove.
const tableTraces = "muc.traces"

// trace adds the row that says that this room keeps something of a person.
func (a *actor) trace(u *journal.Unit, bare string) {
	u.Add(storage.PutRow{Table: tableTraces, Owner: bare, Key: a.jid.String(), Value: []byte{1}})
}

// tracesOf returns the rooms that keep something of a person.
func (m *Module) tracesOf(ctx context.Context, bare string) ([]string, error) {
	const page = 500
	var out []string
	for from := ""; ; {
		rows, err := m.d.Store.Table(tableTraces).Range(ctx, bare, from, "", page, false)
		if err != nil {
			return nil, fmt.Errorf("muc: read traces: %w", err)
		}
		for _, r := range rows {
			out = append(out, r.Key)
			from = r.Key + "\x00"
		}
		if len(rows) < page {
			return out, nil
		}
	}
}

// erase adds the rows that remove what a room keeps of a person beside her affiliation.
func (m *Module) erase(ctx context.Context, u *journal.Unit, at, bare string) error {
	for _, t := range m.dispatch.personTables {
		u.Add(storage.DeleteRow{Table: t, Owner: at, Key: bare})
	}
	rows, err := m.d.Store.Table(tableTokens).Range(ctx, at, "", "", maxTokens, false)
	if err != nil {
		return fmt.Errorf("muc: read tokens: %w", err)
	}
	for _, r := range rows {
		var t token
		if err := json.Unmarshal(r.Value, &t); err != nil {
			return fmt.Errorf("muc: read tokens: %w", err)
		}
		if t.By == bare {
			u.Add(storage.DeleteRow{Table: tableTokens, Owner: at, Key: r.Key})
		}
	}
	return nil
}

// forgetPerson makes the room in memory forget what erase has removed.
func (a *actor) forgetPerson(who jid.JID) {
	bare := who.Bare().String()
	if a.requests != nil {
		a.requests.remove(bare)
	}
	a.room.SetVoice(bare, room.NoRole)
	for _, f := range a.m.dispatch.forgets {
		f(a, who)
	}
	for text, t := range a.extra.tokens {
		if t.By == bare {
			delete(a.extra.tokens, text)
		}
	}
}

// tableLeaving: owner host, key room and bare JID, value the affiliation that she had: rooms that have not heard yet that an account is gone.
const tableLeaving = "muc.leaving"

// leaving is one row of it.
type leaving struct {
	room, who jid.JID
	was       string
}

func (l leaving) row() storage.PutRow {
	return storage.PutRow{Table: tableLeaving, Owner: l.room.Domain(), Key: l.key(), Value: []byte(l.was)}
}

func (l leaving) key() string { return l.room.String() + " " + l.who.String() }

// parseLeaving reads a row. No bare JID has a blank in it.
func parseLeaving(r storage.Row) (leaving, error) {
	at, who, _ := strings.Cut(r.Key, " ")
	l := leaving{was: string(r.Value)}
	var err error
	if l.room, err = jid.Parse(at); err == nil {
		l.who, err = jid.Parse(who)
	}
	if err != nil {
		return l, fmt.Errorf("muc: read who is leaving: %w", err)
	}
	return l, nil
}
