package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/gateway/loop"
	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Links: a room of this server with several portals (docs/adr/0013-links.md). What is said in it goes to all of them, what comes from one goes into the room and to
// all others.

// linkRemote is one remote room of a link, as it is stored. Fields may be added, never renamed.
type linkRemote struct {
	Bridge string    `json:"bridge"`
	Room   string    `json:"room"`           // as somebody typed it
	Key    string    `json:"key,omitempty"`  // the portal's; "": it has not been joined yet
	File   bool      `json:"file,omitempty"` // the configuration's
	By     string    `json:"by,omitempty"`   // who linked it
	At     time.Time `json:"at"`             // when it was joined: what was said before stays where it is
}

// text is how people name it.
func (r linkRemote) text() string { return r.Bridge + ":" + r.Room }

// linkState is what is stored of a link.
type linkState struct {
	Remotes []linkRemote `json:"remotes"`
	Paused  bool         `json:"paused,omitempty"`
	Loop    bool         `json:"loop,omitempty"` // it was paused because of a loop
	Reason  string       `json:"reason,omitempty"`
	Since   time.Time    `json:"since"`
}

// linkTopic is the topic of a linked room and when it was set: a row of its own, in the unit that sets it.
type linkTopic struct {
	Text string    `json:"text"`
	At   time.Time `json:"at"`
}

func (s linkState) clone() linkState {
	s.Remotes = slices.Clone(s.Remotes)
	return s
}

// link is one linked room in memory.
type link struct {
	m    *Module
	room jid.JID
	// turn is held by whoever adds or removes remotes; the network may be asked meanwhile.
	turn chan struct{}

	mu       sync.Mutex
	state    linkState
	topic    linkTopic
	portals  []*portal          // of the remotes that are joined; a slice that is never changed
	errs     map[string]string  // by remote: why it could not be joined
	settled  map[storageID]bool // receipts that were sent; bounded
	told     map[string]bool    // who knows that a bridge is not for her
	heard    *loop.Detector     // texts of the last minute
	learned  bool               // it is known whether
	semianon bool               // the room hides addresses
}

// topicsOwner owns the topics among the rows of links.
const topicsOwner = "topic"

// linkTable is all links.
type linkTable struct {
	mu   sync.RWMutex
	rows map[jid.JID]*link
}

// of returns the link of a room, nil if it has none.
func (t *linkTable) of(room jid.JID) *link {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.rows[room]
}

func (t *linkTable) all() []*link {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.SortedFunc(maps.Values(t.rows), func(a, b *link) int { return strings.Compare(a.room.String(), b.room.String()) })
}

// ensure returns the link of a room, which may be new and then has no remotes.
func (t *linkTable) ensure(m *Module, room jid.JID) *link {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rows == nil {
		t.rows = map[jid.JID]*link{}
	}
	l := t.rows[room]
	if l == nil {
		l = newLink(m, room)
		t.rows[room] = l
	}
	return l
}

// drop forgets a link without remotes.
func (t *linkTable) drop(l *link) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l.mu.Lock()
	empty := len(l.state.Remotes) == 0
	l.mu.Unlock()
	if empty && t.rows[l.room] == l {
		delete(t.rows, l.room)
	}
}

func newLink(m *Module, room jid.JID) *link {
	return &link{m: m, room: room, turn: make(chan struct{}, 1), errs: map[string]string{}, settled: map[storageID]bool{}, told: map[string]bool{},
		heard: loop.New()}
}

// change lets f change the remotes of a link, one change at a time; a link that has none afterwards is forgotten. find returns the link, nil if there is none.
func (m *Module) change(ctx context.Context, find func() *link, f func(*link) error) error {
	for {
		l := find()
		if l == nil {
			return ErrNoLink
		}
		select {
		case l.turn <- struct{}{}:
		case <-ctx.Done():
			return fmt.Errorf("gateway: link %s: %w", l.room, ctx.Err())
		}
		if m.links.of(l.room) != l { // it was forgotten meanwhile
			<-l.turn
			continue
		}
		err := f(l)
		m.links.drop(l)
		<-l.turn
		return err
	}
}

// live returns the portals of a link.
func (l *link) live() []*portal {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.portals
}

func (l *link) snapshot() linkState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.clone()
}

func (l *link) paused() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.Paused
}

// row is the stored form of a state; a link without remotes is none.
func (l *link) row(s linkState) (op storage.PutRow, gone storage.DeleteRow, err error) {
	gone = storage.DeleteRow{Table: tableLinks, Owner: "", Key: l.room.String()}
	b, err := json.Marshal(s)
	if err != nil {
		return op, gone, fmt.Errorf("gateway: encode link: %w", err)
	}
	return storage.PutRow{Table: tableLinks, Owner: "", Key: l.room.String(), Value: b}, gone, nil
}

