// Package register is in-band registration (XEP-0077): making an account before login, where the operator allows that, and for those who
// have one, changing the password and giving the account up.
//
// What it is not: it has no forms, invitations or captchas; those are modules of their own at the same requests.
//
// Specifications: XEP-0077.
//
// Goroutines: none.
//
//	modules = append(modules, register.New(register.Options{Open: true}))
package register

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Options of the module.
type Options struct {
	// Open lets everybody make an account.
	Open bool
	// PerAddress is how many accounts one address (IPv6: one /64) may make in PerTime; 0: 3 in an hour.
	PerAddress int
	PerTime    time.Duration
}

// Accounts makes and changes accounts; core/server provides it. A password that the policy refuses is a *stanza.Error that says why.
type Accounts interface {
	Exists(ctx context.Context, bare jid.JID) (bool, error)
	CheckPassword(bare jid.JID, password string) error
	AddCreate(ctx context.Context, u *journal.Unit, bare jid.JID, password string, admin bool) error
	AddPassword(ctx context.Context, u *journal.Unit, bare jid.JID, password string) error
	AddDelete(ctx context.Context, u *journal.Unit, bare jid.JID) error
}

// Module implements module.Module.
type Module struct {
	o        Options
	open     atomic.Bool
	d        module.Deps
	accounts Accounts
	limit    limiter
}

// New returns the module.
func New(o Options) *Module {
	if o.PerAddress <= 0 {
		o.PerAddress = 3
	}
	if o.PerTime <= 0 {
		o.PerTime = time.Hour
	}
	m := &Module{o: o}
	m.open.Store(o.Open)
	return m
}

// SetOpen lets everybody make an account from now on, or nobody any more.
func (m *Module) SetOpen(open bool) { m.open.Store(open) }

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "register", Specs: []module.Spec{
		{ID: "XEP-0077", Version: "2.4", Status: "partial", Note: "no forms, no redirection"},
	}}
}

// Register implements module.Module.
func (m *Module) Register(r *module.Registrar) error {
	m.d = r.Deps
	m.limit.init(m.o.PerAddress, m.o.PerTime)
	r.Need(&m.accounts)
	r.Feature(module.ScopeServer, ns.Register)
	r.Deps.Events.C2S.Features.On(event.Record, "register", m.features)
	r.Deps.Events.C2S.PreAuth.On(event.Guard, "register", m.preAuth)
	var routes []module.IQRoute
	// XEP-0077 §3.2, §3.3: clients send these to the server, or to nobody.
	for _, s := range []module.Scope{module.ScopeServer, module.ScopeAccount} {
		routes = append(routes,
			module.IQRoute{Scope: s, Type: stanza.TypeGet, Space: ns.Register, Local: "query", OwnOnly: s == module.ScopeAccount, Handle: m.get},
			module.IQRoute{Scope: s, Type: stanza.TypeSet, Space: ns.Register, Local: "query", OwnOnly: s == module.ScopeAccount, Handle: m.set})
	}
	return r.IQ(routes...)
}

// features: XEP-0077 §7; only where a password is not seen by others.
func (m *Module) features(_ context.Context, f *event.StreamFeatures) error {
	if m.open.Load() && f.Stream.User.IsZero() && f.Stream.TLS != nil {
		f.Features = append(f.Features, xmlstream.NewNode(ns.FeatureRegister, "register"))
	}
	return nil
}

// preAuth: XEP-0077 §3.1.
func (m *Module) preAuth(ctx context.Context, p *event.PreAuthIQ) error {
	q, ok := p.IQ.Query()
	if !ok || q.Name().Space != ns.Register || q.Name().Local != "query" || !p.IQ.IsRequest() {
		return nil
	}
	if !m.open.Load() {
		return stanza.NewError(stanza.ServiceUnavailable, "Accounts are not made in this way here.")
	}
	if p.Stream.TLS == nil {
		p.Reply = p.IQ.ErrorReply(stanza.NewError(stanza.NotAllowed, "Registration needs an encrypted stream."))
		return event.Stop
	}
	if p.IQ.Type == stanza.TypeGet {
		p.Reply = p.IQ.Result(xmlstream.NewNode(ns.Register, "query").Add(
			text("instructions", "Choose a name and a password."), text("username", ""), text("password", "")))
		return event.Stop
	}
	if err := m.create(ctx, p, q.Node()); err != nil {
		p.Reply = p.IQ.ErrorReply(m.logged(err))
	}
	return event.Stop
}

