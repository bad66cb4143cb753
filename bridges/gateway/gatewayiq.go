package gateway

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// gatewayPrompt says what may be typed to find somebody (XEP-0100 §6).
func (m *Module) gatewayPrompt(_ context.Context, req *module.Request) (*xmlstream.Node, error) {
	b := m.byHost[req.IQ.To.Domain()]
	if b == nil {
		return nil, stanza.NewError(stanza.ItemNotFound, "There is no such bridge.")
	}
	b.mu.Lock()
	prompt := b.info.Prompt
	b.mu.Unlock()
	n := xmlstream.NewNode(ns.Gateway, "query")
	n.AddNew("desc").SetText("Type an id, an address, an alias or a link of a person or room on " + b.title() + ".")
	n.AddNew("prompt").SetText(firstOf(prompt, "Id, alias or link"))
	return n, nil
}

// gatewayResolve returns the address of what was typed (XEP-0100 §6): a person's or a room's.
func (m *Module) gatewayResolve(ctx context.Context, b *Bridge, req *module.Request) (*xmlstream.Node, error) {
	var text string
	if p := req.Query.Node().Child(ns.Gateway, "prompt"); p != nil {
		text = p.TextContent()
	}
	at, err := b.resolve(ctx, req.IQ.From, text)
	if err != nil {
		return nil, err
	}
	n := xmlstream.NewNode(ns.Gateway, "query")
	n.AddNew("jid").SetText(at.String())
	return n, nil
}

// maxTyped bounds what somebody may type to find a person or room.
const maxTyped = 1000

// resolve finds what somebody typed.
func (b *Bridge) resolve(ctx context.Context, asker jid.JID, text string) (jid.JID, error) {
	t, err := b.seek(ctx, asker, text)
	if err != nil {
		return jid.JID{}, err
	}
	return b.addressOf(t)
}

func (b *Bridge) seek(ctx context.Context, asker jid.JID, text string) (sdk.Target, error) {
	i := b.current()
	switch {
	case i == nil:
		return sdk.Target{}, &stanza.Error{Condition: stanza.RemoteServerTimeout, Type: "wait", Text: b.title() + " cannot be reached at the moment."}
	case text == "" || len(text) > maxTyped:
		return sdk.Target{}, stanza.NewError(stanza.BadRequest, "Say whom or what you are looking for.")
	}
	t, err := i.remote.Resolve(ctx, sdk.ResolveRequest{Text: text, For: b.sender(ctx, asker.Bare(), "", asker.Local(), "")})
	if err != nil {
		return t, b.stanzaError(err)
	}
	return t, nil
}

// addressOf is the address of a finding.
func (b *Bridge) addressOf(t sdk.Target) (jid.JID, error) {
	codec := b.codecNow()
	if codec == nil {
		return jid.JID{}, stanza.NewError(stanza.RemoteServerTimeout, "")
	}
	switch {
	case t.Kind == sdk.TargetUser && t.User.ID != "":
		a, err := codec.User(t.User.ID)
		return a.JID, err
	case t.Kind == sdk.TargetRoom && t.Portal.Room != "":
		a, err := codec.Room(t.Portal.Room)
		return a.JID, err
	}
	return jid.JID{}, stanza.NewError(stanza.ItemNotFound, "Nobody of that name was found on "+b.title()+".")
}

// registration answers XEP-0077: registering is for one's own account on the network, and is done by command. Nobody is ever asked for the
// password of another network.
func (m *Module) registration(ctx context.Context, req *module.Request) (*xmlstream.Node, error) {
	b := m.byHost[req.IQ.To.Domain()]
	if b == nil {
		return nil, stanza.NewError(stanza.ItemNotFound, "There is no such bridge.")
	}
	if !b.mayUse(req.IQ.From) {
		return nil, b.notAllowed()
	}
	list, err := b.logins(ctx, req.IQ.From.Bare())
	if err != nil {
		return nil, err
	}
	n := xmlstream.NewNode(ns.Register, "query")
	if len(list) > 0 {
		n.AddNew("registered")
	}
	text := "You can use the bridge to " + b.title() + " as you are: enter its rooms or write to its people."
	if b.can(sdk.AbilityLogin) {
		text += " To use an account of your own there, send \"login\" to " + b.spec.users() + " or run its command \"Sign in\"."
	}
	n.AddNew("instructions").SetText(text)
	return n, nil
}

// register takes <remove/>, which signs all of one's accounts out (XEP-0100 §4.3); nothing else can be set.
func (m *Module) register(ctx context.Context, b *Bridge, req *module.Request) (*xmlstream.Node, error) {
	if req.Query.Node().Child(ns.Register, "remove") == nil {
		return nil, stanza.NewError(stanza.NotAllowed, "Signing in is done by the command \"Sign in\" of "+b.spec.users()+".")
	}
	list, err := b.logins(ctx, req.IQ.From.Bare())
	if err != nil {
		return nil, err
	}
	for _, l := range list {
		if err := b.logout(ctx, req.IQ.From, l.ID); err != nil {
			return nil, err
		}
	}
	return nil, nil
}
