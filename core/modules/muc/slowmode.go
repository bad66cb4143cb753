package muc

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/payload/hints"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// slowModeFeature: whoever has said something waits before she says something again (XEP-0500).
func slowModeFeature(d *dispatch) {
	d.guards = append(d.guards, (*actor).checkPace)
	d.records = append(d.records, (*actor).recordPace)
	d.loads = append(d.loads, (*actor).loadPace)
	d.configures = append(d.configures, func(a *actor, u *journal.Unit, c room.Config) {
		if a.room.Config.SlowMode > 0 && c.SlowMode == 0 {
			u.Add(storage.DeleteRows{Table: tablePace, Owner: a.jid.String()})
		}
	})
	d.info = append(d.info, func(a *actor, _ jid.JID, f *form.Form) []string {
		if f != nil { // §5.2: 0 says that it is off
			f.Add(form.Field{Var: "muc#roominfo_slow_mode_duration", Type: form.TextSingle, Label: "Seconds between two messages",
				Values: []string{strconv.Itoa(a.room.Config.SlowMode)}})
		}
		return nil
	})
}

// tablePace holds who has to wait: owner room, key bare JID. It has the rows of those who are in memory, so that a room that rests, or the
// server that starts again, lets nobody off.
const tablePace = "muc.pace"

// lastWord is when somebody has said something, and which message it was.
type lastWord struct {
	At  time.Time `json:"at"`
	Sum string    `json:"sum"`
}

// sumOf is what a message and its repetition have in common, as text.
func sumOf(st *stanza.Stanza) string {
	sum := repetition(st)
	return hex.EncodeToString(sum[:])
}

// pace remembers by bare JID, so that all sessions and nicks of a person wait together (XEP-0500 §9). Who has waited long enough is forgotten
// when the map has doubled.
type pace struct {
	last  map[jid.JID]lastWord
	sweep int // size at which those who have waited are forgotten
}

// note remembers a word and returns who has waited long enough and is forgotten.
func (p *pace) note(who jid.JID, w lastWord, wait time.Duration) (forgotten []jid.JID) {
	if p.last == nil {
		p.last = map[jid.JID]lastWord{}
	}
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

// recordPace remembers a message in the unit that stores it. A repetition is none: it is not shown, and prolongs nothing.
func (a *actor) recordPace(m *event.RoomMessage) {
	if !a.paced(m) {
		return
	}
	who := m.Occupant.Real.Bare()
	w := lastWord{At: a.m.d.Clock.Now(), Sum: sumOf(m.Stanza)}
	before, known := a.extra.pace.last[who]
	if known && before.Sum == w.Sum && w.At.Sub(before.At) < a.slowMode() {
		return
	}
	for _, j := range a.extra.pace.note(who, w, a.slowMode()) {
		if j != who {
			m.Unit.Add(storage.DeleteRow{Table: tablePace, Owner: a.jid.String(), Key: j.String()})
		}
	}
	b, err := json.Marshal(w)
	if err != nil { // plain values only: cannot happen
		panic(fmt.Sprintf("muc: encode pace: %v", err))
	}
	m.Unit.Add(storage.PutRow{Table: tablePace, Owner: a.jid.String(), Key: who.String(), Value: b})
	if !known { // else there is one
		a.trace(m.Unit, who.String())
	}
	r := a.room
	m.Unit.After(a.q, func(err error) {
		if err == nil || a.room != r || a.extra.pace.last[who] != w {
			return
		}
		if delete(a.extra.pace.last, who); known { // she has said nothing
			a.extra.pace.last[who] = before
		}
	})
}

// loadPace reads who has to wait, and forgets who has waited.
func (a *actor) loadPace() error {
	if a.room.Config.SlowMode == 0 {
		return nil
	}
	const page = 500
	u, now := a.unit(), a.m.d.Clock.Now()
	a.extra.pace.last = map[jid.JID]lastWord{}
	for from := ""; ; {
		rows, err := a.m.d.Store.Table(tablePace).Range(a.ctx, a.jid.String(), from, "", page, false)
		if err != nil {
			return fmt.Errorf("muc: load pace: %w", err)
		}
		for _, r := range rows {
			from = r.Key + "\x00"
			var w lastWord
			who, err := jid.Parse(r.Key)
			if err == nil {
				err = json.Unmarshal(r.Value, &w)
			}
			switch {
			case err != nil:
				return fmt.Errorf("muc: load pace of %s: %w", r.Key, err)
			case now.Sub(w.At) < a.slowMode():
				a.extra.pace.last[who] = w
			default:
				u.Add(storage.DeleteRow{Table: tablePace, Owner: a.jid.String(), Key: r.Key})
			}
		}
		if len(rows) < page {
			break
		}
	}
	if !u.Empty() {
		a.m.d.Journal.Submit(u)
	}
	return nil
}

func (a *actor) slowMode() time.Duration { return time.Duration(a.room.Config.SlowMode) * time.Second }

// paced tells whether a message counts: it has a body (§6), and its sender is neither an admin nor an owner.
func (a *actor) paced(m *event.RoomMessage) bool {
	return a.room.Config.SlowMode > 0 && m.Stanza.Payload.Has(ns.Client, "body") && a.room.Affiliation(m.Occupant.Real) < room.Admin
}

// checkPace: XEP-0500 §6. A repetition of the last message passes: that it is one is found out when it is stored. One that is not stored is shown again,
// so it waits.
func (a *actor) checkPace(m *event.RoomMessage) error {
	if !a.paced(m) {
		return nil
	}
	l, ok := a.extra.pace.last[m.Occupant.Real.Bare()]
	if !ok || l.Sum == sumOf(m.Stanza) && !a.m.o.NoArchive && hints.Payload(m.Stanza.Payload).Archive() {
		return nil
	}
	left := a.slowMode() - a.m.d.Clock.Now().Sub(l.At)
	if left <= 0 {
		return nil
	}
	return &stanza.Error{Condition: stanza.PolicyViolation, Type: "wait", Text: fmt.Sprintf(
		"In this room you wait %d seconds between two messages. Try again in %d seconds.", a.room.Config.SlowMode, int(left.Seconds())+1)}
}
