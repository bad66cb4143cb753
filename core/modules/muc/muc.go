package muc

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/search"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Scope is the scope of requests to the hosts of this module.
const Scope module.Scope = "muc"

// CreatePolicy says who may create rooms on the hosts that belong to no gateway.
type CreatePolicy string

// The policies.
const (
	CreateLocal  CreatePolicy = "local"  // accounts of this server
	CreateAnyone CreatePolicy = "anyone" // also people of other servers
	CreateNobody CreatePolicy = "nobody"
)

// Options of the module. The zero value serves rooms.<domain> for every account domain.
type Options struct {
	// Label is the first label of the hosts of the account domains; "rooms" by default.
	Label string
	// Hosts are further hosts, those of bridges.
	Hosts []HostSpec
	// Create is CreateLocal by default.
	Create CreatePolicy
	// NoArchive keeps room messages in memory only, for the history of those who enter while the room is in use: they are not durable then.
	NoArchive bool
	// Idle is how long an empty room stays in memory; 5 minutes by default.
	Idle time.Duration
	// HistoryBytes bounds the history that a room keeps in memory to show it to those who enter; 1 MiB by default.
	HistoryBytes int
	// MaxPending bounds the stanzas of one room whose decision a gateway has postponed; 1,000 by default. Further ones are refused.
	MaxPending int
	// JoinsPerMinute bounds how many people of other servers without an affiliation may enter one room in a minute; 0 is the default of 600,
	// negative is without bound. More are told to wait (attacks: join flood).
	JoinsPerMinute int
	// PerAccount is how many persistent rooms one person may keep; 0 is the default of 100, negative is without bound.
	PerAccount int
	// Unconfigured is how long a new room waits for its first configuration; an hour by default.
	Unconfigured time.Duration
	// Shows and Renames bound how often one occupant changes her availability and her nick; 5, then one in 2 s, and 5, then one in 10 s, by default.
	Shows, Renames room.Rate
	// Searches bounds how often one person searches for rooms; 20, then one in 3 s, by default.
	Searches room.Rate
	// Ownerless says what becomes of rooms whose only owner's account is deleted; OrphanHeir by default.
	Ownerless OrphanPolicy
	// Silent is after which time without a word an occupant of another server is asked whether she is still there; 15 minutes by default.
	Silent time.Duration
}

// HostSpec is one host.
type HostSpec struct {
	Name string
	// Origin is the gateway's host that owns the rooms; people cannot create rooms there.
	Origin string
	// Title is its name in discovery.
	Title string
	// ListedIn is the account domain whose disco#items show it; "" for none.
	ListedIn string
}

// Module is the service. It provides the rooms service of core/event/rooms.go.
type Module struct {
	o    Options
	d    module.Deps
	ev   *event.MUC
	reg  *module.Registrar
	burs module.Burster // nil if the router has none

	hosts    map[string]*host
	dispatch *dispatch
	rooms    roomTable
	joined   sessionIndex

	base    context.Context
	stopped atomic.Bool
	goneMu  sync.Mutex
	gone    map[string][]leaving // by account that is being deleted: the rooms that have something of it (gone.go)

	finder *search.Service
	asking atomic.Int32 // pings of all rooms that wait for their answer (heal.go)
}

// New returns the module.
func New(o Options) *Module {
	if o.Label == "" {
		o.Label = "rooms"
	}
	if o.Create == "" {
		o.Create = CreateLocal
	}
	if o.Idle == 0 {
		o.Idle = 5 * time.Minute
	}
	if o.HistoryBytes == 0 {
		o.HistoryBytes = 1 << 20
	}
	if o.MaxPending == 0 {
		o.MaxPending = 1000
	}
	if o.JoinsPerMinute == 0 {
		o.JoinsPerMinute = 600
	}
	if o.PerAccount == 0 {
		o.PerAccount = 100
	}
	if o.Unconfigured == 0 {
		o.Unconfigured = time.Hour
	}
	if o.Shows.Size == 0 {
		o.Shows = room.Rate{Size: 5, Every: 2 * time.Second}
	}
	if o.Renames.Size == 0 {
		o.Renames = room.Rate{Size: 5, Every: 10 * time.Second}
	}
	if o.Ownerless == "" {
		o.Ownerless = OrphanHeir
	}
	if o.Silent == 0 {
		o.Silent = 15 * time.Minute
	}
	m := &Module{o: o, hosts: map[string]*host{}, dispatch: newDispatch(), base: context.Background()}
	m.gone = map[string][]leaving{}
	m.rooms.init()
	m.joined.init()
	return m
}

