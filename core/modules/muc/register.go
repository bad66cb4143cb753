package muc

import (
	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// registerFeature: becoming a member by oneself, with a reserved nick (XEP-0045 §7.10).
func registerFeature(d *dispatch) {
	d.onIQ(stanza.TypeGet, ns.Register, "query", exclusive, (*actor).registerGet)
	d.onIQ(stanza.TypeSet, ns.Register, "query", exclusive, (*actor).registerSet)
}

// registrar tells whether one can register here at all; if not, the asker is refused.
func (a *actor) registrar(in *inbound) bool {
	switch {
	case a.room == nil, a.room.Config.Locked && a.room.Affiliation(in.st.From) != room.Owner:
		a.noRoom(in) // example 67
	case a.room.Config.Origin != "": // a gateway's: members are made on the other network
		a.refuse(in, notHere()) // example 73
	default:
		return true
	}
	return false
}

func (a *actor) registerGet(in *inbound) {
	if !a.registrar(in) {
		return
	}
	if _, err := a.room.MayRegister(in.st.From); err != nil { // example 68
		a.refuse(in, err)
		return
	}
	q := xmlstream.NewNode(ns.Register, "query")
	e, listed := a.room.Entry(in.st.From)
	if listed { // example 69
		q.AddNew("registered")
		if e.Nick != "" {
			q.AddNew("username").SetText(e.Nick)
		}
	}
	f := room.RegisterForm(a.jid, e.Nick)
	q.AddNew("instructions").SetText(f.Instructions[0])
	a.reply(in, in.st.Result(q.Add(f.Node()))) // example 70
}

func (a *actor) registerSet(in *inbound) {
	if !a.registrar(in) {
		return
	}
	how, err := a.room.MayRegister(in.st.From)
	if err != nil {
		a.refuse(in, err)
		return
	}
	q := in.query()
	if q.Child(ns.Register, "remove") != nil {
		a.unregister(in)
		return
	}
	f, err := form.Parse(form.Find(q))
	if err != nil {
		a.refuse(in, stanza.NewError(stanza.BadRequest, "a registration form is needed")) // example 74
		return
	}
	if f.Type == form.TypeCancel {
		a.reply(in, in.st.Result())
		return
	}
	m, err := room.ParseMembership(f)
	if err == nil {
		err = a.room.CheckReservation(in.st.From, m.Nick) // example 72
	}
	switch {
	case err != nil:
		a.refuse(in, err)
	case how == room.RegisterApproval:
		a.request(in, m)
	default:
		a.enlist(in, m.Nick)
	}
}

// selfOrders are changes that somebody makes about herself and that the room has allowed.
func (a *actor) selfOrders(in *inbound, c room.AffiliationChange) *orders {
	actor := a.room.ActorOf(in.st.From)
	by := a.valueOf(actor, in.st.From)
	actor.Service = true
	return &orders{actor: actor, by: by, lists: []room.AffiliationChange{c}, silent: true}
}

// valueOf is an actor as events show her.
func (a *actor) valueOf(v room.Actor, full jid.JID) event.Occupant {
	return event.Occupant{Room: a.jid, Nick: v.Nick, Real: full, Affiliation: v.Affiliation.String(), Role: v.Role.String()}
}

// enlist makes a person a member with a reserved nick; who has an affiliation keeps it.
func (a *actor) enlist(in *inbound, nick string) {
	bare := in.st.From.Bare().String()
	af := max(room.Member, a.room.Affiliation(in.st.From))
	c := room.AffiliationChange{Target: bare, Affiliation: af, Nick: &nick}
	if err := a.room.CheckPlace(1); err != nil {
		if _, listed := a.room.EntryOf(bare); !listed {
			a.refuse(in, err)
			return
		}
	}
	a.order(in, a.selfOrders(in, c), nil)
}

// unregister gives a membership up (XEP-0077 §3.2); admins and owners give up their nick only.
func (a *actor) unregister(in *inbound) {
	bare := in.st.From.Bare().String()
	e, listed := a.room.EntryOf(bare)
	if listed {
		none := ""
		c := room.AffiliationChange{Target: bare, Affiliation: e.Affiliation, Nick: &none}
		if e.Affiliation == room.Member {
			c = room.AffiliationChange{Target: bare, Affiliation: room.None}
		}
		a.order(in, a.selfOrders(in, c), nil)
		return
	}
	r, err := a.waitingRequests()
	switch {
	case err != nil:
		a.refuse(in, stanza.AsError(err))
	case !r.has(bare):
		a.refuse(in, stanza.NewError(stanza.RegistrationRequired, "you are not registered with this room"))
	default:
		in.u.Add(storage.DeleteRow{Table: tableRequests, Owner: a.jid.String(), Key: bare})
		a.commit(in.u, func(err error) {
			if err != nil {
				a.answerFailure(in, err)
				return
			}
			a.requests.remove(bare)
			a.answer(in, nil)
		})
	}
}
