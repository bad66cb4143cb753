// Package ping answers XMPP pings (XEP-0199): to the server, to the hosts that modules bring, and on behalf of accounts.
//
// What it is not: it pings nobody itself; streams notice dead connections by stream management and keep-alives (core/c2s).
//
// Goroutines: none.
//
//	modules = append(modules, ping.New())
package ping

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Module implements module.Module.
type Module struct{}

// New returns the module.
func New() *Module { return &Module{} }

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "ping", Specs: []module.Spec{{ID: "XEP-0199", Version: "2.0.1", Status: "complete"}}}
}

// Register implements module.Module.
func (*Module) Register(r *module.Registrar) error {
	r.Feature(module.ScopeAny, ns.Ping)
	return r.IQ(
		module.IQRoute{Scope: module.ScopeAny, Type: stanza.TypeGet, Space: ns.Ping, Local: "ping", Handle: pong},
		module.IQRoute{Scope: module.ScopeAccount, Type: stanza.TypeGet, Space: ns.Ping, Local: "ping", Handle: ownPong},
	)
}

// ownPong answers for an account to itself; others would learn that it exists (XEP-0199 §7).
func ownPong(_ context.Context, req *module.Request) (*xmlstream.Node, error) {
	if !req.Own {
		return nil, module.Unsupported()
	}
	return nil, nil
}

// pong: XEP-0199 §4.1, §4.2.
func pong(context.Context, *module.Request) (*xmlstream.Node, error) { return nil, nil }
