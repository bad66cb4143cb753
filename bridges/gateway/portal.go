package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/payload/stanzaid"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// portalState is what is stored of a portal.
type portalState struct {
	Remote sdk.PortalKey     `json:"remote"` // as the network calls it now; the portal's own key stays what it was
	Kind   sdk.ChatKind      `json:"kind,omitempty"`
	Name   string            `json:"name,omitempty"`
	Topic  string            `json:"topic,omitempty"`
	Link   string            `json:"link,omitempty"`
	Via    []string          `json:"via,omitempty"`
	Count  int               `json:"count,omitempty"`
	Avatar string            `json:"avatar,omitempty"` // media key of the picture the room has
	Caps   *sdk.Capabilities `json:"caps,omitempty"`
	Gone   bool              `json:"gone,omitempty"` // the network says that it is no more, or no longer for us
	Person string            `json:"person,omitempty"`
	User   sdk.RemoteUserID  `json:"user,omitempty"` // a direct chat: with whom; there is no room then
}

func decodePortal(b []byte) (portalState, error) {
	var s portalState
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("gateway: read portal: %w", err)
	}
	return s, nil
}

// portal is a remote room with its room here, in memory. It is made at its first use and kept.
type portal struct {
	b   *Bridge
	key string // in the store; owner of the Outbox
	at  atomic.Pointer[place]
	out outbox
	// closed: it was taken away and another one may have its key. Its pump ends.
	closed atomic.Bool

	mu      sync.Mutex
	state   portalState
	present map[jid.JID]string // puppets that are in the room, with the nick we asked for
	people  map[jid.JID]int    // sessions of XMPP people in the room, by bare JID
	guests  map[jid.JID]string // and their nicks
	ids     *stanzaid.Codec    // see codec
	secret  []byte
	fresh   *instance     // the instance that was asked how the room is
	commits int           // injected messages that are not committed yet
	settled chan struct{} // closed when commits gets to zero; nil: nobody waits
}

// place is where a portal is: its own room on the bridge's host, or a room that it shares with others. It changes when a remote room is linked.
type place struct {
	room jid.JID // zero for a direct chat
	link *link   // nil: the portal is alone
}

func (p *portal) room() jid.JID { return p.at.Load().room }
func (p *portal) link() *link   { return p.at.Load().link }

// newPortal returns a portal that stands nowhere but in the hands of its maker.
func newPortal(b *Bridge, key string, at place) *portal {
	p := &portal{b: b, key: key, present: map[jid.JID]string{}, people: map[jid.JID]int{}, guests: map[jid.JID]string{}}
	p.at.Store(&at)
	p.out.init(p)
	return p
}

func (p *portal) remote() sdk.PortalKey {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state.Remote
}

// caps are the narrowest capabilities that were given.
func (p *portal) caps() sdk.Capabilities {
	p.mu.Lock()
	c := p.state.Caps
	p.mu.Unlock()
	if c != nil {
		return *c
	}
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	return p.b.caps
}

// row is the stored form of a state.
func (p *portal) row(s portalState) (storage.PutPortal, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return storage.PutPortal{}, fmt.Errorf("gateway: encode portal: %w", err)
	}
	return storage.PutPortal{Portal: storage.Portal{Bridge: p.b.spec.Name, Key: p.key, Room: p.roomName(s), State: b}}, nil
}

// roomName is what stands in the portal's Room: for a direct chat the puppet and the person, which is no room.
func (p *portal) roomName(s portalState) string {
	if p.room().IsZero() {
		return string(s.User) + sep + s.Person
	}
	return p.room().String()
}

// save changes and stores the state.
func (p *portal) save(ctx context.Context, change func(*portalState)) error {
	p.mu.Lock()
	if p.closed.Load() { // it is not to come back into the store
		p.mu.Unlock()
		return nil
	}
	s := p.state
	change(&s)
	row, err := p.row(s)
	if err != nil {
		p.mu.Unlock()
		return err
	}
	u := journal.NewUnit(journal.LinkLane(p.key))
	u.Add(row)
	done := make(chan error, 1)
	u.After(direct{}, func(err error) { done <- err })
	p.state = s
	p.b.m.d.Journal.Submit(u) // under the lock: changes that meet build on each other
	p.mu.Unlock()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("gateway: store portal: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("gateway: store portal: %w", ctx.Err())
	}
}

// begin counts a message that was handed to the room; settle waits until all are committed, for what refers to them.
func (p *portal) begin() {
	p.mu.Lock()
	p.commits++
	p.mu.Unlock()
}

func (p *portal) end() {
	p.mu.Lock()
	p.commits--
	if p.commits == 0 && p.settled != nil {
		close(p.settled)
		p.settled = nil
	}
	p.mu.Unlock()
}

func (p *portal) settle(ctx context.Context) {
	p.mu.Lock()
	if p.commits == 0 {
		p.mu.Unlock()
		return
	}
	if p.settled == nil {
		p.settled = make(chan struct{})
	}
	wait := p.settled
	p.mu.Unlock()
	select {
	case <-wait:
	case <-ctx.Done():
	}
}

// portalTable is the portals in use.
type portalTable struct {
	b      *Bridge
	mu     sync.Mutex
	byKey  map[string]*portal
	rooms  map[jid.JID]*portal
	queues map[string]*journal.Queue // of events, by the key that the network uses
	joins  map[string]*joining
	timers map[*portal]module.Timer
}

