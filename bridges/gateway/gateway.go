package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Rooms is the rooms service (core/event/rooms.go).
type Rooms interface {
	EnsureRoom(ctx context.Context, spec event.RoomSpec) error
	SetOccupants(ctx context.Context, room jid.JID, changes []event.OccupantChange) error
	Inject(ctx context.Context, m event.InjectedMessage) (storage.MessageID, error)
	Retract(ctx context.Context, r event.RoomRetraction) error
	SetSubject(ctx context.Context, m event.InjectedMessage) error
	Expel(ctx context.Context, x event.RoomExpulsion) error
	Facts(ctx context.Context, room jid.JID) (event.RoomFacts, error)
	Close(ctx context.Context, c event.RoomClosing) error
}

// VCards reads the vCards of accounts, for the faces of ghosts.
type VCards interface {
	VCard(ctx context.Context, account jid.JID) (*xmlstream.Node, error)
}

// Media stores files for bridges and gives links to them; the appliance provides it.
type Media interface {
	// Put stores a file that a plugin uploads and returns it with ID and URL.
	Put(ctx context.Context, bridge string, info sdk.Media, body io.Reader) (sdk.Media, error)
	// Open reads a file that stands in an operation.
	Open(ctx context.Context, bridge string, r sdk.MediaRequest) (sdk.MediaContent, error)
	// URL returns the link of a file for XMPP clients, "" if it cannot be had.
	URL(bridge string, login sdk.LoginID, in sdk.PortalKey, m sdk.Media) string
	// Known tells which file a link is, with ID, type and size; false if the server neither has nor can get it.
	Known(ctx context.Context, link string) (sdk.Media, bool)
}

// Module is the gateway with all its bridges.
type Module struct {
	o      Options
	d      module.Deps
	rooms  Rooms
	vcards VCards

	byName map[string]*Bridge
	byHost map[string]*Bridge // users' and rooms' hosts
	links  linkTable

	key    []byte // of credentials and person ids
	told   told
	base   context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
	stop   sync.Mutex // guards stopped against work.Add
	ended  bool

	started  time.Time
	stopping atomic.Bool    // no operation is begun any more
	pumps    sync.WaitGroup // those under way
}

var (
	_ module.Module  = (*Module)(nil)
	_ module.Starter = (*Module)(nil)
)

// New returns the module.
func New(o Options) (*Module, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	m := &Module{o: o, byName: map[string]*Bridge{}, byHost: map[string]*Bridge{}}
	m.base, m.cancel = context.WithCancel(context.Background())
	for _, s := range o.Bridges {
		b := newBridge(m, s)
		m.byName[s.Name] = b
		m.byHost[s.users()], m.byHost[s.rooms()] = b, b
	}
	return m, nil
}

// RoomHosts returns the hosts that core/modules/muc has to serve.
func (m *Module) RoomHosts() []RoomHost {
	var out []RoomHost
	for _, s := range m.o.Bridges {
		out = append(out, RoomHost{Name: s.rooms(), Origin: s.users(), Title: "Rooms of " + firstOf(s.Title, s.Name), ListedIn: s.Domain})
	}
	return out
}

// Info implements module.Module.
func (m *Module) Info() module.Info {
	return module.Info{Name: "gateway", Specs: []module.Spec{
		{ID: "XEP-0100", Version: "1.0", Status: "complete", Note: "registration is for people's own accounts on the network"},
		{ID: "XEP-0249", Version: "1.2", Status: "partial", Note: "invitations to portals"},
	}}
}

// Register implements module.Module.
func (m *Module) Register(r *module.Registrar) error {
	m.d = r.Deps
	r.Need(&m.rooms)
	r.Want(&m.vcards)
	for _, s := range m.o.Bridges {
		b := m.byName[s.Name]
		b.log = m.d.Log.With("bridge", s.Name)
		err := r.Host(module.HostSpec{Name: s.users(), Scope: Scope, Handler: hostHandler{b}, ListedIn: s.Domain, Title: firstOf(s.Title, s.Name)})
		if err != nil {
			return fmt.Errorf("gateway: register: %w", err)
		}
	}
	m.registerRooms(&r.Deps.Events.MUC)
	r.Provide(m)
	return m.registerHost(r)
}

// Start implements module.Starter.
func (m *Module) Start(ctx context.Context) error {
	m.started = m.d.Clock.Now()
	if err := m.loadKey(ctx); err != nil {
		return err
	}
	if err := m.loadLinks(ctx); err != nil {
		return err
	}
	for _, b := range m.byName {
		if err := b.start(ctx); err != nil {
			return fmt.Errorf("gateway: start bridge %s: %w", b.spec.Name, err)
		}
	}
	if err := m.fileLinks(ctx, m.o.Links); err != nil {
		return fmt.Errorf("gateway: links of the configuration: %w", err)
	}
	return nil
}

// drainTime is how long Stop waits for the answers of operations that are under way: without them they would be in doubt.
const drainTime = 5 * time.Second

// Stop implements module.Starter. What waits in the store goes on at the next start.
func (m *Module) Stop(ctx context.Context) error {
	m.stop.Lock()
	m.stopping.Store(true)
	m.stop.Unlock()
	drained := make(chan struct{})
	go func() {
		m.pumps.Wait()
		close(drained)
	}()
	timer := time.NewTimer(drainTime)
	select {
	case <-drained:
	case <-timer.C:
	case <-ctx.Done():
	}
	timer.Stop()
	m.stop.Lock()
	m.ended = true
	m.stop.Unlock()
	m.cancel()
	for _, b := range m.byName {
		b.halt()
	}
	done := make(chan struct{})
	go func() {
		m.work.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("gateway: stop: %w", ctx.Err())
	}
}

// run starts a goroutine that Stop waits for; false if the module has been stopped.
func (m *Module) run(f func(ctx context.Context)) bool {
	m.stop.Lock()
	defer m.stop.Unlock()
	if m.ended {
		return false
	}
	m.work.Add(1)
	go func() {
		defer m.work.Done()
		f(m.base)
	}()
	return true
}

// runPump is run for a pump, which Stop gives time to hear the answer to what it has sent.
func (m *Module) runPump(f func(ctx context.Context)) bool {
	m.stop.Lock()
	if m.stopping.Load() {
		m.stop.Unlock()
		return false
	}
	m.pumps.Add(1)
	m.stop.Unlock()
	started := m.run(func(ctx context.Context) {
		defer m.pumps.Done()
		f(ctx)
	})
	if !started {
		m.pumps.Done()
	}
	return started
}

// errNoBridge: there is no such bridge in the configuration.
var errNoBridge = errors.New("gateway: there is no such bridge")

// Attach makes r the instance that serves a bridge: it is configured (unless that was done), started with what the store knows, and gets what waits
// for it. It returns when the plugin has started. When r's session ends, what it had not confirmed waits for the next one.
func (m *Module) Attach(ctx context.Context, name string, r sdk.Remote) error {
	b := m.byName[name]
	if b == nil {
		return fmt.Errorf("%w: %s", errNoBridge, name)
	}
	return b.attach(ctx, r)
}

// direct is the poster of steps that only pass on a result.
type direct struct{}

// Post implements journal.Poster.
func (direct) Post(fn func()) { fn() }

// commit submits a unit and waits for its outcome.
func (m *Module) commit(ctx context.Context, u *journal.Unit) error {
	done := make(chan error, 1)
	u.After(direct{}, func(err error) { done <- err })
	m.d.Journal.Submit(u)
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("gateway: commit: %w", ctx.Err())
	}
}

func firstOf(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}
