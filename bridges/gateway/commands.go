package gateway

import (
	"context"
	"fmt"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/mappings"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Commands of a bridge's host for the people who use it: as ad-hoc commands (XEP-0050), and as words in a chat with the host for clients that have
// neither those nor jabber:iq:gateway.

// verb is one command.
type verb struct {
	word, title string
	args        string // what follows the word in a chat; also the label of the only field of its form
	ability     sdk.Ability
	run         func(ctx context.Context, b *Bridge, asker jid.JID, args string) (string, error)
}

// verbs lists the commands that are a question and an answer. Signing in has steps of its own (loginflow.go).
func verbs() []verb {
	return []verb{
		{word: "find", title: "Find a person or room", args: "id, alias or link", run: verbFind},
		{word: "search", title: "Search", args: "words", ability: sdk.AbilitySearch, run: verbSearch},
		{word: "logins", title: "My accounts there", ability: sdk.AbilityLogin, run: verbLogins},
		{word: "logout", title: "Sign out", args: "account", ability: sdk.AbilityLogin, run: verbLogout},
		{word: "status", title: "How the bridge is doing", run: verbStatus},
		{word: "links", title: "Linked rooms", run: verbLinks},
		{word: "link", title: "Link a room here with one there", args: "room here, then room there", run: verbLink},
		{word: "unlink", title: "End a link", args: "room here, then room there (or all)", run: verbUnlink},
	}
}

func verbFind(ctx context.Context, b *Bridge, asker jid.JID, args string) (string, error) {
	t, err := b.seek(ctx, asker, args)
	if err != nil {
		return "", err
	}
	return b.describeTarget(t)
}

func (b *Bridge) describeTarget(t sdk.Target) (string, error) {
	at, err := b.addressOf(t)
	if err != nil {
		return "", err
	}
	name := mappings.Cut(firstOf(t.Name, t.User.Name), 100, 400)
	if t.Kind == sdk.TargetRoom {
		return strings.TrimSpace(fmt.Sprintf("%s xmpp:%s?join", name, at)), nil
	}
	return strings.TrimSpace(fmt.Sprintf("%s xmpp:%s", name, at)), nil
}

func verbSearch(ctx context.Context, b *Bridge, asker jid.JID, args string) (string, error) {
	i := b.current()
	if i == nil {
		return "", stanza.NewError(stanza.RemoteServerTimeout, b.title()+" cannot be reached at the moment.")
	}
	if args == "" || len(args) > maxTyped {
		return "", stanza.NewError(stanza.BadRequest, "Say what you are looking for.")
	}
	r, err := i.remote.Search(ctx, sdk.SearchRequest{Text: args, For: b.sender(ctx, asker.Bare(), "", asker.Local(), ""), Limit: 20})
	if err != nil {
		return "", err
	}
	var lines []string
	for _, t := range r.Found[:min(len(r.Found), 20)] {
		if l, err := b.describeTarget(t); err == nil {
			lines = append(lines, l)
		}
	}
	if len(lines) == 0 {
		return "Nothing was found.", nil
	}
	return strings.Join(lines, "\n"), nil
}

func verbLogins(ctx context.Context, b *Bridge, asker jid.JID, _ string) (string, error) {
	list, err := b.logins(ctx, asker.Bare())
	if err != nil {
		return "", err
	}
	if len(list) == 0 {
		return "You have not signed in to " + b.title() + ".", nil
	}
	var lines []string
	for _, l := range list {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s: %s %s", l.ID, l.Name, stateText(l.State), l.Text)))
	}
	return strings.Join(lines, "\n"), nil
}

func stateText(s sdk.LoginState) string {
	names := [...]string{"unknown", "connecting", "connected", "in trouble", "signed out: sign in again", "signed out", "slowed down by the network"}
	if s < 0 || int(s) >= len(names) {
		return names[0]
	}
	return names[s]
}

func verbLogout(ctx context.Context, b *Bridge, asker jid.JID, args string) (string, error) {
	if err := b.logout(ctx, asker, sdk.LoginID(strings.TrimSpace(args))); err != nil {
		return "", err
	}
	return "You are signed out.", nil
}

func verbStatus(ctx context.Context, b *Bridge, _ jid.JID, _ string) (string, error) {
	s, _ := b.m.Status(ctx, b.spec.Name)
	if !s.Attached {
		return b.title() + " cannot be reached at the moment. " + fmt.Sprint(s.Waiting) + " messages wait.", nil
	}
	text := b.title() + " is connected."
	if s.Text != "" {
		text = b.title() + ": " + s.Text
	}
	return text + fmt.Sprintf(" %d messages wait.", s.Waiting), nil
}

// available are the verbs that the plugin can carry out.
func (b *Bridge) available() []verb {
	var out []verb
	for _, v := range verbs() {
		if v.ability == "" || b.can(v.ability) {
			out = append(out, v)
		}
	}
	return out
}

// chat answers a message to the host itself.
func (b *Bridge) chat(st *stanza.Stanza) {
	b.m.run(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, b.m.o.Tune.JoinTimeout)
		defer cancel()
		text := b.chatAnswer(ctx, st.From, strings.TrimSpace(st.Body()))
		b.notify(b.m.base, st.From, text)
	})
}

