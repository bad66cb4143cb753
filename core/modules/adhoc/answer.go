package adhoc

import (
	"encoding/hex"
	"io"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// order is a command that somebody gives.
type order struct {
	command Command
	session string
}

// newSession names a session (XEP-0050 §2.4.1). Nothing hangs on it: it only has to differ.
func newSession(rand io.Reader) string {
	b := make([]byte, 8)
	_, _ = io.ReadFull(rand, b) // never fails
	return hex.EncodeToString(b)
}

func (o *order) node(status string) *xmlstream.Node {
	return xmlstream.NewNode(ns.Commands, "command", "node", o.command.Node, "sessionid", o.session, "status", status)
}

// ask shows the form, with what was filled in before and what is wrong with it (XEP-0050 §2.4.2, §4.3).
func (o *order) ask(values map[string][]string, wrong string) *xmlstream.Node {
	n := o.node("executing")
	n.Add(xmlstream.NewNode(ns.Commands, "actions", "execute", "complete").Add(xmlstream.NewNode(ns.Commands, "complete")))
	f := form.New(form.TypeForm, "")
	f.Title = o.command.Title
	if o.command.Help != "" {
		f.Instructions = strings.Split(o.command.Help, "\n")
	}
	for _, field := range o.command.Fields {
		if have, ok := values[field.Var]; ok && field.Type != form.TextPrivate {
			field.Values = have
		}
		f.Add(field)
	}
	n.Add(f.Node())
	if wrong != "" {
		n.AddNew("note", "type", "error").SetText(wrong)
	}
	return n
}

// answer shows what a command found out: a table as a form of results (XEP-0004 §3.4), text as a note.
func (o *order) answer(a Answer) *xmlstream.Node {
	n := o.node("completed")
	if len(a.Columns) > 0 && len(a.Rows) > 0 {
		f := form.New(form.TypeResult, "")
		f.Title = o.command.Title
		for _, c := range a.Columns {
			f.Reported = append(f.Reported, form.Field{Var: c, Type: form.TextSingle, Label: c})
		}
		for _, row := range a.Rows {
			var item []form.Field
			for i, c := range a.Columns {
				v := ""
				if i < len(row) {
					v = row[i]
				}
				item = append(item, form.Field{Var: c, Values: []string{v}})
			}
			f.Items = append(f.Items, item)
		}
		n.Add(f.Node())
	}
	text := strings.TrimSpace(a.Text)
	if text == "" && len(a.Rows) == 0 {
		text = "Done."
	}
	if text != "" {
		kind := "info"
		if a.Warn {
			kind = "warn"
		}
		n.AddNew("note", "type", kind).SetText(text)
	}
	return n
}

// bad is an error of the protocol (XEP-0050 §4.4).
func bad(condition, text string) error {
	return &stanza.Error{Condition: stanza.BadRequest, Text: text, App: xmlstream.NewNode(ns.Commands, condition)}
}
