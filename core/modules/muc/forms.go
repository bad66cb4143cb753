package muc

import (
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// formsFeature: data forms that come as messages: requests for voice and the answers of moderators and admins (XEP-0045 §7.13, §8.6, §9.9).
func formsFeature(d *dispatch) {
	d.messages[xmlstream.Name{Space: ns.Form, Local: "x"}] = entry{exclusive, (*actor).takeForm}
	d.loads = append(d.loads, (*actor).loadVoices)
}

func (a *actor) takeForm(in *inbound) {
	if a.room == nil {
		a.noRoom(in)
		return
	}
	c, _ := in.st.Child(ns.Form, "x")
	f, err := form.Parse(c.Node())
	switch {
	case err != nil:
		a.refuse(in, stanza.NewError(stanza.BadRequest, "this is not a data form"))
	case f.Type == form.TypeCancel: // §8.6, §9.9: "to skip this request, click the cancel button"
		a.m.d.Journal.Submit(in.u)
	case f.Type != form.TypeSubmit:
		a.refuse(in, stanza.NewError(stanza.BadRequest, "a form of type submit is needed"))
	case f.FormType() == ns.MUCRequest:
		a.voice(in, f)
	case f.FormType() == ns.MUCRegister:
		a.approve(in, f)
	default:
		a.refuse(in, stanza.NewError(stanza.BadRequest, "a message to a room is of type groupchat")) // §17.2
	}
}

// formMessage is a message of the room that asks something.
func (a *actor) formMessage(f *form.Form, besides ...*xmlstream.Node) *stanza.Stanza {
	st := stanza.NewMessage("", append(besides, f.Node())...)
	st.From, st.ID = a.jid, a.m.newID()
	return st
}
