// Package version tells which software this is (XEP-0092).
//
// What it is not: it does not tell the operating system, which XEP-0092 §3 leaves to the operator's taste and attackers like to know.
//
// Goroutines: none.
//
//	modules = append(modules, version.New(version.Options{Name: "Viaduct"}))
package version

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Options of the module.
type Options struct {
	Name string // "": Viaduct
	// HideVersion leaves the version empty.
	HideVersion bool
}

// Module implements module.Module.
type Module struct {
	o       Options
	version string
}

// New returns the module.
func New(o Options) *Module {
	if o.Name == "" {
		o.Name = "Viaduct"
	}
	return &Module{o: o}
}

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "version", Specs: []module.Spec{{ID: "XEP-0092", Version: "1.1", Status: "complete"}}}
}

// Register implements module.Module.
func (m *Module) Register(r *module.Registrar) error {
	if !m.o.HideVersion {
		m.version = r.Deps.Version
	}
	r.Feature(module.ScopeServer, ns.Version)
	return r.IQ(module.IQRoute{Scope: module.ScopeServer, Type: stanza.TypeGet, Space: ns.Version, Local: "query", Handle: m.answer})
}

// answer: XEP-0092 §2. Both elements are required, the version may be empty.
func (m *Module) answer(context.Context, *module.Request) (*xmlstream.Node, error) {
	return xmlstream.NewNode(ns.Version, "query").Add(
		xmlstream.NewNode(ns.Version, "name").SetText(m.o.Name),
		xmlstream.NewNode(ns.Version, "version").SetText(m.version),
	), nil
}
