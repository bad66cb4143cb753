package hat

import (
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/plug"
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
	hatsForm   = "urn:xmpp:hats:commands"
	FieldJID   = "hats#jid"
	FieldURI   = "hats#uri"
	FieldTitle = "hats#title"
	fieldHue   = "hats#hue"
	fieldLang  = "hats#lang"
)

// hatCommand is one command.
type hatCommand struct {
	node, title string
	fields      func(plug.Room) []form.Field                   // of its form; nil: it needs none
	run         func(plug.Room, *plug.Request, *order)         // does it
	may         func(r *room.Room, actor room.Actor) (ok bool) // who
}

// commandList are the commands.
func commandList() []hatCommand {
	return []hatCommand{
		{hatsForm + ":create", "Create or change a hat", createFields, create, mayManageHats},
		{hatsForm + ":destroy", "Destroy a hat", func(r plug.Room) []form.Field { return []form.Field{choice(r)} }, destroy, mayManageHats},
		{hatsForm + ":list", "List the hats", nil, list, maySeeHats},
		{hatsForm + ":assign", "Assign a hat", wearerFields, assign, mayManageHats},
		{hatsForm + ":unassign", "Take a hat away", wearerFields, unassign, mayManageHats},
		{hatsForm + ":list-assigned", "List who wears hats", nil, listWorn, mayManageHats},
	}
}

// mayManageHats: admins and owners; what they see are real JIDs.
func mayManageHats(_ *room.Room, a room.Actor) bool { return a.Affiliation >= room.Admin }

// maySeeHats: who is in the room sees hats anyway.
func maySeeHats(_ *room.Room, a room.Actor) bool {
	return a.Role != room.NoRole || a.Affiliation >= room.Member
}

// commands lists them for somebody (XEP-0050 §3.1).
func commands(r plug.Room, asker jid.JID) []module.DiscoItem {
	var out []module.DiscoItem
	for _, c := range commandList() {
		if c.may(r.State(), r.State().ActorOf(asker)) {
			out = append(out, module.DiscoItem{JID: r.JID(), Node: c.node, Name: c.title})
		}
	}
	return out
}

// order is a command with its filled form.
type order struct {
	command   hatCommand
	sessionID string
	form      *form.Form // nil if the command needs none
}

// command answers one.
func command(r plug.Room, in *plug.Request) {
	q, list := in.Query, commandList()
	i := slices.IndexFunc(list, func(c hatCommand) bool { return c.node == q.Attr("node") })
	if i < 0 {
		r.Refuse(in, stanza.NewError(stanza.ItemNotFound, "there is no such command"))
		return
	}
	o := &order{command: list[i], sessionID: q.Attr("sessionid")}
	if !o.command.may(r.State(), r.State().ActorOf(in.Stanza.From)) {
		r.Refuse(in, stanza.NewError(stanza.Forbidden, "only admins and owners may do this"))
		return
	}
	if o.sessionID == "" {
		o.sessionID = r.NewID()
	}
	switch q.Attr("action") {
	case "cancel":
		r.Reply(in, o.node("canceled"))
		return
	case "", "execute", "complete", "next":
	default: // XEP-0050 §4.4: there is one stage, so there is none before it
		r.Refuse(in, badAction("bad-action"))
		return
	}
	if o.command.fields != nil {
		f, err := form.Parse(form.Find(q))
		if err != nil {
			ask(r, in, o)
			return
		}
		switch {
		case f.Type == form.TypeCancel:
			r.Reply(in, o.node("canceled"))
			return
		case f.Type != form.TypeSubmit, f.FormType() != "" && f.FormType() != hatsForm:
			r.Refuse(in, badAction("bad-payload"))
			return
		}
		o.form = f
	}
	o.command.run(r, in, o)
}

// badAction is an error with the condition that XEP-0050 §4.4 gives it.
func badAction(condition string) error {
	return &stanza.Error{Condition: stanza.BadRequest, Text: "this command cannot be answered like that", App: xmlstream.NewNode(ns.Commands, condition)}
}

// node is the element that answers a command.
func (o *order) node(status string) *xmlstream.Node {
	return xmlstream.NewNode(ns.Commands, "command", "node", o.command.node, "sessionid", o.sessionID, "status", status)
}

// ask sends the form of a command.
func ask(r plug.Room, in *plug.Request, o *order) {
	f := form.New(form.TypeForm, hatsForm)
	f.Title = o.command.title
	f.Add(o.command.fields(r)...)
	n := o.node("executing")
	n.Add(xmlstream.NewNode(ns.Commands, "actions", "execute", "complete").Add(xmlstream.NewNode(ns.Commands, "complete")))
	r.Reply(in, n.Add(f.Node()))
}

func createFields(plug.Room) []form.Field {
	return []form.Field{
		{Var: FieldTitle, Type: form.TextSingle, Label: "Title", Required: true},
		{Var: FieldURI, Type: form.TextSingle, Label: "URI", Required: true},
		{Var: fieldHue, Type: form.TextSingle, Label: "Hue angle"},
		{Var: fieldLang, Type: form.TextSingle, Label: "Language of the title"}}
}

func wearerFields(r plug.Room) []form.Field {
	return []form.Field{{Var: FieldJID, Type: form.JIDSingle, Label: "Address", Required: true}, choice(r)}
}

// choice is the field in which a hat is chosen.
func choice(r plug.Room) form.Field {
	f := form.Field{Var: FieldURI, Type: form.ListSingle, Label: "Hat", Required: true}
	for _, h := range r.State().Config.Hats {
		f.Options = append(f.Options, form.Option{Label: h.Title, Value: h.URI})
	}
	return f
}

// list: XEP-0317 §3.4.
func list(r plug.Room, in *plug.Request, o *order) {
	f := &form.Form{Type: form.TypeResult, Title: "Hats", Reported: columns(FieldTitle, FieldURI, fieldHue)}
	for _, h := range r.State().Config.Hats {
		f.Items = append(f.Items, []form.Field{value(FieldTitle, h.Title), value(FieldURI, h.URI), value(fieldHue, h.Hue)})
	}
	r.Reply(in, o.node("completed").Add(f.Node()))
}

// listWorn: XEP-0317 §3.7.
func listWorn(r plug.Room, in *plug.Request, o *order) {
	f := &form.Form{Type: form.TypeResult, Title: "Who wears hats", Reported: columns(FieldJID, FieldURI, FieldTitle, fieldHue)}
	for _, h := range r.State().Config.Hats {
		for _, bare := range headsOf(r).wearers(h.URI) {
			f.Items = append(f.Items, []form.Field{value(FieldJID, bare), value(FieldURI, h.URI), value(FieldTitle, h.Title), value(fieldHue, h.Hue)})
		}
	}
	r.Reply(in, o.node("completed").Add(f.Node()))
}

func columns(names ...string) []form.Field {
	out := make([]form.Field, len(names))
	for i, n := range names {
		out[i] = form.Field{Var: n}
	}
	return out
}

func value(name, v string) form.Field { return form.Field{Var: name, Values: []string{v}} }