func (b *Bridge) chatAnswer(ctx context.Context, from jid.JID, said string) string {
	if !b.mayUse(from) {
		return stanza.AsError(b.notAllowed()).Text
	}
	word, args, _ := strings.Cut(said, " ")
	word = strings.ToLower(word)
	if word == "login" && b.can(sdk.AbilityLogin) {
		return b.chatLogin(ctx, from, strings.TrimSpace(args))
	}
	for _, v := range b.available() {
		if v.word == word {
			text, err := v.run(ctx, b, from, strings.TrimSpace(args))
			if err != nil {
				return firstOf(b.stanzaError(err).Text, "That did not work.")
			}
			return text
		}
	}
	return b.help()
}

func (b *Bridge) help() string {
	lines := []string{"This is the bridge to " + b.title() + ". What it understands:"}
	for _, v := range b.available() {
		word := v.word
		if v.args != "" {
			word += " <" + v.args + ">"
		}
		lines = append(lines, word+" - "+strings.ToLower(v.title[:1])+v.title[1:])
	}
	if b.can(sdk.AbilityLogin) {
		lines = append(lines, "login - sign in with an account of your own")
	}
	return strings.Join(lines, "\n")
}

// commandItems lists the ad-hoc commands (XEP-0050 §2.2).
func (b *Bridge) commandItems(asker jid.JID) []module.DiscoItem {
	if !b.mayUse(asker) {
		return nil
	}
	host := jid.MustParse(b.spec.users())
	var out []module.DiscoItem
	for _, v := range b.available() {
		out = append(out, module.DiscoItem{JID: host, Node: v.word, Name: v.title})
	}
	if b.can(sdk.AbilityLogin) {
		out = append(out, module.DiscoItem{JID: host, Node: "login", Name: "Sign in"})
	}
	return out
}

func (b *Bridge) commandInfo(node string) (module.DiscoInfo, bool, error) {
	if node == ns.Commands {
		return module.DiscoInfo{Identities: []module.Identity{{Category: "automation", Type: "command-list", Name: "Commands"}}}, true, nil
	}
	for _, v := range verbs() {
		if v.word == node {
			return module.DiscoInfo{Identities: []module.Identity{{Category: "automation", Type: "command-node", Name: v.title}}, Features: []string{ns.Commands, ns.Form}}, true, nil
		}
	}
	if node == "login" {
		return module.DiscoInfo{Identities: []module.Identity{{Category: "automation", Type: "command-node", Name: "Sign in"}}, Features: []string{ns.Commands, ns.Form}}, true, nil
	}
	return module.DiscoInfo{}, false, nil
}

// command runs an ad-hoc command (XEP-0050 §2.4).
func (m *Module) command(ctx context.Context, b *Bridge, req *module.Request) (*xmlstream.Node, error) {
	c := req.Query.Node()
	node := c.Attr("node")
	if c.Attr("action") == "cancel" {
		b.cancelLogin(ctx, req.IQ.From, c.Attr("sessionid"))
		return commandNode(node, c.Attr("sessionid"), "canceled"), nil
	}
	if node == "login" && b.can(sdk.AbilityLogin) {
		return b.commandLogin(ctx, req.IQ.From, c)
	}
	for _, v := range b.available() {
		if v.word == node {
			return b.commandVerb(ctx, req.IQ.From, v, c)
		}
	}
	return nil, stanza.NewError(stanza.ItemNotFound, "There is no such command.")
}

func commandNode(node, session, status string) *xmlstream.Node {
	return xmlstream.NewNode(ns.Commands, "command", "node", node, "sessionid", firstOf(session, node), "status", status)
}

func (b *Bridge) commandVerb(ctx context.Context, from jid.JID, v verb, c *xmlstream.Node) (*xmlstream.Node, error) {
	args := ""
	if v.args != "" {
		x := form.Find(c)
		if x == nil {
			f := form.New(form.TypeForm, "").Add(form.Field{Var: "text", Type: form.TextSingle, Label: v.args, Required: true})
			n := commandNode(v.word, "", "executing")
			n.Add(xmlstream.NewNode(ns.Commands, "actions", "execute", "complete").Add(xmlstream.NewNode(ns.Commands, "complete")), f.Node())
			return n, nil
		}
		f, err := form.Parse(x)
		if err != nil {
			return nil, stanza.NewError(stanza.BadRequest, "The form cannot be read.")
		}
		args = strings.TrimSpace(f.Value("text"))
	}
	text, err := v.run(ctx, b, from, args)
	if err != nil {
		return nil, err
	}
	n := commandNode(v.word, c.Attr("sessionid"), "completed")
	n.AddNew("note", "type", "info").SetText(text)
	return n, nil
}
