package muc

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Requests for membership that wait for an admin, and what admins decide about them (XEP-0045 §9.9).

// requests are those who wait for approval, in the order in which they asked.
type requests struct {
	order []string // bare JIDs
	by    map[string]room.Membership
}

const (
	maxRequests = 100 // of one room
	maxTold     = 20  // absent admins who are told of a request
)

// toldRate bounds how often a room's admins are told of requests: who asks when it is used up is shown when an admin enters.
var toldRate = room.Rate{Size: 10, Every: time.Minute}

func (r *requests) has(bare string) bool { _, ok := r.by[bare]; return ok }

func (r *requests) put(bare string, m room.Membership) {
	if !r.has(bare) {
		r.order = append(r.order, bare)
	}
	r.by[bare] = m
}

func (r *requests) remove(bare string) {
	delete(r.by, bare)
	r.order = slices.DeleteFunc(r.order, func(s string) bool { return s == bare })
}

// waitingRequests reads them when they are first needed.
func (a *actor) waitingRequests() (*requests, error) {
	if a.requests != nil {
		return a.requests, nil
	}
	rows, err := a.m.d.Store.Table(tableRequests).Range(a.ctx, a.jid.String(), "", "", maxRequests, false)
	if err != nil {
		return nil, fmt.Errorf("muc: read requests: %w", err)
	}
	r := &requests{by: map[string]room.Membership{}}
	var bad error
	for _, row := range rows {
		var m room.Membership
		if err := json.Unmarshal(row.Value, &m); err != nil {
			bad = errors.Join(bad, fmt.Errorf("muc: read request of %s: %w", row.Key, err))
			continue
		}
		r.put(row.Key, m)
	}
	if bad != nil {
		return nil, bad
	}
	a.requests = r
	return r, nil
}

// request keeps a request until an admin decides, and tells the admins (§7.10, §9.9).
func (a *actor) request(in *inbound, m room.Membership) {
	bare := in.st.From.Bare().String()
	r, err := a.waitingRequests()
	if err == nil && !r.has(bare) && len(r.order) >= maxRequests {
		err = &stanza.Error{Condition: stanza.ResourceConstraint, Type: "wait", Text: "too many people wait for approval; try again later"}
	}
	if err != nil {
		a.refuse(in, stanza.AsError(err))
		return
	}
	b, err := json.Marshal(m)
	if err != nil {
		a.refuse(in, stanza.AsError(err))
		return
	}
	in.u.Add(storage.PutRow{Table: tableRequests, Owner: a.jid.String(), Key: bare, Value: b})
	a.trace(in.u, bare)
	a.commit(in.u, func(err error) {
		if err != nil {
			a.answerFailure(in, err)
			return
		}
		known := r.has(bare)
		r.put(bare, m)
		a.answer(in, nil) // example 75
		if !known && a.told.Take(toldRate, a.m.d.Clock.Now()) {
			a.tellAdmins(bare, m)
		}
	})
}

// tellAdmins asks the admins and owners: in the room if they are there, otherwise at their account.
func (a *actor) tellAdmins(bare string, m room.Membership) {
	st, told := a.requestMessage(bare, m), 0
	for _, af := range []room.Affiliation{room.Owner, room.Admin} {
		for _, l := range a.room.List(af) {
			who, err := jid.Parse(l.JID)
			if err != nil {
				continue
			}
			var here []jid.JID
			for _, o := range a.room.ByBare(who) {
				here = append(here, o.Sessions...)
			}
			switch {
			case len(here) > 0:
				a.fan(st, here)
			case told < maxTold:
				told++
				a.m.d.Router.Send(a.ctx, st.With(a.jid, who))
			}
		}
	}
}

func (a *actor) requestMessage(bare string, m room.Membership) *stanza.Stanza {
	text := fmt.Sprintf("%s wants to become a member of %s as %s.", bare, a.jid, m.Nick)
	return a.formMessage(room.ApprovalForm(bare, m), xmlstream.NewNode(ns.Client, "body").SetText(text))
}

// appendRequests adds the requests that wait, if the occupant is one who can approve them.
func (a *actor) appendRequests(out []*packet, o *room.Occupant) []*packet {
	if a.room.Affiliation(o.Bare) < room.Admin || a.room.Config.Origin != "" {
		return out
	}
	r, err := a.waitingRequests()
	if err != nil {
		a.m.d.Log.Error("the requests for membership of a room could not be read", "room", a.jid.String(), "err", err)
		return out
	}
	for i, bare := range r.order {
		if i < maxAsked {
			out = append(out, &packet{st: a.requestMessage(bare, r.by[bare])})
		}
	}
	return out
}

// approve carries out what an admin has decided about a request (§9.9).
func (a *actor) approve(in *inbound, f *form.Form) {
	actor := a.room.ActorOf(in.st.From)
	if actor.Affiliation < room.Admin {
		a.refuse(in, stanza.NewError(stanza.Forbidden, "only admins may do this"))
		return
	}
	bare, nick, allow, err := room.ApprovalAnswer(f)
	var r *requests
	if err == nil {
		r, err = a.waitingRequests()
	}
	if err == nil && !r.has(bare) {
		err = stanza.NewError(stanza.ItemNotFound, "this person has not asked, or somebody has answered already")
	}
	if err != nil {
		a.refuse(in, stanza.AsError(err))
		return
	}
	who, err := jid.Parse(bare)
	if err != nil { // it was made of an address
		a.refuse(in, stanza.AsError(err))
		return
	}
	if !allow {
		a.deny(in, who)
		return
	}
	if nick == "" {
		nick = r.by[bare].Nick
	}
	if err := a.room.CheckReservation(who, nick); err != nil {
		a.refuse(in, err)
		return
	}
	c := room.AffiliationChange{Target: bare, Affiliation: room.Member, Nick: &nick}
	a.order(in, &orders{actor: actor, by: a.valueOf(actor, in.st.From), lists: []room.AffiliationChange{c}}, nil)
}

// deny removes a request and tells who made it.
func (a *actor) deny(in *inbound, who jid.JID) {
	in.u.Add(storage.DeleteRow{Table: tableRequests, Owner: a.jid.String(), Key: who.String()})
	a.commit(in.u, func(err error) {
		if err != nil {
			a.unsaid(in, err)
			return
		}
		a.requests.remove(who.String())
		st := stanza.NewMessage("", xmlstream.NewNode(ns.Client, "body").SetText("Your request to become a member of "+a.jid.String()+" was not approved."))
		st.ID = a.m.newID()
		a.m.d.Router.Send(a.ctx, st.With(a.jid, who))
	})
}

// settleTarget adds the rows of what a change of somebody's affiliation ends: her request, and what a moderator had made of her voice.
func (a *actor) settleTarget(u *journal.Unit, c room.AffiliationChange) {
	e, listed := a.room.EntryOf(c.Target)
	if _, kept := a.room.Voice(c.Target); kept && (!listed || e.Affiliation != c.Affiliation) {
		u.Add(storage.DeleteRow{Table: tableVoices, Owner: a.jid.String(), Key: c.Target})
	}
	if listed || c.Affiliation == room.None {
		return
	}
	if r, err := a.waitingRequests(); err != nil || r.has(c.Target) {
		u.Add(storage.DeleteRow{Table: tableRequests, Owner: a.jid.String(), Key: c.Target})
	}
}