// joining is a room that is being joined; several people may wait for it.
type joining struct {
	done chan struct{}
	p    *portal
	err  error
}

func (t *portalTable) init(b *Bridge) {
	t.b, t.byKey, t.rooms = b, map[string]*portal{}, map[jid.JID]*portal{}
	t.queues, t.joins, t.timers = map[string]*journal.Queue{}, map[string]*joining{}, map[*portal]module.Timer{}
}

// maxQueues bounds the rooms of which events have come since the start.
const maxQueues = 1 << 16

// queue returns the queue of the events of a portal, known or not; nil if there are too many.
func (t *portalTable) queue(k sdk.PortalKey) *journal.Queue {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := portalKeyText(t.b.spec.Name, k)
	q := t.queues[key]
	if q == nil && len(t.queues) < maxQueues {
		q = journal.NewQueue(func(v any) { t.b.log.Error("an event handler panicked", "panic", v) })
		t.queues[key] = q
	}
	return q
}

// get returns the portal of a remote room, nil if there is none.
func (t *portalTable) get(ctx context.Context, k sdk.PortalKey) (*portal, error) {
	return t.byText(ctx, portalKeyText(t.b.spec.Name, k))
}

func (t *portalTable) byText(ctx context.Context, key string) (*portal, error) {
	t.mu.Lock()
	p := t.byKey[key]
	t.mu.Unlock()
	if p != nil {
		return p, nil
	}
	row, err := t.b.m.d.Store.Gateway().Portal(ctx, t.b.spec.Name, key)
	if errors.Is(err, storage.ErrNotFound) {
		return t.moved(ctx, key)
	}
	if err != nil {
		return nil, fmt.Errorf("gateway: read portal: %w", err)
	}
	return t.adopt(row)
}

// moved finds a portal that the network calls by another name since.
func (t *portalTable) moved(ctx context.Context, key string) (*portal, error) {
	b, err := t.b.m.d.Store.Table(tableMoved).Get(ctx, t.b.spec.Name, key)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("gateway: read portal: %w", err)
	}
	if string(b) == key {
		return nil, nil
	}
	return t.byText(ctx, string(b))
}

// byRoom returns the portal of a room here, nil if there is none; of a linked room the first of this bridge.
func (t *portalTable) byRoom(ctx context.Context, room jid.JID) (*portal, error) {
	if l := t.b.m.links.of(room); l != nil {
		for _, p := range l.live() {
			if p.b == t.b {
				return p, nil
			}
		}
		return nil, nil
	}
	t.mu.Lock()
	p := t.rooms[room]
	t.mu.Unlock()
	if p != nil {
		return p, nil
	}
	rows, err := t.b.m.d.Store.Gateway().PortalsByRoom(ctx, room.String())
	if err != nil {
		return nil, fmt.Errorf("gateway: read portal: %w", err)
	}
	for _, row := range rows {
		if row.Bridge == t.b.spec.Name {
			return t.adopt(row)
		}
	}
	return nil, nil
}

// move puts a portal into another room, in memory: nobody of either side is in it there yet.
func (t *portalTable) move(p *portal, to place) {
	t.mu.Lock()
	if old := p.room(); t.rooms[old] == p {
		delete(t.rooms, old)
	}
	t.mu.Unlock()
	p.mu.Lock()
	p.present, p.people, p.guests = map[jid.JID]string{}, map[jid.JID]int{}, map[jid.JID]string{}
	p.ids, p.secret, p.fresh = nil, nil, nil
	p.at.Store(&to)
	p.mu.Unlock()
}

// forget drops a portal that is no more.
func (t *portalTable) forget(p *portal) {
	p.closed.Store(true)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byKey[p.key] == p {
		delete(t.byKey, p.key)
	}
	if t.rooms[p.room()] == p {
		delete(t.rooms, p.room())
	}
	if timer := t.timers[p]; timer != nil {
		timer.Stop()
		delete(t.timers, p)
	}
}

// adopt puts a stored portal into memory, once.
func (t *portalTable) adopt(row storage.Portal) (*portal, error) {
	s, err := decodePortal(row.State)
	if err != nil {
		return nil, err
	}
	var room jid.JID
	if s.User == "" {
		if room, err = jid.Parse(row.Room); err != nil {
			return nil, fmt.Errorf("gateway: read portal: %w", err)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.byKey[row.Key]; p != nil {
		return p, nil
	}
	p := newPortal(t.b, row.Key, place{room, t.b.m.links.of(room)})
	p.state = s
	t.byKey[row.Key] = p
	if !room.IsZero() && p.link() == nil {
		t.rooms[room] = p
	}
	return p, nil
}

// all returns the portals in memory.
func (t *portalTable) all() []*portal {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]*portal, 0, len(t.byKey))
	for _, p := range t.byKey {
		out = append(out, p)
	}
	return out
}

// later wakes a portal's pump after a pause.
func (t *portalTable) later(p *portal, d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if old := t.timers[p]; old != nil {
		old.Stop()
	}
	t.timers[p] = t.b.m.d.Clock.AfterFunc(d, func() {
		t.mu.Lock()
		delete(t.timers, p)
		t.mu.Unlock()
		p.out.resume()
	})
}

func (t *portalTable) halt() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for p, timer := range t.timers {
		timer.Stop()
		delete(t.timers, p)
	}
}
