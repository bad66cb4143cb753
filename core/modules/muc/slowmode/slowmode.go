// Package slowmode lets people wait between two messages in a room whose owner wants it (XEP-0500).
//
// It is a feature of the rooms of core/modules/muc (see package plug). What it is not: a bound on traffic of the server; those are where clients connect.
//
// Goroutines: none; see package plug.
//
//	features := []func() plug.Hooks{slowmode.Feature}
package slowmode

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/plug"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/payload/hints"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// Feature is the feature.
func Feature() plug.Hooks {
	return plug.Hooks{Guard: check, Record: record, Load: load, Info: info, Configure: configure, Tables: []string{Table}, PersonTables: []string{Table},
		Forget: func(r plug.Room, who jid.JID) { delete(paceOf(r).last, who.Bare()) }}
}

// info: §5.2: 0 says that it is off.
func info(r plug.Room, f *form.Form) []string {
	if f != nil {
		f.Add(form.Field{Var: "muc#roominfo_slow_mode_duration", Type: form.TextSingle, Label: "Seconds between two messages",
			Values: []string{strconv.Itoa(r.State().Config.SlowMode)}})
	}
	return nil
}

func configure(r plug.Room, u *journal.Unit, c room.Config) {
	if r.State().Config.SlowMode > 0 && c.SlowMode == 0 {
		u.Add(storage.DeleteRows{Table: Table, Owner: r.JID().String()})
	}
}

// Table holds who has to wait: owner room, key bare JID. It has the rows of those who are in memory, so that a room that rests, or the
// server that starts again, lets nobody off.
const Table = "muc.pace"

// lastWord is when somebody has said something, and which message it was.
type lastWord struct {
	At  time.Time `json:"at"`
	Sum string    `json:"sum"`
}

// sumOf is what a message and its repetition have in common, as text.
func sumOf(st *stanza.Stanza) string {
	sum := room.Repetition(st)
	return hex.EncodeToString(sum[:])
}

// pace remembers by bare JID, so that all sessions and nicks of a person wait together (XEP-0500 §9). Who has waited long enough is forgotten
// when the map has doubled.
type pace struct {
	last  map[jid.JID]lastWord
	sweep int // size at which those who have waited are forgotten
}

type paceKey struct{}

func paceOf(r plug.Room) *pace {
	return r.Memory(paceKey{}, func() any { return &pace{last: map[jid.JID]lastWord{}} }).(*pace) //nolint:forcetypeassert // made here
}

// note remembers a word and returns who has waited long enough and is forgotten.
func (p *pace) note(who jid.JID, w lastWord, wait time.Duration) (forgotten []jid.JID) {
	if len(p.last) >= p.sweep {
		for j, l := range p.last {
			if w.At.Sub(l.At) >= wait {
				delete(p.last, j)
				forgotten = append(forgotten, j)
			}
		}
		p.sweep = 2*len(p.last) + 64
	}
	p.last[who] = w
	return forgotten
}

// record remembers a message in the unit that stores it. A repetition is none: it is not shown, and prolongs nothing.
func record(r plug.Room, m *event.RoomMessage) {
	if !paced(r, m) {
		return
	}
	p := paceOf(r)
	who := m.Occupant.Real.Bare()
	w := lastWord{At: r.Now(), Sum: sumOf(m.Stanza)}
	before, known := p.last[who]
	if known && before.Sum == w.Sum && w.At.Sub(before.At) < wait(r) {
		return
	}
	for _, j := range p.note(who, w, wait(r)) {
		if j != who {
			m.Unit.Add(storage.DeleteRow{Table: Table, Owner: r.JID().String(), Key: j.String()})
		}
	}
	b, err := json.Marshal(w)
	if err != nil { // plain values only: cannot happen
		panic(fmt.Sprintf("muc: encode pace: %v", err))
	}
	m.Unit.Add(storage.PutRow{Table: Table, Owner: r.JID().String(), Key: who.String(), Value: b})
	if !known { // else there is one
		r.Trace(m.Unit, who.String())
	}
	m.Unit.After(r.Queue(), func(err error) {
		if err == nil || p.last[who] != w {
			return
		}
		if delete(p.last, who); known { // she has said nothing
			p.last[who] = before
		}
	})
}

// load reads who has to wait, and forgets who has waited.
func load(r plug.Room) error {
	if r.State().Config.SlowMode == 0 {
		return nil
	}
	const page = 500
	u, now := r.Unit(), r.Now()
	p := paceOf(r)
	for from := ""; ; {
		rows, err := r.Table(Table).Range(r.Context(), r.JID().String(), from, "", page, false)
		if err != nil {
			return fmt.Errorf("muc: load pace: %w", err)
		}
		for _, row := range rows {
			from = row.Key + "\x00"
			var w lastWord
			who, err := jid.Parse(row.Key)
			if err == nil {
				err = json.Unmarshal(row.Value, &w)
			}
			switch {
			case err != nil:
				return fmt.Errorf("muc: load pace of %s: %w", row.Key, err)
			case now.Sub(w.At) < wait(r):
				p.last[who] = w
			default:
				u.Add(storage.DeleteRow{Table: Table, Owner: r.JID().String(), Key: row.Key})
			}
		}
		if len(rows) < page {
			break
		}
	}
	if !u.Empty() {
		r.Submit(u)
	}
	return nil
}

// wait is how long people wait.
func wait(r plug.Room) time.Duration { return time.Duration(r.State().Config.SlowMode) * time.Second }

// paced tells whether a message counts: it has a body (§6), and its sender is neither an admin nor an owner.
func paced(r plug.Room, m *event.RoomMessage) bool {
	return r.State().Config.SlowMode > 0 && m.Stanza.Payload.Has(ns.Client, "body") && r.State().Affiliation(m.Occupant.Real) < room.Admin
}

// check: XEP-0500 §6. A repetition of the last message passes: that it is one is found out when it is stored. One that is not stored is shown again,
// so it waits.
func check(r plug.Room, m *event.RoomMessage) error {
	if !paced(r, m) {
		return nil
	}
	l, ok := paceOf(r).last[m.Occupant.Real.Bare()]
	if !ok || l.Sum == sumOf(m.Stanza) && r.Archived() && hints.Payload(m.Stanza.Payload).Archive() {
		return nil
	}
	left := wait(r) - r.Now().Sub(l.At)
	if left <= 0 {
		return nil
	}
	return &stanza.Error{Condition: stanza.PolicyViolation, Type: "wait", Text: fmt.Sprintf(
		"In this room you wait %d seconds between two messages. Try again in %d seconds.", r.State().Config.SlowMode, int(left.Seconds())+1)}
}
