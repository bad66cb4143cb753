package gateway

import (
	"context"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Signing in takes steps: a form, a page to open, a code to show. One login is under way per person and bridge; a new one ends the old. Forms are filled
// in as ad-hoc commands only, since what is said in a chat is archived.

// signing is a login under way.
type signing struct {
	i       *instance
	process string
	step    sdk.LoginStep
	until   time.Time
}

// signingTime bounds a login.
const signingTime = 15 * time.Minute

func (b *Bridge) signing(who jid.JID) *signing {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.signings[who.Bare()]
	if s != nil && (s.i != b.inst || b.m.d.Clock.Now().After(s.until)) {
		delete(b.signings, who.Bare())
		return nil
	}
	return s
}

// startLogin begins a login with a flow, the first one if none is named.
func (b *Bridge) startLogin(ctx context.Context, who jid.JID, flow string) (sdk.LoginStep, error) {
	i := b.current()
	if i == nil {
		return sdk.LoginStep{}, stanza.NewError(stanza.RemoteServerTimeout, b.title()+" cannot be reached at the moment.")
	}
	if err := b.remember(ctx, who.Bare()); err != nil {
		return sdk.LoginStep{}, err
	}
	if flow == "" {
		b.mu.Lock()
		if len(b.info.LoginFlows) > 0 {
			flow = b.info.LoginFlows[0].ID
		}
		b.mu.Unlock()
	}
	step, err := i.remote.StartLogin(ctx, sdk.StartLoginRequest{Flow: flow, For: b.sender(ctx, who.Bare(), "", who.Local(), "")})
	if err != nil {
		return step, err
	}
	return step, b.stepped(ctx, who, i, step)
}

// nextLogin answers a step.
func (b *Bridge) nextLogin(ctx context.Context, who jid.JID, values map[string]string) (sdk.LoginStep, error) {
	s := b.signing(who)
	if s == nil {
		return sdk.LoginStep{}, stanza.NewError(stanza.ItemNotFound, "No sign-in is under way. Begin again.")
	}
	step, err := s.i.remote.LoginStep(ctx, sdk.LoginInput{Process: s.process, Values: values})
	if err != nil {
		return step, err
	}
	if step.Process == "" {
		step.Process = s.process
	}
	return step, b.stepped(ctx, who, s.i, step)
}

// stepped keeps a login under way, or stores one that is done.
func (b *Bridge) stepped(ctx context.Context, who jid.JID, i *instance, step sdk.LoginStep) error {
	b.mu.Lock()
	delete(b.signings, who.Bare())
	if step.Kind != sdk.StepDone {
		if len(b.signings) > 1000 {
			clear(b.signings)
		}
		b.signings[who.Bare()] = &signing{i: i, process: step.Process, step: step, until: b.m.d.Clock.Now().Add(signingTime)}
	}
	b.mu.Unlock()
	if step.Kind != sdk.StepDone {
		return nil
	}
	if step.Login == nil {
		return &sdk.Error{Code: sdk.CodeProtocol, Text: "the bridge signed you in without a login"}
	}
	if err := b.saveLogin(ctx, who, *step.Login); err != nil {
		return err
	}
	st, err := i.remote.LoadLogin(ctx, sdk.Login{ID: step.Login.ID, Person: b.m.person(who), User: step.Login.User, Name: step.Login.Name, Credentials: step.Login.Credentials})
	if err != nil {
		return err
	}
	st.ID = step.Login.ID
	return b.loginChanged(ctx, st)
}

func (b *Bridge) cancelLogin(ctx context.Context, who jid.JID, _ string) {
	s := b.signing(who)
	if s == nil {
		return
	}
	b.mu.Lock()
	delete(b.signings, who.Bare())
	b.mu.Unlock()
	if err := s.i.remote.CancelLogin(ctx, s.process); err != nil {
		b.log.Debug("a sign-in was not cancelled", "error", err)
	}
}

// chatLogin signs in by words: for flows without a form.
func (b *Bridge) chatLogin(ctx context.Context, who jid.JID, args string) string {
	var step sdk.LoginStep
	var err error
	if args == "done" || args == "next" {
		step, err = b.nextLogin(ctx, who, nil)
	} else {
		step, err = b.startLogin(ctx, who, args)
	}
	if err != nil {
		return firstOf(b.stanzaError(err).Text, "That did not work.")
	}
	switch step.Kind {
	case sdk.StepDone:
		return "You are signed in to " + b.title() + "."
	case sdk.StepOpenURL:
		return strings.TrimSpace(step.Text + "\nOpen " + step.URL + " and then send \"login done\".")
	case sdk.StepShowCode:
		return strings.TrimSpace(step.Text + "\nYour code is " + step.Code + ". When it is entered, send \"login done\".")
	}
	b.cancelLogin(ctx, who, "")
	return "This needs a form: run the command \"Sign in\" of " + b.spec.users() + " in a client with ad-hoc commands. Never write a secret into a chat."
}

// commandLogin signs in by ad-hoc command.
func (b *Bridge) commandLogin(ctx context.Context, who jid.JID, c *xmlstream.Node) (*xmlstream.Node, error) {
	var step sdk.LoginStep
	var err error
	if c.Attr("sessionid") == "" {
		step, err = b.startLogin(ctx, who, "")
	} else {
		values := map[string]string{}
		if x := form.Find(c); x != nil {
			f, ferr := form.Parse(x)
			if ferr != nil {
				return nil, stanza.NewError(stanza.BadRequest, "The form cannot be read.")
			}
			for _, field := range f.Fields {
				values[field.Var] = field.Value()
			}
		}
		step, err = b.nextLogin(ctx, who, values)
	}
	if err != nil {
		return nil, err
	}
	if step.Kind == sdk.StepDone {
		n := commandNode("login", c.Attr("sessionid"), "completed")
		n.AddNew("note", "type", "info").SetText("You are signed in to " + b.title() + ".")
		return n, nil
	}
	n := commandNode("login", firstOf(c.Attr("sessionid"), shortHash(step.Process)), "executing")
	n.Add(xmlstream.NewNode(ns.Commands, "actions", "execute", "next").Add(xmlstream.NewNode(ns.Commands, "next")), loginForm(step).Node())
	return n, nil
}

// loginForm shows a step as a data form (XEP-0004).
func loginForm(step sdk.LoginStep) *form.Form {
	f := form.New(form.TypeForm, "")
	f.Title = "Sign in"
	if step.Text != "" {
		f.Instructions = []string{step.Text}
	}
	switch step.Kind {
	case sdk.StepOpenURL:
		f.Add(form.Field{Var: "url", Type: form.Fixed, Label: "Open this page, then go on", Values: []string{step.URL}})
	case sdk.StepShowCode:
		f.Add(form.Field{Var: "code", Type: form.Fixed, Label: "Enter this code there, then go on", Values: []string{step.Code}})
	}
	for _, l := range step.Fields {
		field := form.Field{Var: l.Name, Type: form.TextSingle, Label: l.Label, Required: l.Required}
		if l.Default != "" {
			field.Values = []string{l.Default}
		}
		switch {
		case l.Secret:
			field.Type = form.TextPrivate
		case len(l.Options) > 0:
			field.Type = form.ListSingle
			for _, o := range l.Options {
				field.Options = append(field.Options, form.Option{Label: o, Value: o})
			}
		}
		f.Add(field)
	}
	return f
}
