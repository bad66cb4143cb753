package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// ErrNoLink: the room is not linked.
var ErrNoLink = errors.New("is not linked")

func (m *Module) linkOf(room jid.JID) (*link, error) {
	if l := m.links.of(room); l != nil {
		return l, nil
	}
	return nil, fmt.Errorf("%s %w", room, ErrNoLink)
}

// RemoveLink takes remote rooms out of a link, all of them if none is named. Those of the configuration file stay.
func (m *Module) RemoveLink(ctx context.Context, room jid.JID, remotes []RemoteName) ([]RemoteResult, error) {
	var out []RemoteResult
	err := m.change(ctx, func() *link { return m.links.of(room) }, func(l *link) error {
		out = l.remove(ctx, remotes)
		return nil
	})
	if errors.Is(err, ErrNoLink) {
		err = fmt.Errorf("%s %w", room, ErrNoLink)
	}
	return out, err
}

// remove takes remotes out, each for itself. The turn is held.
func (l *link) remove(ctx context.Context, remotes []RemoteName) []RemoteResult {
	state := l.snapshot()
	if len(remotes) == 0 {
		for _, r := range state.Remotes {
			remotes = append(remotes, RemoteName{r.Bridge, r.Room})
		}
	}
	var out []RemoteResult
	for _, n := range remotes {
		res := RemoteResult{Remote: n}
		at := slices.IndexFunc(state.Remotes, func(r linkRemote) bool { return r.Bridge == n.Bridge && r.Room == n.Room })
		switch {
		case at < 0:
			res.Err = fmt.Errorf("%s is not linked with it", l.room)
		case state.Remotes[at].File:
			res.Err = errors.New("it belongs to the configuration file; take it out there and reload")
		default:
			res.Note, res.Err = l.leave(ctx, state.Remotes[at])
		}
		out = append(out, res)
	}
	return out
}

// leave takes one remote out of the link and leaves it on its network, now or when its plugin is there. The turn is held.
func (l *link) leave(ctx context.Context, r linkRemote) (note string, err error) {
	var p *portal
	for _, q := range l.live() {
		if q.key == r.Key && q.b.spec.Name == r.Bridge {
			p = q
		}
	}
	if p == nil {
		return "", l.strike(ctx, r, nil)
	}
	q := p.b.portals.queue(keyOf(p.key))
	if q == nil {
		return "", errors.New("too many rooms")
	}
	result := make(chan error, 1)
	q.Post(func() {
		p.settle(ctx)
		result <- l.strike(ctx, r, p)
	})
	select {
	case err = <-result:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return "", err
	}
	if left := p.b.leaveRemote(ctx, p.remote(), p.key); !left {
		note = p.b.title() + " cannot be reached at the moment: the bridge leaves the room there when it is back"
	}
	return note, nil
}

// strike removes a remote from the link, with its portal if it has one.
func (l *link) strike(ctx context.Context, r linkRemote, p *portal) error {
	u := newLinkUnit(l.room.String())
	if r.Key != "" {
		u.Add(storage.DeletePortal{Bridge: r.Bridge, Key: r.Key}, storage.DeleteRows{Table: tableReactions, Owner: r.Key},
			storage.DeleteRows{Table: tableGhosts, Owner: r.Key}, storage.DeleteRows{Table: tableDead, Owner: r.Key},
			storage.PutRow{Table: tableLeaving, Owner: r.Bridge, Key: r.Key, Value: []byte{}})
	}
	var gone []event.OccupantChange
	if p != nil {
		p.closed.Store(true)
		p.mu.Lock()
		for j := range p.present {
			gone = append(gone, event.OccupantChange{Puppet: j, Leave: true})
		}
		p.mu.Unlock()
	}
	l.mu.Lock()
	old, next := l.state, l.state.clone()
	next.Remotes = slices.DeleteFunc(next.Remotes, func(x linkRemote) bool { return x.Bridge == r.Bridge && x.Room == r.Room })
	if err := l.put(u, next); err != nil {
		l.mu.Unlock()
		return err
	}
	l.state = next
	done := make(chan error, 1)
	u.After(direct{}, func(err error) { done <- err })
	l.m.d.Journal.Submit(u)
	l.mu.Unlock()
	if err := <-done; err != nil {
		l.mu.Lock()
		l.state.Remotes = old.Remotes
		l.mu.Unlock()
		if p != nil {
			p.closed.Store(false)
		}
		return fmt.Errorf("gateway: store link: %w", err)
	}
	l.mu.Lock()
	delete(l.errs, r.text())
	l.portals = slices.DeleteFunc(slices.Clone(l.portals), func(q *portal) bool { return q == p })
	l.mu.Unlock()
	if p == nil {
		return nil
	}
	if err := p.set(ctx, gone); err != nil {
		p.b.log.Warn("the people of a room that was unlinked could not be taken out", "room", l.room.String(), "error", err)
	}
	p.b.ghosts.drop(p.key)
	p.b.portals.forget(p)
	return nil
}

// leaveRemote leaves a room on the network; false if that has to wait for the plugin.
func (b *Bridge) leaveRemote(ctx context.Context, k sdk.PortalKey, key string) bool {
	i := b.current()
	if i == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, b.m.o.Tune.JoinTimeout)
	defer cancel()
	err := i.remote.LeavePortal(ctx, sdk.LeaveRequest{Portal: k, Reason: "the link was removed"})
	if err != nil && sdk.AsError(err).Temporary {
		b.log.Warn("a room could not be left; it is tried again", "portal", key, "error", err)
		return false
	}
	if err != nil { // it cannot be left, or has been: there is nothing more to do
		b.log.Info("a room was not left", "portal", key, "error", err)
	}
	u := newLinkUnit(key)
	u.Add(storage.DeleteRow{Table: tableLeaving, Owner: b.spec.Name, Key: key})
	b.m.d.Journal.Submit(u)
	return true
}

// leavePending leaves the rooms that were unlinked while the plugin was away.
func (b *Bridge) leavePending(ctx context.Context) {
	rows, err := b.m.d.Store.Table(tableLeaving).Range(ctx, b.spec.Name, "", "", 1000, false)
	if err != nil {
		b.log.Error("the rooms to be left were not read", "error", err)
		return
	}
	for _, r := range rows {
		if p, err := b.portals.byText(ctx, r.Key); err != nil || p != nil {
			continue // it is in use again
		}
		b.leaveRemote(ctx, keyOf(r.Key), r.Key)
	}
}

// drop forgets the ghosts of a portal that is no more.
func (g *ghostQueue) drop(portal string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for k := range g.states {
		if k.portal == portal {
			delete(g.states, k)
		}
	}
}

// guardDestroyed: a linked room is not destroyed; what the networks say would have no place.
func (m *Module) guardDestroyed(_ context.Context, v *event.RoomChange) error {
	if m.links.of(v.Room) == nil {
		return nil
	}
	return stanza.NewError(stanza.NotAllowed, "This room is linked with other networks. Remove the link first: viaduct link remove "+v.Room.String())
}
