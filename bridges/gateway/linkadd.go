package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/mappings"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// RemoteName names a remote room as people do.
type RemoteName struct{ Bridge, Room string }

// String is BRIDGE:ROOM.
func (r RemoteName) String() string { return r.Bridge + ":" + r.Room }

// LinkSpec is a link of the configuration.
type LinkSpec struct {
	Room    jid.JID
	Remotes []RemoteName
}

// RemoteResult is what became of one remote room of a change. Err is one sentence for the person who asked.
type RemoteResult struct {
	Remote RemoteName
	Err    error
	Note   string // what else she should know
}

// errLinkRoom: a room that cannot be linked.
var errLinkRoom = errors.New("is no room of this server that could be linked")

// AddLink links remote rooms with a room here, which is made if it is not there. Each remote is linked or not at all, and the result says which. by is who
// asked, zero for an administrator at the machine.
func (m *Module) AddLink(ctx context.Context, room jid.JID, remotes []RemoteName, by jid.JID) ([]RemoteResult, error) {
	if err := m.linkable(room); err != nil {
		return nil, err
	}
	var out []RemoteResult
	err := m.change(ctx, func() *link { return m.links.ensure(m, room) }, func(l *link) error {
		for _, r := range remotes {
			who := ""
			if !by.IsZero() {
				who = by.Bare().String()
			}
			out = append(out, RemoteResult{Remote: r, Err: l.join(ctx, linkRemote{Bridge: r.Bridge, Room: r.Room, By: who}, by)})
		}
		return nil
	})
	return out, err
}

// linkable refuses addresses that are no rooms of people.
func (m *Module) linkable(room jid.JID) error {
	if !room.IsBare() || !room.HasLocal() || m.d.Hosts.IsAccountDomain(room.Domain()) || !m.d.Hosts.IsLocal(room.Domain()) {
		return fmt.Errorf("%s %w", room, errLinkRoom)
	}
	if b := m.byHost[room.Domain()]; b != nil {
		return fmt.Errorf("%s is a room of the bridge %s; name a room of this server, such as ops@rooms.%s", room, b.spec.Name, b.spec.Domain)
	}
	return nil
}

// join resolves and joins one remote room and makes it a portal of the link. The turn is held.
func (l *link) join(ctx context.Context, r linkRemote, by jid.JID) error {
	b := l.m.byName[r.Bridge]
	if b == nil {
		return fmt.Errorf("there is no bridge %q in the configuration", r.Bridge)
	}
	i := b.current()
	if i == nil {
		return &sdk.Error{Code: sdk.CodeUnavailable, Temporary: true, Text: b.title() + " cannot be reached at the moment"}
	}
	ctx, cancel := context.WithTimeout(ctx, b.m.o.Tune.JoinTimeout)
	defer cancel()
	var who sdk.Sender
	if !by.IsZero() {
		who = b.sender(ctx, by.Bare(), "", by.Local(), "")
	}
	t, err := i.remote.Resolve(ctx, sdk.ResolveRequest{Text: r.Room, Want: sdk.TargetRoom, For: who})
	if err != nil {
		return b.joinError(err)
	}
	if t.Kind != sdk.TargetRoom || t.Portal.Room == "" {
		return fmt.Errorf("%s: %s is no room there", b.title(), r.Room)
	}
	had, err := b.portals.get(ctx, t.Portal)
	if err != nil {
		return err
	}
	if had != nil && had.link() != nil {
		return fmt.Errorf("it is linked with %s already", had.room())
	}
	done := b.portals.opening(portalKeyText(b.spec.Name, t.Portal))
	defer done()
	info, err := i.remote.JoinPortal(ctx, sdk.JoinRequest{Portal: t.Portal, Via: t.Via, For: who, Purpose: sdk.JoinForLink, Members: b.m.o.Tune.MaxOccupants})
	if err != nil {
		return b.joinError(err)
	}
	if info.Portal.Room == "" {
		info.Portal = t.Portal
	}
	if len(info.Via) == 0 {
		info.Via = t.Via
	}
	if !validID(string(info.Portal.Room)) || !validID(string(info.Portal.Login)) {
		return &sdk.Error{Code: sdk.CodeProtocol, Text: "the bridge named a room that cannot be"}
	}
	if err := l.attach(ctx, b, i, r, info, by); err != nil {
		if had == nil { // nothing half-made
			_ = i.remote.LeavePortal(ctx, sdk.LeaveRequest{Portal: info.Portal, Reason: "the room could not be linked"})
		}
		return err
	}
	return nil
}

