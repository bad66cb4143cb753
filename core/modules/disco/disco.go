package disco

import (
	"context"
	"slices"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/payload/hash"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Options of the module.
type Options struct {
	// Node is what the server's capabilities are named by (XEP-0115 §4); "": https://viaduct.im.
	Node string
	// Name is the server's name in its identity; "": Viaduct.
	Name string
	// Contacts are URIs by kind (XEP-0157 §2): abuse, admin, feedback, sales, security, status, support.
	Contacts map[string][]string
}

// Subscriptions tells who may know that an account exists; core/modules/roster provides it.
type Subscriptions interface {
	Subscribed(ctx context.Context, owner, contact jid.JID) (bool, error)
}

// pageSize is how many items are told at once.
const pageSize = 250

// Module implements module.Module.
type Module struct {
	o     Options
	d     module.Deps
	reg   *module.Registry
	subs  Subscriptions
	ver   string                       // the server's capabilities hash
	infos map[module.Scope]*staticInfo // what does not change once modules are started
}

// staticInfo is what is registered for a scope, sorted and without doubles.
type staticInfo struct {
	identities []module.Identity
	features   []string
}

var _ module.Starter = (*Module)(nil)

// New returns the module.
func New(o Options) *Module {
	if o.Node == "" {
		o.Node = "https://viaduct.im"
	}
	if o.Name == "" {
		o.Name = "Viaduct"
	}
	return &Module{o: o}
}

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "disco", Specs: []module.Spec{
		{ID: "XEP-0030", Version: "2.5.0", Status: "complete"},
		{ID: "XEP-0059", Version: "1.0", Status: "partial", Note: "for items; backwards and by index lists of up to 250"},
		{ID: "XEP-0115", Version: "1.6.0", Status: "partial", Note: "the server's own capabilities"},
		{ID: "XEP-0128", Version: "1.0.1", Status: "complete"},
		{ID: "XEP-0157", Version: "1.1.1", Status: "complete"},
	}}
}

// Register implements module.Module.
func (m *Module) Register(r *module.Registrar) error {
	m.d, m.reg = r.Deps, r.Registry()
	r.Want(&m.subs)
	r.Feature(module.ScopeAny, ns.DiscoInfo, ns.DiscoItems)
	r.Feature(module.ScopeServer, ns.Caps, ns.RSM)
	r.Identity(module.ScopeServer, module.Identity{Category: "server", Type: "im", Name: m.o.Name})
	r.Identity(module.ScopeAccount, module.Identity{Category: "account", Type: "registered"})
	r.Deps.Events.C2S.Features.On(event.Record, "disco", m.streamFeatures)
	return r.IQ(
		module.IQRoute{Scope: module.ScopeAny, Type: stanza.TypeGet, Space: ns.DiscoInfo, Local: "query", Handle: m.info},
		module.IQRoute{Scope: module.ScopeAny, Type: stanza.TypeGet, Space: ns.DiscoItems, Local: "query", Handle: m.items},
	)
}

// Start implements module.Starter: everybody has registered.
func (m *Module) Start(context.Context) error {
	m.infos = map[module.Scope]*staticInfo{}
	scopes := []module.Scope{module.ScopeServer, module.ScopeAccount}
	for _, h := range m.reg.Hosts {
		scopes = append(scopes, h.Scope)
	}
	for _, s := range scopes {
		m.infos[s] = m.collect(s)
	}
	server := m.infos[module.ScopeServer]
	caps := hash.Caps{Features: server.features, Forms: m.forms(module.ScopeServer)}
	for _, id := range server.identities {
		caps.Identities = append(caps.Identities, hash.Identity{Category: id.Category, Type: id.Type, Name: id.Name})
	}
	m.ver = caps.Ver()
	return nil
}

// Stop implements module.Starter.
func (m *Module) Stop(context.Context) error { return nil }

func (m *Module) collect(s module.Scope) *staticInfo {
	i := &staticInfo{}
	for _, id := range m.reg.Identities[s] {
		if !slices.Contains(i.identities, id) {
			i.identities = append(i.identities, id)
		}
	}
	i.features = append(slices.Clone(m.reg.Features[module.ScopeAny]), m.reg.Features[s]...)
	slices.Sort(i.features)
	i.features = slices.Compact(i.features)
	return i
}

