// Package archive decides what the archives of accounts keep, and for how long: one reference per message and person, in the unit that
// delivers it, and the stanza-id by which that archive knows it (XEP-0359) on the copy of its owner.
//
// What is kept is what package hints says (XEP-0313 §5.1.2 with the processing hints of XEP-0334: what has a text, receipts, displayed
// markers, reactions, corrections, retractions), as far as the owner wants it (XEP-0441). Of a message that its sender retracts a
// tombstone stays (XEP-0424). What is older, more or larger than configured goes, oldest first, behind live units: in rooms, too. So does
// what all archives, or those of a domain, hold together beyond their bounds.
//
// What it is not: it answers no questions (core/modules/mam), and rooms write their own archives (core/modules/muc).
//
// Specifications: XEP-0313 §2.2, §5.1; XEP-0334; XEP-0359 §3.1; XEP-0424 §5, §6; XEP-0441. The reasons are in docs/adr/0006-archive.md.
//
// Storage: table "archive.prefs", owner the account, one row "prefs". Goroutines: none; a timer starts the rounds of the retention.
//
//	modules = append(modules, archive.New(archive.Options{}))
package archive

import (
	"context"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/hints"
	"github.com/viaduct-xmpp/viaduct/core/payload/stanzaid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// Options of the module.
type Options struct {
	// NoPeople: accounts have no archives; what rooms keep is bounded all the same.
	NoPeople bool
	// Default is what an account keeps that has said nothing; Always.
	Default Policy
	// Keep bounds archives.
	Keep Retention
}

// IDs shows the numbers of an archive to the outside; core/server provides it.
type IDs interface {
	Encode(archive string, id int64) string
	Decode(archive, id string) (int64, bool)
}

// contacts is what the module needs of contact lists.
type contacts interface {
	Item(ctx context.Context, owner, contact jid.JID) (storage.RosterItem, error)
}

// Module implements module.Module.
type Module struct {
	o        Options
	d        module.Deps
	messages storage.Messages
	ids      IDs
	contacts contacts // nil: nobody has contacts
	prefs    prefsCache
	rounds   rounds
	late     *journal.Queue // what is done behind a commit
	seeker   seeker
}

// New returns the module.
func New(o Options) *Module {
	if o.Default == "" {
		o.Default = Always
	}
	return &Module{o: o}
}

// Info implements module.Module.
func (m *Module) Info() module.Info {
	i := module.Info{Name: "archive"}
	if !m.o.NoPeople {
		i.Specs = []module.Spec{
			{ID: "XEP-0359", Version: "0.7.0", Status: "complete"},
			{ID: "XEP-0334", Version: "0.4.0", Status: "partial", Note: "hints on storage; no-copy is for carbons"},
			{ID: "XEP-0424", Version: "0.4.2", Status: "complete", Note: "tombstones in the archives of accounts"},
			{ID: "XEP-0441", Version: "0.2.0", Status: "complete"},
		}
	}
	return i
}

// Register implements module.Module.
func (m *Module) Register(r *module.Registrar) error {
	m.d, m.messages = r.Deps, r.Deps.Store.Messages()
	m.prefs.init(r.Deps.Store.Table(tableName))
	if m.o.NoPeople {
		return nil
	}
	m.seeker.m = m
	m.late = journal.NewQueue(func(v any) { m.d.Log.Error("a tombstone panicked", "panic", fmt.Sprint(v)) })
	r.Need(&m.ids)
	r.Want(&m.contacts)
	r.Feature(module.ScopeAccount, ns.StanzaID, ns.Retract, ns.RetractTombstone)
	r.Deps.Events.Account.Deleted.On(event.After, "archive", func(_ context.Context, c *event.AccountChange) error {
		m.prefs.drop(c.JID.Bare().String())
		return nil
	})
	route := &r.Deps.Events.Route
	route.Sent.On(event.Record, "archive", m.sent)
	route.Account.On(event.Rewrite, "archive", m.stamp)
	route.Account.On(event.Record, "archive", m.received)
	route.Restored.On(event.Rewrite, "archive", m.restored)
	return r.IQ(
		module.IQRoute{Scope: module.ScopeAccount, Type: stanza.TypeGet, Space: ns.MAM, Local: "prefs", OwnOnly: true, Handle: m.getPrefs},
		module.IQRoute{Scope: module.ScopeAccount, Type: stanza.TypeSet, Space: ns.MAM, Local: "prefs", OwnOnly: true, Handle: m.setPrefs},
	)
}

func (m *Module) sent(ctx context.Context, am *event.AccountMessage) error {
	ok, err := m.keeps(ctx, am, am.Stanza.To)
	if err != nil || !ok {
		return err
	}
	peer := am.Stanza.To.Bare().String()
	if err := m.retracted(ctx, am, peer); err != nil {
		return err
	}
	am.Ref(storage.Archive, am.Account.String(), peer, nil)
	am.Archived = true
	return nil
}

func (m *Module) stamp(ctx context.Context, am *event.AccountMessage) error {
	ok, err := m.keeps(ctx, am, am.Stanza.From)
	if ok {
		am.Stamp = append(am.Stamp, stanzaid.Node(am.Account, m.ids.Encode(am.Account.String(), int64(am.ID))))
	}
	return err
}

func (m *Module) received(ctx context.Context, am *event.AccountMessage) error {
	ok, err := m.keeps(ctx, am, am.Stanza.From)
	if err != nil || !ok {
		return err
	}
	peer := other(am.Stanza.From, am.Account)
	if err := m.retracted(ctx, am, peer); err != nil {
		return err
	}
	am.Ref(storage.Archive, am.Account.String(), peer, nil)
	am.Archived = true
	return nil
}

// keeps tells whether a message belongs into the archive of its account: it is worth it, and the owner wants it. target is the other side
// as it is written in the stanza (XEP-0441 §2.3).
func (m *Module) keeps(ctx context.Context, am *event.AccountMessage, target jid.JID) (bool, error) {
	if !hints.Of(am.Stanza).Archive() {
		return false, nil
	}
	return m.wants(ctx, am.Account, target)
}

// other is the other side; of a note to oneself, oneself.
func other(from, account jid.JID) string {
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