// put adds the rows of a state to a unit.
func (l *link) put(u unit, s linkState) error {
	op, gone, err := l.row(s)
	if err != nil {
		return err
	}
	if len(s.Remotes) == 0 {
		u.Add(gone, storage.DeleteRow{Table: tableLinks, Owner: topicsOwner, Key: l.room.String()})
		return nil
	}
	u.Add(op)
	return nil
}

// save changes and stores what is no matter of the remotes. Changes of one link that meet are stored one after the other.
func (l *link) save(ctx context.Context, change func(*linkState)) error {
	l.mu.Lock()
	next := l.state.clone()
	change(&next)
	u := newLinkUnit(l.room.String())
	if err := l.put(u, next); err != nil {
		l.mu.Unlock()
		return err
	}
	done := make(chan error, 1)
	u.After(direct{}, func(err error) { done <- err })
	l.state = next
	l.m.d.Journal.Submit(u)
	l.mu.Unlock()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("gateway: store link: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("gateway: store link: %w", ctx.Err())
	}
}

// loadLinks reads the links and the portals that they have.
func (m *Module) loadLinks(ctx context.Context) error {
	for from := ""; ; {
		rows, err := m.d.Store.Table(tableLinks).Range(ctx, "", from, "", 500, false)
		if err != nil {
			return fmt.Errorf("gateway: read links: %w", err)
		}
		for _, r := range rows {
			from = r.Key + "\x00"
			room, err := jid.Parse(r.Key)
			if err != nil {
				return fmt.Errorf("gateway: read links: %w", err)
			}
			l := m.links.ensure(m, room)
			if err := json.Unmarshal(r.Value, &l.state); err != nil {
				return fmt.Errorf("gateway: read link of %s: %w", room, err)
			}
			b, err := m.d.Store.Table(tableLinks).Get(ctx, topicsOwner, r.Key)
			if err == nil {
				err = json.Unmarshal(b, &l.topic)
			}
			if err != nil && !errors.Is(err, storage.ErrNotFound) {
				return fmt.Errorf("gateway: read topic of %s: %w", room, err)
			}
		}
		if len(rows) < 500 {
			break
		}
	}
	for _, l := range m.links.all() {
		for _, r := range l.state.Remotes {
			b := m.byName[r.Bridge]
			if b == nil || r.Key == "" {
				continue // not in the configuration any more; or it is tried again when its bridge is there
			}
			p, err := b.portals.byText(ctx, r.Key)
			if err != nil {
				return fmt.Errorf("gateway: link of %s: %w", l.room, err)
			}
			if p != nil {
				l.portals = append(l.portals, p)
			}
		}
	}
	return nil
}

// siblings are all portals of the same room, this one among them.
func (p *portal) siblings() []*portal {
	if l := p.link(); l != nil {
		return l.live()
	}
	return []*portal{p}
}

// others are the portals to which goes what came from p: all of its room but itself, and never those that are gone.
func (p *portal) others() []*portal {
	var out []*portal
	for _, q := range p.siblings() {
		if q != p && q.key != p.key && !q.gone() {
			out = append(out, q)
		}
	}
	return out
}

func (p *portal) gone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state.Gone
}

// portalsOf returns the portals of a room; none for a room that has nothing to do with bridges. A link costs a look into a map.
func (m *Module) portalsOf(ctx context.Context, room jid.JID) ([]*portal, error) {
	if l := m.links.of(room); l != nil {
		return l.live(), nil
	}
	b := m.byHost[room.Domain()]
	if b == nil {
		return nil, nil
	}
	p, err := b.portals.byRoom(ctx, room)
	if p == nil || err != nil {
		return nil, err
	}
	return []*portal{p}, nil
}

// each calls f for every portal of a room.
func (m *Module) each(ctx context.Context, room jid.JID, f func(p *portal) error) error {
	list, err := m.portalsOf(ctx, room)
	if err != nil {
		return err
	}
	for _, p := range list {
		if err := f(p); err != nil {
			return err
		}
	}
	return nil
}

// facts are what the gateway has to know of a room that is not its own.
func (m *Module) facts(ctx context.Context, room jid.JID) (event.RoomFacts, error) {
	f, err := m.rooms.Facts(ctx, room)
	if err != nil {
		return f, fmt.Errorf("gateway: room %s: %w", room, err)
	}
	return f, nil
}

// keyOf reads the remote room in a portal's key.
func keyOf(key string) sdk.PortalKey {
	_, k, _ := parsePortalKey(key)
	return k
}
