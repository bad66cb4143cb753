package muc

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/payload/hints"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// slowModeFeature: whoever has said something waits before she says something again (XEP-0500).
func slowModeFeature(d *dispatch) {
	d.guards = append(d.guards, (*actor).checkPace)
	d.records = append(d.records, func(a *actor, m *event.RoomMessage) {
		if a.paced(m) {
			a.extra.pace.note(m.Occupant.Real.Bare(), lastWord{at: a.m.d.Clock.Now(), sum: repetition(m.Stanza)}, a.slowMode())
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

// lastWord is when somebody has said something, and which message it was.
type lastWord struct {
	at  time.Time
	sum [sha256.Size]byte
}

// pace remembers by bare JID, so that all sessions and nicks of a person wait together (XEP-0500 §9). Who has waited long enough is forgotten
// when the map has doubled.
type pace struct {
	last  map[jid.JID]lastWord
	sweep int // size at which those who have waited are forgotten
}

func (p *pace) note(who jid.JID, w lastWord, wait time.Duration) {
	if p.last == nil {
		p.last = map[jid.JID]lastWord{}
	}
	if len(p.last) >= p.sweep {
		for j, l := range p.last {
			if w.at.Sub(l.at) >= wait {
				delete(p.last, j)
			}
		}
		p.sweep = 2*len(p.last) + 64
	}
	p.last[who] = w
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
	if !ok || l.sum == repetition(m.Stanza) && !a.m.o.NoArchive && hints.Payload(m.Stanza.Payload).Archive() {
		return nil
	}
	left := a.slowMode() - a.m.d.Clock.Now().Sub(l.at)
	if left <= 0 {
		return nil
	}
	return &stanza.Error{Condition: stanza.PolicyViolation, Type: "wait", Text: fmt.Sprintf(
		"In this room you wait %d seconds between two messages. Try again in %d seconds.", a.room.Config.SlowMode, int(left.Seconds())+1)}
}
