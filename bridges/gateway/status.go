package gateway

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// counters are a bridge's figures since the start.
type counters struct {
	received, rejected, duplicates, echoes atomic.Int64
	delivered, refused, failures           atomic.Int64

	mu         sync.Mutex
	lastError  string
	connection sdk.LoginStatus
}

func (c *counters) fail(e *sdk.Error) {
	c.failures.Add(1)
	c.mu.Lock()
	c.lastError = e.Error()
	c.mu.Unlock()
}

func (c *counters) setConnection(s sdk.LoginStatus) {
	s.Credentials = nil
	c.mu.Lock()
	c.connection = s
	c.mu.Unlock()
}

// Status is how a bridge is doing.
type Status struct {
	Bridge     string
	Title      string
	Attached   bool           // the plugin is there
	Connection sdk.LoginState // what the plugin says of its own connection
	Text       string
	LastError  string
	Portals    int // in memory
	Waiting    int // operations that wait for the plugin
	Oldest     time.Duration
	Received   int64 // events
	Rejected   int64
	Duplicates int64
	Echoes     int64
	Delivered  int64 // operations
	Refused    int64
	Failures   int64
	Missing    []string // losses in words
}

// Status returns how a bridge is doing; false if there is none of that name.
func (m *Module) Status(ctx context.Context, name string) (Status, bool) {
	b := m.byName[name]
	if b == nil {
		return Status{}, false
	}
	s := Status{Bridge: name, Title: b.title(), Attached: b.current() != nil, Received: b.counters.received.Load(), Rejected: b.counters.rejected.Load(),
		Duplicates: b.counters.duplicates.Load(), Echoes: b.counters.echoes.Load(), Delivered: b.counters.delivered.Load(), Refused: b.counters.refused.Load(),
		Failures: b.counters.failures.Load()}
	b.counters.mu.Lock()
	s.LastError, s.Connection, s.Text = b.counters.lastError, b.counters.connection.State, b.counters.connection.Text
	b.counters.mu.Unlock()
	b.mu.Lock()
	if b.last != nil && b.inst == nil {
		s.LastError = b.last.Error()
	}
	s.Missing = b.caps.Notes
	b.mu.Unlock()
	for _, p := range b.portals.all() {
		s.Portals++
		st := p.status(ctx)
		s.Waiting += st.Waiting
		s.Oldest = max(s.Oldest, st.Lag)
	}
	return s, true
}

// PortalStatus is how a portal is doing.
type PortalStatus struct {
	Room    jid.JID
	Linked  bool // with others
	Remote  sdk.PortalKey
	Name    string
	Puppets int // shown in the room
	People  int // XMPP people in it
	Waiting int // operations
	Lag     time.Duration
	Sent    int // operations delivered since the start
	Refused int
	Error   string // the last one
	Gone    bool
}

// Portals returns how the portals of a bridge that are in use are doing.
func (m *Module) Portals(ctx context.Context, name string) []PortalStatus {
	b := m.byName[name]
	if b == nil {
		return nil
	}
	var out []PortalStatus
	for _, p := range b.portals.all() {
		out = append(out, p.status(ctx))
	}
	return out
}

func (p *portal) status(ctx context.Context) PortalStatus {
	p.mu.Lock()
	s := PortalStatus{Room: p.room(), Linked: p.link() != nil, Remote: p.state.Remote, Name: p.state.Name, Puppets: len(p.present), People: len(p.people), Gone: p.state.Gone}
	p.mu.Unlock()
	p.out.mu.Lock()
	s.Sent, s.Refused, s.Error = p.out.sent, p.out.refused, p.out.lastErr
	p.out.mu.Unlock()
	m := p.b.m
	if n, err := m.d.Store.Messages().Count(ctx, storage.Outbox, p.key, 10000); err == nil {
		s.Waiting = n
	}
	if s.Waiting > 0 {
		if list, _, err := m.d.Store.Messages().Refs(ctx, storage.Outbox, p.key, storage.Range{Limit: 1}); err == nil && len(list) == 1 {
			s.Lag = m.d.Clock.Now().Sub(list[0].Msg.Time())
		}
	}
	return s
}

func (b *Bridge) paused() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pause
}

// Pause stops sending to a network until Resume: what is said waits. What comes from there is still shown.
func (m *Module) Pause(name string) error {
	b := m.byName[name]
	if b == nil {
		return errNoBridge
	}
	b.mu.Lock()
	b.pause = true
	b.mu.Unlock()
	return nil
}

// Resume ends Pause.
func (m *Module) Resume(ctx context.Context, name string) error {
	b := m.byName[name]
	if b == nil {
		return errNoBridge
	}
	b.mu.Lock()
	b.pause = false
	b.mu.Unlock()
	b.wakeAll(ctx)
	return nil
}

// Bridges returns the names of the bridges, in the order of the configuration.
func (m *Module) Bridges() []string {
	var out []string
	for _, s := range m.o.Bridges {
		out = append(out, s.Name)
	}
	return out
}
