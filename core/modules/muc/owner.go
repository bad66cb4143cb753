package muc

import (
	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// ownerFeature: the configuration of a room (XEP-0045 §10.1, §10.2) and its end (§10.9).
func ownerFeature(d *dispatch) {
	d.onIQ(stanza.TypeGet, ns.MUCOwner, "query", exclusive, (*actor).configForm)
	d.onIQ(stanza.TypeSet, ns.MUCOwner, "query", exclusive, (*actor).ownerSet)
}

// owner tells whether the sender owns the room; if not, she is refused.
func (a *actor) owner(in *inbound) bool {
	switch {
	case a.room == nil:
		a.noRoom(in)
		return false
	case a.room.Affiliation(in.st.From) != room.Owner:
		a.refuse(in, stanza.NewError(stanza.Forbidden, "only owners may do this"))
		return false
	}
	return true
}

func (a *actor) configForm(in *inbound) {
	if !a.owner(in) {
		return
	}
	f := a.room.Config.Form(a.jid, a.room.JIDs(room.Owner), a.room.JIDs(room.Admin))
	a.reply(in, in.st.Result(xmlstream.NewNode(ns.MUCOwner, "query").Add(f.Node())))
}

func (a *actor) ownerSet(in *inbound) {
	if !a.owner(in) {
		return
	}
	q := in.query()
	if d := q.Child(ns.MUCOwner, "destroy"); d != nil {
		a.destroy(in, d)
		return
	}
	f, err := form.Parse(form.Find(q))
	if err != nil {
		a.refuse(in, stanza.NewError(stanza.BadRequest, "a configuration form or a request to destroy the room is needed"))
		return
	}
	switch f.Type {
	case form.TypeCancel:
		a.cancelConfig(in)
	case form.TypeSubmit:
		a.submitConfig(in, f)
	default:
		a.refuse(in, stanza.NewError(stanza.BadRequest, "a form of type submit or cancel is needed"))
	}
}

// cancelConfig: a room whose first configuration is cancelled is destroyed (§10.1.3); otherwise nothing happens (§10.2).
func (a *actor) cancelConfig(in *inbound) {
	if a.room.Config.Locked {
		a.destroy(in, xmlstream.NewNode(ns.MUCOwner, "destroy"))
		return
	}
	a.reply(in, in.st.Result())
}

// submitConfig changes the configuration; an empty form takes the defaults (instant room, §10.1.2).
func (a *actor) submitConfig(in *inbound, f *form.Form) {
	c, err := a.room.Config.Submit(f)
	if err != nil {
		a.refuse(in, err)
		return
	}
	c.Locked = false
	actor := a.room.ActorOf(in.st.From)
	if err := a.count(&c, actor); err != nil {
		a.refuse(in, err)
		return
	}
	lists, err := a.submittedLists(f)
	if err == nil {
		err = a.room.CheckAffiliations(actor, lists)
	}
	if err != nil {
		a.refuse(in, err)
		return
	}
	a.configure(in, c, lists, actor)
}

// submittedLists turns the fields of owners and admins, which are whole lists (§10.5 note), into changes.
func (a *actor) submittedLists(f *form.Form) ([]room.AffiliationChange, error) {
	want := map[string]room.Affiliation{}
	var order []string
	fields := []struct {
		name string
		af   room.Affiliation
	}{{room.FieldAdmins, room.Admin}, {room.FieldOwners, room.Owner}}
	given := map[room.Affiliation]bool{}
	for _, fd := range fields {
		v, ok := f.Field(fd.name)
		if !ok {
			continue
		}
		given[fd.af] = true
		for _, s := range v.Values {
			if s == "" {
				continue
			}
			j, err := jid.Parse(s)
			if err != nil {
				return nil, stanza.NewError(stanza.NotAcceptable, "an address in the lists is not valid: "+s)
			}
			bare := j.Bare().String()
			if _, twice := want[bare]; !twice {
				order = append(order, bare)
			}
			want[bare] = fd.af
		}
	}
	return a.listChanges(given, want, order), nil
}

func (a *actor) listChanges(given map[room.Affiliation]bool, want map[string]room.Affiliation, order []string) []room.AffiliationChange {
	var out []room.AffiliationChange
	for _, bare := range order {
		if e, ok := a.room.EntryOf(bare); !ok || e.Affiliation != want[bare] {
			out = append(out, room.AffiliationChange{Target: bare, Affiliation: want[bare]})
		}
	}
	for _, af := range []room.Affiliation{room.Admin, room.Owner} {
		for _, l := range a.room.List(af) {
			if _, kept := want[l.JID]; given[af] && !kept {
				out = append(out, room.AffiliationChange{Target: l.JID, Affiliation: room.Member})
			}
		}
	}
	return out
}

// configure stores a configuration and tells everybody what has changed.
func (a *actor) configure(in *inbound, c room.Config, lists []room.AffiliationChange, actor room.Actor) {
	mark := in.u.Mark()
	v := &event.RoomChange{Room: a.jid, By: actor.Bare, Unit: in.u}
	if err := decide(a, &a.m.ev.Config, v, nil); err != nil {
		a.abandon(in, mark, err)
		return
	}
	if len(lists) > 0 {
		a.saveAffiliations(in.u, lists)
	}
	a.saveConfig(in.u, c)
	a.commit(in.u, func(err error) {
		if err != nil {
			a.answerFailure(in, err)
			return
		}
		a.applyConfig(in, c, lists, actor)
		_ = a.m.ev.Config.Committed(a.ctx, v)
		a.vanish(&inbound{u: a.unit()})
	})
}

// applyConfig makes a committed configuration the room's.
func (a *actor) applyConfig(in *inbound, c room.Config, lists []room.AffiliationChange, actor room.Actor) {
	old := a.room.Config
	a.room.Config = c
	a.room.Version++
	a.room.Touch()
	a.hear.valid = false
	if a.hist.loaded && c.MaxHistory != old.MaxHistory {
		a.forgetPast()
	}
	tell := a.applyLists(lists, actor, !actor.Service)
	a.answer(in, nil)
	tell()
	if c.MembersOnly && !old.MembersOnly { // §10.2: status 322
		for _, o := range a.room.Outsiders() {
			a.remove(o, removal{status: []int{322}})()
		}
	}
	a.showRoles(old)
	if old.Moderated && !c.Moderated {
		a.unmoderate()
	}
	if c.LockNicks && !old.LockNicks {
		a.lockAllNicks()
	}
	codes := c.Notices(old)
	if old.Locked && !c.Locked {
		a.stopWaiting()
		codes = nil // nobody but the owner has been here
	}
	a.statusMessage(codes)
}
