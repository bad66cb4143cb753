// Package time tells the server's time (XEP-0202).
//
// What it is not: a source of time for anything else in the server; that is module.Clock.
//
// Goroutines: none.
//
//	modules = append(modules, time.New())
package time

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Module implements module.Module.
type Module struct{ clock module.Clock }

// New returns the module.
func New() *Module { return &Module{} }

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "time", Specs: []module.Spec{{ID: "XEP-0202", Version: "2.0", Status: "complete"}}}
}

// Register implements module.Module.
func (m *Module) Register(r *module.Registrar) error {
	m.clock = r.Deps.Clock
	r.Feature(module.ScopeServer, ns.Time)
	return r.IQ(module.IQRoute{Scope: module.ScopeServer, Type: stanza.TypeGet, Space: ns.Time, Local: "time", Handle: m.answer})
}

// answer: XEP-0202 §2; both in the formats of XEP-0082.
func (m *Module) answer(context.Context, *module.Request) (*xmlstream.Node, error) {
	now := m.clock.Now()
	return xmlstream.NewNode(ns.Time, "time").Add(
		xmlstream.NewNode(ns.Time, "tzo").SetText(now.Format("-07:00")),
		xmlstream.NewNode(ns.Time, "utc").SetText(now.UTC().Format("2006-01-02T15:04:05Z")),
	), nil
}