// joinError is one sentence.
func (b *Bridge) joinError(err error) error {
	e := *sdk.AsError(err)
	text := e.Text
	if text == "" && e.Err != nil {
		text = e.Err.Error()
	}
	e.Text, e.Err = b.title()+": "+firstOf(mappings.Cut(text, 300, 1200), e.Code.String()), nil
	return &e
}

// opening says that a room is being joined, so that its first events wait; the result ends that.
func (t *portalTable) opening(key string) (done func()) {
	j := &joining{done: make(chan struct{})}
	key += sep + "link"
	t.mu.Lock()
	t.joins[key] = j
	t.mu.Unlock()
	return func() {
		t.mu.Lock()
		if t.joins[key] == j {
			delete(t.joins, key)
		}
		t.mu.Unlock()
		close(j.done)
	}
}

// attach makes a joined room a portal of the link: a new one, or the one it has, which moves here.
func (l *link) attach(ctx context.Context, b *Bridge, i *instance, r linkRemote, info sdk.ChatInfo, by jid.JID) error {
	f, err := l.ensureRoom(ctx, by)
	if err != nil {
		return err
	}
	p, err := b.portals.get(ctx, info.Portal)
	if err != nil {
		return err
	}
	if p == nil {
		p, err = l.create(ctx, b, r, info)
	} else {
		// Nothing of the network is worked on meanwhile.
		q := b.portals.queue(info.Portal)
		if q == nil {
			return errors.New("too many rooms")
		}
		result := make(chan error, 1)
		q.Post(func() { result <- l.move(ctx, p, r) })
		select {
		case err = <-result:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.fresh = i
	p.mu.Unlock()
	for _, o := range f.Occupants {
		p.welcome(o)
	}
	if err := p.describe(ctx, i, info); err != nil { // it is linked all the same, and asked again when somebody enters
		b.log.Warn("a linked room could not be described", "room", l.room.String(), "portal", p.key, "error", err)
		p.mu.Lock()
		p.fresh = nil
		p.mu.Unlock()
	}
	b.watchSoon()
	return nil
}

// ensureRoom makes the room if it is not there, and learns how it is.
func (l *link) ensureRoom(ctx context.Context, by jid.JID) (event.RoomFacts, error) {
	f, err := l.learn(ctx)
	if err != nil {
		return f, err
	}
	spec := event.RoomSpec{Room: l.room, Persistent: true}
	if !f.Exists {
		spec.Name, spec.NonAnonymous, spec.MaxHistory = l.room.Local(), true, roomHistory
		spec.Affiliations = map[string]string{}
		owners := []jid.JID{by}
		if by.IsZero() && l.m.o.Admins != nil {
			owners = l.m.o.Admins(ctx)
		}
		for _, o := range owners {
			if !o.IsZero() {
				spec.Affiliations[o.Bare().String()] = "owner"
			}
		}
	}
	if err := l.m.rooms.EnsureRoom(ctx, spec); err != nil {
		return f, fmt.Errorf("the room %s could not be made: %w", l.room, err)
	}
	f, err = l.learn(ctx)
	l.mu.Lock()
	if l.topic.At.IsZero() && f.Subject != "" {
		l.topic = linkTopic{f.Subject, f.SubjectAt}
	}
	l.mu.Unlock()
	return f, err
}

// revive makes the room of a link again if it has gone: it was not kept, or somebody has removed it past the guard.
func (p *portal) revive(ctx context.Context) bool {
	l := p.link()
	if l == nil {
		return false
	}
	if _, err := l.m.d.Store.Rooms().Get(ctx, l.room.String()); !errors.Is(err, storage.ErrNotFound) {
		return false
	}
	_, err := l.ensureRoom(ctx, jid.JID{})
	return err == nil
}

// stateOf is what is stored of a remote room that is linked.
func (l *link) stateOf(s portalState, info sdk.ChatInfo) portalState {
	s.Remote, s.Kind, s.Via, s.Gone = info.Portal, info.Kind, info.Via, false
	s.Topic = mappings.Cut(info.Topic, 4000, 16000)
	l.mu.Lock()
	if l.topic.Text == "" {
		s.Topic = "" // the first remote that has one gives it to the room
	}
	l.mu.Unlock()
	return s
}

// create stores a new portal of the link.
func (l *link) create(ctx context.Context, b *Bridge, r linkRemote, info sdk.ChatInfo) (*portal, error) {
	p := newPortal(b, portalKeyText(b.spec.Name, info.Portal), place{l.room, l})
	row, err := p.row(l.stateOf(portalState{}, info))
	if err != nil {
		return nil, err
	}
	if err := l.enlist(ctx, p.key, r, row); err != nil {
		return nil, err
	}
	b.mu.Lock()
	b.opened++
	b.mu.Unlock()
	if p, err = b.portals.adopt(row.Portal); err != nil {
		return nil, err
	}
	l.show(p)
	return p, nil
}

// enlist commits a portal's row together with its place in the link.
func (l *link) enlist(ctx context.Context, key string, r linkRemote, rows ...journal.Op) error {
	r.Key, r.At = key, l.m.d.Clock.Now()
	l.mu.Lock()
	next := l.state.clone()
	at := slices.IndexFunc(next.Remotes, func(x linkRemote) bool { return x.Bridge == r.Bridge && x.Room == r.Room })
	if at < 0 {
		next.Remotes = append(next.Remotes, r)
	} else {
		r.File = next.Remotes[at].File
		next.Remotes[at] = r
	}
	u := newLinkUnit(l.room.String())
	u.Add(rows...)
	u.Add(storage.DeleteRow{Table: tableLeaving, Owner: r.Bridge, Key: key})
	if err := l.put(u, next); err != nil {
		l.mu.Unlock()
		return err
	}
	old := l.state
	l.state = next
	done := make(chan error, 1)
	u.After(direct{}, func(err error) { done <- err })
	l.m.d.Journal.Submit(u)
	l.mu.Unlock()
	err := <-done
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.state.Remotes = old.Remotes // only the holder of the turn changes them
		return fmt.Errorf("gateway: store link: %w", err)
	}
	delete(l.errs, r.text())
	return nil
}

// show makes a portal one to which things are sent.
func (l *link) show(p *portal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.portals = append(slices.Clone(l.portals), p)
}

// move takes a portal out of its own room. It runs in the queue of the portal's events.
func (l *link) move(ctx context.Context, p *portal, r linkRemote) error {
	if p.link() != nil {
		return fmt.Errorf("it is linked with %s already", p.room())
	}
	p.settle(ctx)
	old := p.room()
	f, err := l.m.facts(ctx, old)
	if err != nil {
		return err
	}
	p.mu.Lock()
	s := p.state
	p.mu.Unlock()
	row, err := p.row(s)
	if err != nil {
		return err
	}
	row.Portal.Room = l.room.String()
	if err := l.enlist(ctx, p.key, r, row, storage.PutRow{Table: tableHomes, Owner: p.b.spec.Name, Key: old.String(), Value: []byte(p.key)}); err != nil {
		return err
	}
	p.b.portals.move(p, place{l.room, l})
	l.show(p)
	told := map[jid.JID]bool{}
	for _, o := range f.Occupants {
		if bare := o.Real.Bare(); !told[bare] {
			told[bare] = true
			p.b.invite(ctx, bare, l.room, "The room "+old.String()+" is now "+l.room.String()+".")
			p.b.ghosts.change(p, o, false, l.m.o.Tune.LeaveAfter, "") // unless she follows
		}
	}
	if f.Exists {
		if err := l.m.rooms.Close(ctx, event.RoomClosing{Room: old, To: l.room, Reason: "This room is now " + l.room.String() + "."}); err != nil {
			p.b.log.Warn("a room that has moved could not be closed", "room", old.String(), "error", err)
		}
	}
	return nil
}
