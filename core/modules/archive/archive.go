// Package archive writes the message archives of accounts: one reference per message and person, in the unit that delivers it, and the stanza-id
// by which that archive knows it (XEP-0359) on the copy of its owner.
//
// What is kept is what package hints says: XEP-0313 §5.1.2 with the processing hints of XEP-0334.
//
// What it is not: it answers no queries, and rooms keep their own archives (core/modules/muc).
//
// Specifications: XEP-0313 §5.1 (what is archived), XEP-0359 §3.1.
//
// Goroutines: none.
//
//	modules = append(modules, archive.New())
package archive

import (
	"context"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/hints"
	"github.com/viaduct-xmpp/viaduct/core/payload/stanzaid"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// IDs shows the numbers of an archive to the outside; core/server provides it.
type IDs interface {
	Encode(archive string, id int64) string
	Decode(archive, id string) (int64, bool)
}

// Module implements module.Module.
type Module struct {
	messages storage.Messages
	ids      IDs
}

// New returns the module.
func New() *Module { return &Module{} }

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "archive", Specs: []module.Spec{
		{ID: "XEP-0359", Version: "0.7.0", Status: "complete"},
		{ID: "XEP-0334", Version: "0.4.0", Status: "partial", Note: "hints on storage; no-copy is for carbons"},
	}}
}

// Register implements module.Module.
func (m *Module) Register(r *module.Registrar) error {
	m.messages = r.Deps.Store.Messages()
	r.Need(&m.ids)
	r.Feature(module.ScopeAccount, ns.StanzaID)
	route := &r.Deps.Events.Route
	route.Sent.On(event.Record, "archive", m.sent)
	route.Account.On(event.Rewrite, "archive", m.stamp)
	route.Account.On(event.Record, "archive", m.received)
	route.Restored.On(event.Rewrite, "archive", m.restored)
	return nil
}

func (m *Module) sent(_ context.Context, am *event.AccountMessage) error {
	if hints.Of(am.Stanza).Archive() {
		am.Ref(storage.Archive, am.Account.String(), am.Stanza.To.Bare().String(), nil)
		am.Archived = true
	}
	return nil
}

func (m *Module) stamp(_ context.Context, am *event.AccountMessage) error {
	if hints.Of(am.Stanza).Archive() {
		am.Stamp = append(am.Stamp, stanzaid.Node(am.Account, m.ids.Encode(am.Account.String(), int64(am.ID))))
	}
	return nil
}

func (m *Module) received(_ context.Context, am *event.AccountMessage) error {
	if hints.Of(am.Stanza).Archive() {
		am.Ref(storage.Archive, am.Account.String(), peer(am.Stanza.From, am.Account), nil)
		am.Archived = true
	}
	return nil
}

// peer is the other side; of a note to oneself, oneself.
func peer(from, account jid.JID) string {
	if from.IsZero() {
		return account.String()
	}
	return from.Bare().String()
}

// restored stamps a message that comes from another list with the id that it has here, if it is here.
func (m *Module) restored(ctx context.Context, am *event.AccountMessage) error {
	owner := am.Account.String()
	refs, _, err := m.messages.Refs(ctx, storage.Archive, owner, storage.Range{After: am.ID - 1, Before: am.ID + 1, Limit: 1})
	if err != nil {
		return fmt.Errorf("archive: look up message: %w", err)
	}
	if len(refs) > 0 {
		am.Stamp = append(am.Stamp, stanzaid.Node(am.Account, m.ids.Encode(owner, int64(am.ID))))
	}
	return nil
}
