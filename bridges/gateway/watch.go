package gateway

import (
	"context"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Presence by demand: where the network has to be asked person by person, the plugin is told whose presence anybody here cares for: those whom somebody
// has subscribed to, and those who are shown in rooms with people of this side. Bound: maxWatched people, the subscribed ones first.
const (
	maxWatched = 5000
	watchDelay = 2 * time.Second // changes are gathered so long
)

// watchSoon tells the plugin after a moment.
func (b *Bridge) watchSoon() {
	if !b.can(sdk.AbilityWatch) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.watching {
		return
	}
	b.watching = true
	b.m.d.Clock.AfterFunc(watchDelay, func() {
		b.mu.Lock()
		b.watching = false
		b.mu.Unlock()
		b.m.run(b.watch)
	})
}

func (b *Bridge) watch(ctx context.Context) {
	i := b.current()
	if i == nil {
		return
	}
	users, err := b.watched(ctx)
	if err != nil {
		b.log.Warn("subscriptions not read", "error", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, b.m.o.Tune.OpTimeout)
	defer cancel()
	if err := i.remote.Watch(ctx, sdk.WatchRequest{Users: users}); err != nil && ctx.Err() == nil {
		b.log.Debug("presence is not watched", "error", err)
	}
}

// watched lists whose presence is wanted.
func (b *Bridge) watched(ctx context.Context) ([]sdk.RemoteUserID, error) {
	seen := map[sdk.RemoteUserID]bool{}
	var out []sdk.RemoteUserID
	add := func(id sdk.RemoteUserID) {
		if !seen[id] && len(out) < maxWatched {
			seen[id] = true
			out = append(out, id)
		}
	}
	for after := ""; ; {
		owners, err := b.m.d.Store.Table(tableWatchers).Owners(ctx, storage.Page{After: after, Limit: 500})
		if err != nil {
			return nil, err
		}
		for _, o := range owners {
			after = o
			if !strings.HasSuffix(o, "@"+b.spec.users()) {
				continue
			}
			row, err := b.m.d.Store.Gateway().PuppetByJID(ctx, o)
			if err == nil {
				add(sdk.RemoteUserID(row.Remote))
			}
		}
		if len(owners) < 500 || len(out) >= maxWatched {
			break
		}
	}
	for _, id := range b.shownPeople() {
		add(id)
	}
	return out, nil
}

// shownPeople are the puppets in rooms with people of this side.
func (b *Bridge) shownPeople() []sdk.RemoteUserID {
	here := map[string]bool{}
	for _, p := range b.portals.all() {
		p.mu.Lock()
		if len(p.people) > 0 {
			for j := range p.present {
				here[j.String()] = true
			}
		}
		p.mu.Unlock()
	}
	b.puppets.mu.Lock()
	defer b.puppets.mu.Unlock()
	var out []sdk.RemoteUserID
	for id, q := range b.puppets.remote {
		if here[q.jid.String()] {
			out = append(out, id)
		}
	}
	return out
}