// Info names what is implemented.
func (m *Module) Info() module.Info {
	return module.Info{Name: "muc", Specs: []module.Spec{
		{ID: "XEP-0045", Version: "1.35.1", Status: "complete", Note: "without what it calls deprecated (fully anonymous rooms, 174) and without lists of unavailable members (102, 103)"},
		{ID: "XEP-0249", Version: "1.2", Status: "complete", Note: "a message like others; the room has no part in it"},
		{ID: "XEP-0307", Version: "0.1", Status: "complete"},
		{ID: "XEP-0359", Version: "0.7.0", Status: "complete", Note: "stanza-ids of rooms"},
		{ID: "XEP-0317", Version: "0.3.1", Status: "complete"},
		{ID: "XEP-0410", Version: "1.1.0", Status: "complete"},
		{ID: "XEP-0421", Version: "1.0.1", Status: "complete"},
		{ID: "XEP-0424", Version: "0.4.2", Status: "complete", Note: "in rooms: by the author only, with tombstones"},
		{ID: "XEP-0425", Version: "0.3.0", Status: "complete", Note: "both namespaces in use"},
		{ID: "XEP-0433", Version: "0.1.0", Status: "complete", Note: "the public rooms of each service; pages in one direction"},
		{ID: "XEP-0452", Version: "0.2.2", Status: "complete", Note: "mentions of XEP-0372 and XEP-0513"},
		{ID: "XEP-0463", Version: "0.2.0", Status: "complete"},
		{ID: "XEP-0486", Version: "0.1.0", Status: "complete"},
		{ID: "XEP-0488", Version: "0.1.0", Status: "complete"},
		{ID: "XEP-0500", Version: "0.1.1", Status: "complete"},
		{ID: "XEP-0502", Version: "0.1.0", Status: "complete"},
	}}
}

// Register claims the hosts, the requests and what the service provides.
func (m *Module) Register(r *module.Registrar) error {
	m.reg, m.d, m.ev = r, r.Deps, &r.Deps.Events.MUC
	m.burs, _ = r.Deps.Router.(module.Burster)
	for _, d := range r.Deps.Hosts.Domains() {
		h := HostSpec{Name: m.o.Label + "." + d, Title: "Rooms of " + d, ListedIn: d}
		if err := m.AddHost(h); err != nil {
			return err
		}
	}
	for _, h := range m.o.Hosts {
		if err := m.AddHost(h); err != nil {
			return err
		}
	}
	for key := range m.dispatch.iq {
		if err := r.IQ(module.IQRoute{Scope: Scope, Type: key.typ, Space: key.name.Space, Local: key.name.Local, Handle: m.request}); err != nil {
			return fmt.Errorf("muc: register: %w", err)
		}
	}
	for _, route := range m.dispatch.routes {
		if err := r.IQ(route(m)); err != nil {
			return fmt.Errorf("muc: register: %w", err)
		}
	}
	r.Disco(Scope, discoSource{m})
	c2s := &r.Deps.Events.C2S
	c2s.Closed.On(event.After, "muc", m.sessionClosed)
	c2s.Saving.On(event.Record, "muc", m.saving)
	c2s.Restored.On(event.After, "muc", m.restored)
	r.Deps.Events.Account.Deleted.On(event.Record, "muc", m.accountDeleted)
	r.Deps.Events.Account.Deleted.On(event.After, "muc", m.accountGone)
	r.Provide(m)
	return nil
}

// AddHost adds a host. It is called before the router takes the table of hosts: by whoever makes the module, or in Register of another.
func (m *Module) AddHost(s HostSpec) error {
	h := &host{m: m, spec: s}
	if err := m.reg.Host(module.HostSpec{Name: s.Name, Scope: Scope, Handler: h, ListedIn: s.ListedIn, Title: s.Title}); err != nil {
		return fmt.Errorf("muc: add host: %w", err)
	}
	m.hosts[s.Name] = h
	return nil
}

// Start removes what temporary rooms of an earlier run have left, and tells rooms of accounts that were deleted when it stopped.
func (m *Module) Start(ctx context.Context) error {
	if err := m.sweepTemporary(ctx); err != nil {
		return err
	}
	return m.resumeLeaving(ctx)
}

// Stop tells the occupants of other servers and ends the timers of the rooms. What is under way is finished by the committer.
func (m *Module) Stop(ctx context.Context) error {
	m.stopped.Store(true)
	var wait sync.WaitGroup
	m.rooms.each(func(a *actor) {
		wait.Add(1)
		a.q.Post(func() {
			defer wait.Done()
			a.shutDown()
			a.stopTimers()
		})
	})
	done := make(chan struct{})
	go func() { wait.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("muc: stop: %w", ctx.Err())
	}
}

// request is the handler of all iq requests that the table of the framework knows for this scope. They are answered from the room's queue.
func (m *Module) request(ctx context.Context, req *module.Request) (*xmlstream.Node, error) {
	h := m.hosts[req.IQ.To.Domain()]
	if h == nil {
		return nil, notHere()
	}
	req.Defer()
	h.HandleStanza(ctx, req.Unit, req.IQ)
	return nil, nil
}

// mucUser returns an empty <x/> of the namespace of what only the room may say.
func mucUser() *xmlstream.Node { return xmlstream.NewNode(ns.MUCUser, "x") }