// streamFeatures: XEP-0115 §6.3.
func (m *Module) streamFeatures(_ context.Context, f *event.StreamFeatures) error {
	if !f.Stream.User.IsZero() {
		f.Features = append(f.Features, hash.CapsNode(m.o.Node, m.ver))
	}
	return nil
}

// scope finds out for whom an address stands.
func (m *Module) scope(target jid.JID) module.Scope {
	if m.d.Hosts.IsAccountDomain(target.Domain()) {
		if target.HasLocal() {
			return module.ScopeAccount
		}
		return module.ScopeServer
	}
	for _, h := range m.reg.Hosts {
		if h.Name == target.Domain() {
			return h.Scope
		}
	}
	return module.ScopeAny
}

// admit keeps from strangers whether an account exists (RFC 6120 §13.10, XEP-0030 §8): the answer is the router's for one that does not.
func (m *Module) admit(ctx context.Context, req *module.Request, scope module.Scope) error {
	if scope != module.ScopeAccount || req.Own || m.subs == nil {
		return nil
	}
	ok, err := m.subs.Subscribed(ctx, req.Target(), req.IQ.From)
	if err != nil || ok {
		return err
	}
	return module.Unsupported()
}

func unknownNode() error { return stanza.NewError(stanza.ItemNotFound, "There is no such node.") }

// info: XEP-0030 §3.1, §3.2.
func (m *Module) info(ctx context.Context, req *module.Request) (*xmlstream.Node, error) {
	target, node := req.Target(), req.Query.Attr("node")
	scope := m.scope(target)
	if err := m.admit(ctx, req, scope); err != nil {
		return nil, err
	}
	out := &module.DiscoInfo{}
	known := node == "" || scope == module.ScopeServer && node == m.o.Node+"#"+m.ver // XEP-0115 §6.2
	if known && m.isStatic(scope, target) {
		s := m.infos[scope]
		out.Identities = append(out.Identities, s.identities...)
		out.Features = append(out.Features, s.features...)
		out.Forms = append(out.Forms, m.forms(scope)...)
	}
	answered := len(out.Features) > 0
	for _, src := range m.reg.Sources[scope] {
		more, ok, err := src.DiscoInfo(ctx, req.IQ.From, target, node)
		if err != nil {
			return nil, err
		}
		if ok {
			answered = true
			out.Identities = append(out.Identities, more.Identities...)
			out.Features = append(out.Features, more.Features...)
			out.Forms = append(out.Forms, more.Forms...)
		}
	}
	if !answered {
		return nil, unknownNode()
	}
	return infoNode(node, out), nil
}

// isStatic tells whether what is registered for a scope holds for the address: the server, an account, and a host itself. What stands at a
// host (a room) is told by the host's source, which knows whether it exists.
func (m *Module) isStatic(scope module.Scope, target jid.JID) bool {
	return m.infos[scope] != nil && (scope == module.ScopeAccount || !target.HasLocal())
}

func infoNode(node string, info *module.DiscoInfo) *xmlstream.Node {
	q := xmlstream.NewNode(ns.DiscoInfo, "query")
	if node != "" {
		q.SetAttr("node", node)
	}
	for _, id := range info.Identities {
		n := xmlstream.NewNode(ns.DiscoInfo, "identity", "category", id.Category, "type", id.Type)
		if id.Name != "" {
			n.SetAttr("name", id.Name)
		}
		q.Add(n)
	}
	features := slices.Clone(info.Features)
	slices.Sort(features)
	for _, f := range slices.Compact(features) { // XEP-0030 §3.1: a feature is there once
		q.Add(xmlstream.NewNode(ns.DiscoInfo, "feature", "var", f))
	}
	return q.Add(info.Forms...)
}

// forms: XEP-0157 §2.
func (m *Module) forms(scope module.Scope) []*xmlstream.Node {
	if scope != module.ScopeServer || len(m.o.Contacts) == 0 {
		return nil
	}
	kinds := make([]string, 0, len(m.o.Contacts))
	for k := range m.o.Contacts {
		kinds = append(kinds, k)
	}
	slices.Sort(kinds)
	f := form.New(form.TypeResult, ns.ServerInfoForm)
	for _, k := range kinds {
		f.Add(form.Field{Var: strings.ToLower(k) + "-addresses", Type: form.ListMulti, Values: m.o.Contacts[k]})
	}
	return []*xmlstream.Node{f.Node()}
}
