package appliance

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/admin"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/adhoc"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
)

// adminCommands offers the table of commands to administrators in their clients (XEP-0050).
type adminCommands struct{ a *Appliance }

// nodePrefix stands before the name of a command in the name of its node.
const nodePrefix = "viaduct:"

func nodeOf(name string) string { return nodePrefix + strings.ReplaceAll(name, " ", "-") }

// Commands implements adhoc.Source.
func (s adminCommands) Commands(_ context.Context, who jid.JID) []adhoc.Command {
	if !s.a.bridges.isAdmin(who) {
		return nil
	}
	var out []adhoc.Command
	for _, c := range s.a.cmds.All() {
		out = append(out, adhoc.Command{Node: nodeOf(c.Name), Title: titleOf(c), Help: c.Long, Fields: fieldsOf(c)})
	}
	return out
}

// titleOf begins with the command's name, so that what belongs together stands together in a list.
func titleOf(c *admin.Command) string { return c.Name + ": " + c.Short }

// argument is one argument of a command, as its usage line names it.
type argument struct {
	name    string
	many    bool     // one or more, a line each
	choices []string // only these
}

// argumentsOf reads "ROOM JID owner|admin|member", "[DOMAIN]" and "FILE...".
func argumentsOf(c *admin.Command) []argument {
	var out []argument
	for _, word := range strings.Fields(c.Args) {
		word = strings.Trim(word, "[]")
		name := strings.TrimRight(word, ".…")
		a := argument{name: name, many: name != word}
		if strings.Contains(name, "|") {
			a.choices = strings.Split(name, "|")
			a.name = "CHOICE"
		}
		out = append(out, a)
	}
	return out
}

// sure is the switch by which the command line is told not to ask back.
const sure = "yes"

func fieldsOf(c *admin.Command) []form.Field {
	var out []form.Field
	for i, a := range argumentsOf(c) {
		f := form.Field{Var: a.name, Type: form.TextSingle, Label: a.name, Required: i < c.Min}
		switch {
		case a.many:
			f.Type, f.Desc = form.TextMulti, "One on each line."
		case len(a.choices) > 0:
			f.Type = form.ListSingle
			for _, v := range a.choices {
				f.Options = append(f.Options, form.Option{Label: v, Value: v})
			}
		}
		out = append(out, f)
	}
	for _, fl := range c.Flags {
		f := form.Field{Var: "--" + fl.Name, Type: form.TextSingle, Label: fl.Doc}
		switch {
		case fl.Name == sure:
			f.Type, f.Label = form.Boolean, "I am sure"
		case fl.Value == "":
			f.Type = form.Boolean
		case fl.Local:
			f.Type, f.Label = form.TextPrivate, strings.TrimSuffix(fl.Name, "-file")
		}
		out = append(out, f)
	}
	return out
}

// Run implements adhoc.Source.
func (s adminCommands) Run(ctx context.Context, who jid.JID, node string, values map[string][]string) (adhoc.Answer, error) {
	list := s.a.cmds.All()
	i := slices.IndexFunc(list, func(c *admin.Command) bool { return nodeOf(c.Name) == node })
	if i < 0 || !s.a.bridges.isAdmin(who) { // rights can have been taken since it was offered
		return adhoc.Answer{}, errors.New("there is no such command")
	}
	c := list[i]
	r, err := requestOf(c, values)
	if err != nil {
		return adhoc.Answer{}, err
	}
	r.By = who.String()
	s.a.log.Info("administrative command", "command", c.Name, "by", r.By)
	res, err := s.a.cmds.Execute(ctx, c.Name, r)
	var usage *admin.UsageError
	if errors.As(err, &usage) {
		return adhoc.Answer{}, &adhoc.MendError{Text: usage.Text}
	}
	if err != nil {
		return adhoc.Answer{}, errors.New(admin.PlainText(err.Error()))
	}
	return answerOf(res), nil
}

// requestOf is what was filled in as a call.
func requestOf(c *admin.Command, values map[string][]string) (*admin.Request, error) {
	r := &admin.Request{Flags: map[string]string{}}
	for _, a := range argumentsOf(c) {
		for _, v := range values[a.name] {
			if v = strings.TrimSpace(v); v != "" {
				r.Args = append(r.Args, v)
			}
			if !a.many {
				break
			}
		}
	}
	for _, fl := range c.Flags {
		v := strings.TrimSpace(strings.Join(values["--"+fl.Name], "\n"))
		if fl.Value != "" {
			if v != "" {
				r.Flags[fl.Name] = v
			}
			continue
		}
		if v == "" {
			continue
		}
		on, err := form.ParseBool(v)
		if err != nil {
			return nil, &adhoc.MendError{Text: fl.Name + " is a switch."}
		}
		if on {
			r.Flags[fl.Name] = "true"
		}
	}
	return r, nil
}

func answerOf(res admin.Result) adhoc.Answer {
	a := adhoc.Answer{Text: res.Text, Warn: res.Failed}
	if t := res.Table; t != nil {
		a.Columns, a.Rows = t.Columns, t.Rows
		if len(t.Rows) == 0 {
			a.Text = t.Empty
		}
	}
	return a
}
