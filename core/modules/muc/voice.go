package muc

import (
	"fmt"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// Voice: asking for it (XEP-0045 §7.13), granting it (§8.6), and keeping what moderators have decided (§5.1).

// askRate bounds how often one occupant asks.
var askRate = room.Rate{Size: 1, Every: 5 * time.Minute}

// maxAsked bounds how many forms a moderator is shown on entering.
const maxAsked = 20

func (a *actor) voice(in *inbound, f *form.Form) {
	if room.IsVoiceAnswer(f) {
		a.answerVoice(in, f)
		return
	}
	o := a.room.BySession(in.st.From)
	if err := a.room.MayAskForVoice(o, f); err != nil {
		a.refuse(in, err)
		return
	}
	if !o.Asks.Take(askRate, a.m.d.Clock.Now()) {
		a.refuse(in, &stanza.Error{Condition: stanza.ResourceConstraint, Type: "wait", Text: "you have asked already; wait for an answer"})
		return
	}
	o.VoiceAsked = true
	a.m.d.Journal.Submit(in.u)
	a.fan(a.formMessage(room.VoiceForm(o)), a.audience().mods)
}

// answerVoice carries out what a moderator has decided.
func (a *actor) answerVoice(in *inbound, f *form.Form) {
	actor := a.room.ActorOf(in.st.From)
	o, allow, err := a.room.VoiceAnswer(actor, f)
	switch {
	case err != nil:
		a.refuse(in, err)
	case !allow || o.Role >= room.Participant: // refused, or another moderator was faster
		o.VoiceAsked = false
		a.m.d.Journal.Submit(in.u)
	default:
		a.order(in, &orders{actor: actor, by: a.valueOf(actor, in.st.From), roles: []roleChange{{o, room.Participant, ""}}}, nil)
	}
}

// appendVoiceRequests adds the requests that wait, if the occupant is one who can answer them.
func (a *actor) appendVoiceRequests(out []*packet, o *room.Occupant) []*packet {
	if o.Role != room.Moderator {
		return out
	}
	n := 0
	for _, v := range a.room.Occupants() {
		if v.VoiceAsked && n < maxAsked {
			n++
			out = append(out, &packet{st: a.formMessage(room.VoiceForm(v))})
		}
	}
	return out
}

// askNew shows a new moderator what waits for an answer.
func (a *actor) askNew(o *room.Occupant) {
	out := a.appendRequests(a.appendVoiceRequests(nil, o), o)
	if len(out) == 0 {
		return
	}
	for _, s := range o.Sessions {
		a.burst(s, out)
	}
}

// saveVoices adds the rows of what changes of roles leave behind.
func (a *actor) saveVoices(u *journal.Unit, changes []roleChange) {
	for _, c := range changes {
		bare := c.o.Bare.String()
		had, _ := a.room.Voice(bare)
		switch now := a.room.KeepsVoice(c.o, c.role); {
		case now == had:
		case now == room.NoRole:
			u.Add(storage.DeleteRow{Table: tableVoices, Owner: a.jid.String(), Key: bare})
		default:
			u.Add(storage.PutRow{Table: tableVoices, Owner: a.jid.String(), Key: bare, Value: []byte(now.String())})
			a.trace(u, bare)
		}
	}
}

// keepVoice is saveVoices in memory, after the commit and before the change.
func (a *actor) keepVoice(o *room.Occupant, role room.Role) {
	a.room.SetVoice(o.Bare.String(), a.room.KeepsVoice(o, role))
}

// loadVoices reads them.
func (a *actor) loadVoices() error {
	const page = 500
	for from := ""; ; {
		rows, err := a.m.d.Store.Table(tableVoices).Range(a.ctx, a.jid.String(), from, "", page, false)
		if err != nil {
			return fmt.Errorf("muc: load voices: %w", err)
		}
		for _, row := range rows {
			role, _ := room.ParseRole(string(row.Value))
			a.room.SetVoice(row.Key, role)
			from = row.Key + "\x00"
		}
		if len(rows) < page {
			return nil
		}
	}
}

// unmoderate gives voice to those who lack it only because the room was moderated when they came.
func (a *actor) unmoderate() {
	for _, o := range a.room.Occupants() {
		if v, taken := a.room.Voice(o.Bare.String()); o.Role == room.Visitor && !(taken && v == room.Visitor) {
			a.slowly(func() {
				if a.room != nil && o.Role == room.Visitor && !a.room.Config.Moderated {
					a.changeRole(o, room.Participant, "", "")
				}
			})
		}
	}
}
