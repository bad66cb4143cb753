package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/mappings"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Bridge is one configured bridge. It outlives the instances of its plugin.
type Bridge struct {
	m     *Module
	spec  BridgeSpec
	allow atomic.Pointer[Allow] // spec.Allow, or what it was changed to
	log   *slog.Logger

	portals  portalTable
	puppets  puppetTable
	inbox    inbox
	ghosts   ghostQueue
	faces    faceQueue
	shown    presenceBook
	counters counters

	mu       sync.Mutex
	inst     *instance     // nil: the plugin is not there
	arrival  chan struct{} // closed when it is there, for the first time since the start
	info     sdk.Info
	codec    *mappings.Codec // nil: never attached since the start
	caps     sdk.Capabilities
	pause    bool                    // nothing is sent
	watching bool                    // the plugin will be told whose presence is wanted
	opened   int                     // portals there are, about: those that the network opens are bounded
	acting   map[jid.JID]sdk.LoginID // own accounts that are connected
	last     error                   // why the last instance ended
	told     map[jid.JID]bool

	signings map[jid.JID]*signing // by person
}

func newBridge(m *Module, s BridgeSpec) *Bridge {
	b := &Bridge{m: m, spec: s, arrival: make(chan struct{}), told: map[jid.JID]bool{}, signings: map[jid.JID]*signing{}, acting: map[jid.JID]sdk.LoginID{}}
	b.allow.Store(&s.Allow)
	b.portals.init(b)
	b.puppets.init(b)
	b.inbox.init(b, m.o.Tune.InboxEvents)
	b.ghosts.init(b)
	b.faces.init(b)
	b.shown.init()
	return b
}

// start reads what has to be known before the first client can come.
func (b *Bridge) start(ctx context.Context) error { return b.ghosts.load(ctx) }

// halt ends timers; the instance is not touched, it belongs to whoever attached it.
func (b *Bridge) halt() {
	b.ghosts.halt()
	b.portals.halt()
}

func (b *Bridge) title() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return firstOf(b.spec.Title, b.info.Title, b.spec.Name)
}

// current returns the running instance, or nil.
func (b *Bridge) current() *instance {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.inst
}

func (b *Bridge) codecNow() *mappings.Codec {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.codec
}

// can tells whether the plugin has a role; false while it is not there.
func (b *Bridge) can(a sdk.Ability) bool {
	i := b.current()
	return i != nil && i.remote.Can(a)
}

// instance is one session with the plugin. It is the sdk.Host of that session.
type instance struct {
	b      *Bridge
	remote sdk.Remote
	ctx    context.Context // ends with the session or the module
	cancel context.CancelCauseFunc
	lost   atomic.Bool
}

// attach starts a new instance.
func (b *Bridge) attach(ctx context.Context, r sdk.Remote) error {
	info := r.Info()
	codec, err := mappings.NewCodec(info.Addresses, b.spec.users(), b.spec.rooms())
	if err != nil {
		return fmt.Errorf("gateway: attach %s: %w", b.spec.Name, err)
	}
	resume, err := b.resume(ctx)
	if err != nil {
		return fmt.Errorf("gateway: attach %s: %w", b.spec.Name, err)
	}
	i := &instance{b: b, remote: r}
	i.ctx, i.cancel = context.WithCancelCause(b.m.base)
	b.mu.Lock()
	old := b.inst
	b.inst = nil
	b.info, b.codec, b.caps = info, codec, info.Capabilities
	b.opened, b.acting = len(resume.Portals), map[jid.JID]sdk.LoginID{}
	b.mu.Unlock()
	if old != nil { // two instances would do everything twice
		old.end(sdk.ErrSessionLost)
	}
	if !b.spec.Configured {
		c := b.spec.Configuration
		c.Name, c.Domain, c.Server = b.spec.Name, b.spec.Domain, "Viaduct "+b.m.d.Version
		if err := r.Configure(ctx, c); err != nil {
			i.end(err)
			return fmt.Errorf("gateway: configure %s: %w", b.spec.Name, err)
		}
	}
	if err := r.Start(ctx, i, resume); err != nil {
		i.end(err)
		return fmt.Errorf("gateway: start %s: %w", b.spec.Name, err)
	}
	if !b.m.run(func(ctx context.Context) { i.watch(ctx) }) {
		i.end(sdk.ErrSessionLost)
		return fmt.Errorf("gateway: attach %s: %w", b.spec.Name, journal.ErrStopped)
	}
	b.mu.Lock()
	b.inst, b.last = i, nil
	select {
	case <-b.arrival:
	default:
		close(b.arrival)
	}
	b.told = map[jid.JID]bool{}
	b.mu.Unlock()
	b.log.Info("plugin attached", "plugin", info.Plugin, "version", info.Version)
	b.m.run(func(context.Context) { i.loadLogins(i.ctx) })
	b.wakeAll(ctx)
	b.watchSoon()
	b.m.run(func(ctx context.Context) {
		b.leavePending(ctx)
		b.joinPending(ctx)
	})
	for _, p := range b.portals.all() {
		if p.peopled() {
			p.refresh(i)
		}
	}
	return nil
}

// watch waits for the end of the session.
func (i *instance) watch(ctx context.Context) {
	err := sdk.ErrSessionLost
	select {
	case <-i.remote.Done():
		if e := i.remote.Err(); e != nil {
			err = e
		}
	case <-ctx.Done():
	case <-i.ctx.Done():
	}
	i.end(err)
}

// end makes the instance the bridge's no longer.
func (i *instance) end(err error) {
	i.lost.Store(true)
	i.cancel(err)
	b := i.b
	b.mu.Lock()
	was := b.inst == i
	if was {
		b.inst, b.last = nil, err
	}
	b.mu.Unlock()
	b.inbox.lose(i)
	if was && b.m.o.Detached != nil {
		b.m.o.Detached(b.spec.Name, err)
	}
}

// wakeAll starts the pump of every portal that has something to send.
func (b *Bridge) wakeAll(ctx context.Context) {
	b.ghosts.wake()
	after := b.spec.Name + sep
	for {
		owners, err := b.m.d.Store.Messages().Owners(ctx, storage.Outbox, storage.Page{After: after, Limit: 200})
		if err != nil {
			b.log.Error("outboxes not read", "error", err)
			return
		}
		for _, o := range owners {
			name, _, ok := parsePortalKey(o)
			if !ok || name != b.spec.Name {
				return
			}
			b.wakeOwner(ctx, o)
			after = o
		}
		if len(owners) < 200 {
			return
		}
	}
}
