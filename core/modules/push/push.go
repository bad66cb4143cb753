package push

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

const tableName = "push"

// Bookmarks are the chats of an account with their settings; core/modules/pubsub provides them.
type Bookmarks interface {
	PEPItem(ctx context.Context, account jid.JID, node, id string) (*xmlstream.Node, error)
}

// Module implements module.Module. What stands below q belongs to its queue.
type Module struct {
	o     Options
	d     module.Deps
	table storage.Table
	marks Bookmarks
	none  strangers
	stats counters

	q        *journal.Queue
	accounts map[jid.JID]*account
	rooms    rooms
	closed   bool
}

var _ module.Starter = (*Module)(nil)

// New returns the module.
func New(o Options) *Module {
	o.fill()
	return &Module{o: o, accounts: map[jid.JID]*account{}}
}

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "push", Specs: []module.Spec{
		{ID: "XEP-0357", Version: "0.4.1", Status: "complete", Note: "messages; not subscription requests"},
		{ID: "XEP-0492", Version: "0.2.0", Status: "complete", Note: "honoured by push"},
	}}
}

// Register implements module.Module.
func (m *Module) Register(r *module.Registrar) error {
	if m.o.Off {
		return nil
	}
	m.d = r.Deps
	m.table = r.Deps.Store.Table(tableName)
	m.q = journal.NewQueue(func(v any) { m.d.Log.Error("a push notification panicked", "panic", fmt.Sprint(v)) })
	m.rooms.init(m)
	r.Need(&m.marks)
	r.Provide(m)
	r.Feature(module.ScopeAccount, ns.Push) // XEP-0357 §4.1
	ev := r.Deps.Events
	ev.Route.Account.On(event.Record, "push", m.announced) // also if nobody is there for it
	ev.Route.Account.On(event.After, "push", m.arrived)
	ev.C2S.Unseen.On(event.After, "push", m.unseen)
	ev.C2S.Bound.On(event.After, "push", m.back)
	ev.C2S.Resumed.On(event.After, "push", m.back)
	ev.C2S.Saving.On(event.Record, "push", saveNicks)
	ev.C2S.Restored.On(event.After, "push", restoreNicks)
	ev.Presence.Directed.On(event.After, "push", directed)
	ev.Account.Deleted.On(event.After, "push", m.deleted)
	return r.IQ(
		module.IQRoute{Scope: module.ScopeAccount, Type: stanza.TypeSet, Space: ns.Push, Local: "enable", OwnOnly: true, Handle: m.enable},
		module.IQRoute{Scope: module.ScopeAccount, Type: stanza.TypeSet, Space: ns.Push, Local: "disable", OwnOnly: true, Handle: m.disable},
	)
}

// Start implements module.Starter: what was waiting when the server stopped goes on.
func (m *Module) Start(context.Context) error {
	if !m.o.Off {
		m.q.Post(func() { m.goOn("") })
	}
	return nil
}

// Stop implements module.Starter: what is waiting is written down.
func (m *Module) Stop(ctx context.Context) error {
	if m.o.Off {
		return nil
	}
	done := make(chan struct{})
	m.q.Post(func() { m.stop(func() { close(done) }) })
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// back: the client that has enabled a device is here again. What waited is not waiting any more.
func (m *Module) back(_ context.Context, e *event.SessionBound) error {
	full := e.Session.Info().JID
	if m.none.has(full.Bare()) {
		return nil
	}
	m.q.Post(func() {
		for _, d := range m.devices(full.Bare()) {
			if d.rec.Client == full.String() {
				d.seen()
			}
		}
	})
	return nil
}

// deleted forgets an account. Its rows went with it; what was on the way to the store goes behind it.
func (m *Module) deleted(_ context.Context, v *event.AccountChange) error {
	who := v.JID.Bare().Clone()
	m.q.Post(func() {
		a := m.accounts[who]
		if a == nil {
			a = &account{who: who}
		}
		for _, d := range a.devices {
			d.end("the account was deleted")
		}
		a.devices = map[string]*device{}
		u := journal.NewUnit(journal.AccountLane(who.String()))
		u.Add(storage.DeleteRows{Table: tableName, Owner: who.String()})
		m.commit(u, a, nil)
	})
	return nil
}

// maxStrangers bounds how many accounts without a device are remembered; when they are too many, all are forgotten.
const maxStrangers = 65536

// strangers are accounts that are known to have no device: most messages end here.
type strangers struct {
	mu  sync.Mutex
	set map[jid.JID]struct{}
}

func (s *strangers) has(account jid.JID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.set[account]
	return ok
}

func (s *strangers) add(account jid.JID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set == nil || len(s.set) >= maxStrangers {
		s.set = map[jid.JID]struct{}{}
	}
	s.set[account.Clone()] = struct{}{}
}

func (s *strangers) remove(account jid.JID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.set, account)
}

type counters struct{ waiting, sent, failed, removed, dropped atomic.Int64 }

// Figures adds those of the metrics page.
func (m *Module) Figures(out map[string]float64) {
	out["push_sent_total"] = float64(m.stats.sent.Load())
	out["push_failed_total"] = float64(m.stats.failed.Load())
	out["push_removed_total"] = float64(m.stats.removed.Load())
	out["push_dropped_total"] = float64(m.stats.dropped.Load())
}