func (m *Module) create(ctx context.Context, p *event.PreAuthIQ, q *xmlstream.Node) error {
	name, password := child(q, "username"), child(q, "password")
	if name == "" || password == "" {
		return stanza.NewError(stanza.NotAcceptable, "A name and a password are needed.")
	}
	bare, err := jid.New(name, p.Stream.Domain, "")
	if err != nil {
		return stanza.NewError(stanza.JIDMalformed, "This cannot be the name of an account.")
	}
	if err := m.accounts.CheckPassword(bare, password); err != nil {
		return err
	}
	exists, err := m.accounts.Exists(ctx, bare)
	if err != nil {
		return err
	}
	if exists {
		return stanza.NewError(stanza.Conflict, "The name is taken.")
	}
	from := p.Stream.Remote.Addr()
	if !m.limit.allow(from, m.d.Clock.Now()) {
		return &stanza.Error{Type: "wait", Condition: stanza.ResourceConstraint, Text: "Too many accounts were made from this address; try again later."}
	}
	if err := m.accounts.AddCreate(ctx, p.Unit, bare, password, false); err != nil {
		return err
	}
	p.Reply = p.IQ.Result()
	iq := p.IQ
	p.After = func(err error) {
		switch {
		case errors.Is(err, journal.ErrConflict):
			p.Reply = iq.ErrorReply(stanza.NewError(stanza.Conflict, "The name is taken."))
		case err != nil:
			m.d.Log.Error("an account could not be stored", "jid", bare.String(), "err", err)
			p.Reply = iq.ErrorReply(&stanza.Error{Type: "wait", Condition: stanza.ResourceConstraint, Text: "The server cannot store this now; try again later."})
		default:
			m.d.Log.Info("an account was registered", "jid", bare.String(), "remote", from.String())
		}
	}
	return nil
}

// logged keeps what is not for the person.
func (m *Module) logged(err error) error {
	var se *stanza.Error
	if !errors.As(err, &se) {
		m.d.Log.Error("registration failed", "err", err)
	}
	return err
}

// get tells that there is an account (XEP-0077 §3.1.1).
func (m *Module) get(_ context.Context, req *module.Request) (*xmlstream.Node, error) {
	if err := m.local(req); err != nil {
		return nil, err
	}
	return xmlstream.NewNode(ns.Register, "query").Add(xmlstream.NewNode(ns.Register, "registered"),
		text("username", req.IQ.From.Local()), text("password", "")), nil
}

// set changes the password (XEP-0077 §3.3) or gives up the account (§3.2).
func (m *Module) set(ctx context.Context, req *module.Request) (*xmlstream.Node, error) {
	if err := m.local(req); err != nil {
		return nil, err
	}
	me, q := req.IQ.From.Bare(), req.Query.Node()
	if q.Child(ns.Register, "remove") != nil {
		return nil, m.remove(ctx, req, me, q)
	}
	name, password := child(q, "username"), child(q, "password")
	named, err := jid.New(name, me.Domain(), "")
	switch {
	case name == "" || password == "":
		return nil, stanza.NewError(stanza.BadRequest, "The name and the new password are needed.")
	case err != nil || named != me:
		return nil, stanza.NewError(stanza.NotAllowed, "This is not your account.")
	}
	if err := m.accounts.AddPassword(ctx, req.Unit, me, password); err != nil {
		return nil, m.logged(err)
	}
	return nil, nil
}

// remove: XEP-0077 §3.2. The sessions end behind the answer, with not-authorized as the text has it.
func (m *Module) remove(ctx context.Context, req *module.Request, me jid.JID, q *xmlstream.Node) error {
	elements := 0
	for range q.Elements() {
		elements++
	}
	if elements > 1 { // XEP-0077 §3.2.1
		return stanza.NewError(stanza.BadRequest, "Nothing stands beside remove.")
	}
	if err := m.accounts.AddDelete(ctx, req.Unit, me); err != nil {
		return m.logged(err)
	}
	req.OnCommit(func() { m.end(req.Session, me) })
	return nil
}

// end ends all sessions of an account. It runs in the queue of one of them, which therefore ends by itself: nobody waits for himself.
func (m *Module) end(asker event.Session, me jid.JID) {
	const condition, text = "not-authorized", "The account was removed."
	ctx := context.Background()
	own := asker.Info().JID
	for _, s := range m.d.Sessions.Of(ctx, me) {
		if s.JID != own {
			m.d.Sessions.Close(ctx, s.JID, condition, text)
		}
	}
	asker.Close(condition, text)
}

// local keeps other servers' people out: a request to the server carries no proof of an account here.
func (m *Module) local(req *module.Request) error {
	if req.Session == nil || !m.d.Hosts.IsAccountDomain(req.IQ.From.Domain()) {
		return stanza.NewError(stanza.Forbidden, "Only people with an account here may ask this.")
	}
	return nil
}

func text(local, s string) *xmlstream.Node { return xmlstream.NewNode(ns.Register, local).SetText(s) }

func child(q *xmlstream.Node, local string) string {
	if n := q.Child(ns.Register, local); n != nil {
		return n.TextContent()
	}
	return ""
}

// addressOf is what one person has of addresses: one of IPv4, a /64 of IPv6.
func addressOf(a netip.Addr) netip.Addr {
	a = a.Unmap()
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}
