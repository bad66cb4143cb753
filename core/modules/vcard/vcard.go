// Package vcard keeps the vCard of each account (XEP-0054, vcard-temp): its owner sets it, everybody may read it.
//
// What it is not: avatar hashes in presence (XEP-0153) are the client's; nothing is converted from or to the avatars of XEP-0084.
//
// Storage: table "vcard", owner the account's bare JID, one row "vcard" with the canonical bytes of <vCard/>.
//
// Goroutines: none.
//
//	modules = append(modules, vcard.New(vcard.Options{}))
package vcard

import (
	"context"
	"errors"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

const (
	tableName = "vcard"
	rowKey    = "vcard"
)

// Options of the module.
type Options struct {
	MaxBytes int // greatest size of a vCard; 0: 128 KiB
}

// Module implements module.Module.
type Module struct {
	o     Options
	table storage.Table
}

// New returns the module.
func New(o Options) *Module {
	if o.MaxBytes <= 0 {
		o.MaxBytes = 128 << 10
	}
	return &Module{o: o}
}

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "vcard", Specs: []module.Spec{
		{ID: "XEP-0054", Version: "1.3.0", Status: "complete"},
		{ID: "XEP-0153", Version: "1.1.1", Status: "complete", Note: "the server passes the hash on; clients make it"},
	}}
}

// Register implements module.Module.
func (m *Module) Register(r *module.Registrar) error {
	m.table = r.Deps.Store.Table(tableName)
	r.Provide(m)
	r.Feature(module.ScopeServer, ns.VCard)
	r.Feature(module.ScopeAccount, ns.VCard)
	return r.IQ(
		module.IQRoute{Scope: module.ScopeAccount, Type: stanza.TypeGet, Space: ns.VCard, Local: "vCard", Handle: m.get},
		module.IQRoute{Scope: module.ScopeAccount, Type: stanza.TypeSet, Space: ns.VCard, Local: "vCard", OwnOnly: true, Handle: m.set},
	)
}

// VCard returns the vCard of an account, or nil if it has none.
func (m *Module) VCard(ctx context.Context, account jid.JID) (*xmlstream.Node, error) {
	b, err := m.table.Get(ctx, account.Bare().String(), rowKey)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("vcard: read: %w", err)
	}
	f, err := xmlstream.ParseFragment(b)
	if err != nil || f.NumChildren() != 1 {
		return nil, fmt.Errorf("vcard: read: %d elements: %w", f.NumChildren(), err)
	}
	return f.At(0).Node(), nil
}

func (m *Module) get(ctx context.Context, req *module.Request) (*xmlstream.Node, error) {
	n, err := m.VCard(ctx, req.Target())
	switch {
	case err != nil:
		return nil, err
	case n != nil:
		return n, nil
	case req.Own:
		return nil, stanza.NewError(stanza.ItemNotFound, "There is no vCard yet.") // XEP-0054 §3.1
	}
	// XEP-0054 §3.3: the same as for an account that does not exist.
	return nil, module.Unsupported()
}

// set: XEP-0054 §3.2. The whole vCard is replaced.
func (m *Module) set(_ context.Context, req *module.Request) (*xmlstream.Node, error) {
	b := xmlstream.NewFragment(req.Query.Node()).Bytes()
	if len(b) > m.o.MaxBytes {
		return nil, &stanza.Error{Condition: stanza.NotAcceptable, Type: "modify",
			Text: fmt.Sprintf("A vCard may have %d bytes; use a smaller picture.", m.o.MaxBytes)}
	}
	req.Unit.Add(storage.PutRow{Table: tableName, Owner: req.Target().Bare().String(), Key: rowKey, Value: b})
	return nil, nil
}
