package muc

import (
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// The commands of hats (XEP-0317 §3.2 to §3.7) are ad-hoc commands (XEP-0050) of the room. Each is one form; nothing is remembered between
// the form and its answer, so that a client may send the filled form at once (§3.3).

// Fields and the kind of their forms (XEP-0317 §3.8).
const (
	hatsForm  = "urn:xmpp:hats:commands"
	fieldJID  = "hats#jid"
	fieldURI  = "hats#uri"
	fieldHat  = "hats#title"
	fieldHue  = "hats#hue"
	fieldLang = "hats#lang"
)

// hatCommand is one command.
type hatCommand struct {
	node, title string
	fields      func(*actor) []form.Field                      // of its form; nil: it needs none
	run         func(*actor, *inbound, *hatOrder)              // does it
	may         func(r *room.Room, actor room.Actor) (ok bool) // who
}

var hatCommandList = []hatCommand{
	{hatsForm + ":create", "Create or change a hat", createFields, (*actor).createHat, mayManageHats},
	{hatsForm + ":destroy", "Destroy a hat", func(a *actor) []form.Field { return []form.Field{a.hatChoice()} }, (*actor).destroyHat, mayManageHats},
	{hatsForm + ":list", "List the hats", nil, (*actor).listHats, maySeeHats},
	{hatsForm + ":assign", "Assign a hat", wearerFields, (*actor).assignHat, mayManageHats},
	{hatsForm + ":unassign", "Take a hat away", wearerFields, (*actor).unassignHat, mayManageHats},
	{hatsForm + ":list-assigned", "List who wears hats", nil, (*actor).listWorn, mayManageHats},
}

// mayManageHats: admins and owners; what they see are real JIDs.
func mayManageHats(_ *room.Room, a room.Actor) bool { return a.Affiliation >= room.Admin }

// maySeeHats: who is in the room sees hats anyway.
func maySeeHats(_ *room.Room, a room.Actor) bool {
	return a.Role != room.NoRole || a.Affiliation >= room.Member
}

func hatCommands(d *dispatch) {
	d.onIQ(stanza.TypeSet, ns.Commands, "command", exclusive, (*actor).hatCommand)
	d.items[ns.Commands] = func(a *actor, asker jid.JID) []module.DiscoItem { // XEP-0050 §3.1
		var out []module.DiscoItem
		for _, c := range hatCommandList {
			if c.may(a.room, a.room.ActorOf(asker)) {
				out = append(out, module.DiscoItem{JID: a.jid, Node: c.node, Name: c.title})
			}
		}
		return out
	}
}

// hatOrder is a command with its filled form.
type hatOrder struct {
	command   hatCommand
	sessionID string
	form      *form.Form // nil if the command needs none
}

func (a *actor) hatCommand(in *inbound) {
	if a.room == nil {
		a.noRoom(in)
		return
	}
	q := in.query()
	i := slices.IndexFunc(hatCommandList, func(c hatCommand) bool { return c.node == q.Attr("node") })
	if i < 0 {
		a.refuse(in, stanza.NewError(stanza.ItemNotFound, "there is no such command"))
		return
	}
	o := &hatOrder{command: hatCommandList[i], sessionID: q.Attr("sessionid")}
	if !o.command.may(a.room, a.room.ActorOf(in.st.From)) {
		a.refuse(in, stanza.NewError(stanza.Forbidden, "only admins and owners may do this"))
		return
	}
	if o.sessionID == "" {
		o.sessionID = a.m.newID()
	}
	switch q.Attr("action") {
	case "cancel":
		a.reply(in, in.st.Result(o.node("canceled")))
		return
	case "", "execute", "complete", "next":
	default: // XEP-0050 §4.4: there is one stage, so there is none before it
		a.refuse(in, badAction("bad-action"))
		return
	}
	if o.command.fields != nil {
		f, err := form.Parse(form.Find(q))
		if err != nil {
			a.askHat(in, o)
			return
		}
		switch {
		case f.Type == form.TypeCancel:
			a.reply(in, in.st.Result(o.node("canceled")))
			return
		case f.Type != form.TypeSubmit, f.FormType() != "" && f.FormType() != hatsForm:
			a.refuse(in, badAction("bad-payload"))
			return
		}
		o.form = f
	}
	o.command.run(a, in, o)
}

// badAction is an error with the condition that XEP-0050 §4.4 gives it.
func badAction(condition string) error {
	return &stanza.Error{Condition: stanza.BadRequest, Text: "this command cannot be answered like that", App: xmlstream.NewNode(ns.Commands, condition)}
}

// node is the element that answers a command.
func (o *hatOrder) node(status string) *xmlstream.Node {
	return xmlstream.NewNode(ns.Commands, "command", "node", o.command.node, "sessionid", o.sessionID, "status", status)
}

// askHat sends the form of a command.
func (a *actor) askHat(in *inbound, o *hatOrder) {
	f := form.New(form.TypeForm, hatsForm)
	f.Title = o.command.title
	f.Add(o.command.fields(a)...)
	n := o.node("executing")
	n.Add(xmlstream.NewNode(ns.Commands, "actions", "execute", "complete").Add(xmlstream.NewNode(ns.Commands, "complete")))
	a.reply(in, in.st.Result(n.Add(f.Node())))
}

func createFields(*actor) []form.Field {
	return []form.Field{
		{Var: fieldHat, Type: form.TextSingle, Label: "Title", Required: true},
		{Var: fieldURI, Type: form.TextSingle, Label: "URI", Required: true},
		{Var: fieldHue, Type: form.TextSingle, Label: "Hue angle"},
		{Var: fieldLang, Type: form.TextSingle, Label: "Language of the title"}}
}

func wearerFields(a *actor) []form.Field {
	return []form.Field{{Var: fieldJID, Type: form.JIDSingle, Label: "Address", Required: true}, a.hatChoice()}
}

// hatChoice is the field in which a hat is chosen.
func (a *actor) hatChoice() form.Field {
	f := form.Field{Var: fieldURI, Type: form.ListSingle, Label: "Hat", Required: true}
	for _, h := range a.room.Config.Hats {
		f.Options = append(f.Options, form.Option{Label: h.Title, Value: h.URI})
	}
	return f
}

// listHats: XEP-0317 §3.4.
func (a *actor) listHats(in *inbound, o *hatOrder) {
	f := &form.Form{Type: form.TypeResult, Title: "Hats", Reported: columns(fieldHat, fieldURI, fieldHue)}
	for _, h := range a.room.Config.Hats {
		f.Items = append(f.Items, []form.Field{value(fieldHat, h.Title), value(fieldURI, h.URI), value(fieldHue, h.Hue)})
	}
	a.reply(in, in.st.Result(o.node("completed").Add(f.Node())))
}

// listWorn: XEP-0317 §3.7.
func (a *actor) listWorn(in *inbound, o *hatOrder) {
	f := &form.Form{Type: form.TypeResult, Title: "Who wears hats", Reported: columns(fieldJID, fieldURI, fieldHat, fieldHue)}
	for _, h := range a.room.Config.Hats {
		for _, bare := range a.wearers(h.URI) {
			f.Items = append(f.Items, []form.Field{value(fieldJID, bare), value(fieldURI, h.URI), value(fieldHat, h.Title), value(fieldHue, h.Hue)})
		}
	}
	a.reply(in, in.st.Result(o.node("completed").Add(f.Node())))
}

func columns(names ...string) []form.Field {
	out := make([]form.Field, len(names))
	for i, n := range names {
		out[i] = form.Field{Var: n}
	}
	return out
}

func value(name, v string) form.Field { return form.Field{Var: name, Values: []string{v}} }
