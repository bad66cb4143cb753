package gateway

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// SetLinks makes the links of the configuration be as it says: those that are new are joined as soon as their bridges are there, those that are gone are removed.
func (m *Module) SetLinks(ctx context.Context, specs []LinkSpec) error {
	if err := m.fileLinks(ctx, specs); err != nil {
		return err
	}
	for _, b := range m.byName {
		if b.current() != nil {
			m.run(b.joinPending)
		}
	}
	return nil
}

// fileLinks stores which remotes belong to the file.
func (m *Module) fileLinks(ctx context.Context, specs []LinkSpec) error {
	want := map[jid.JID][]RemoteName{}
	for _, s := range specs {
		if err := m.linkable(s.Room); err != nil {
			return err
		}
		want[s.Room] = append(want[s.Room], s.Remotes...)
	}
	rooms := map[jid.JID]bool{}
	for room := range want {
		rooms[room] = true
	}
	for _, l := range m.links.all() {
		rooms[l.room] = true
	}
	var errs []error
	for room := range rooms {
		errs = append(errs, m.change(ctx, func() *link { return m.links.ensure(m, room) }, func(l *link) error { return l.setFile(ctx, want[room]) }))
	}
	return errors.Join(errs...)
}

// setFile makes the file's remotes of one link be those of the list. The turn is held.
func (l *link) setFile(ctx context.Context, want []RemoteName) error {
	for _, r := range l.snapshot().Remotes {
		if r.File && !slices.Contains(want, RemoteName{r.Bridge, r.Room}) {
			if _, err := l.leave(ctx, r); err != nil {
				return err
			}
		}
	}
	changed := false
	next := l.snapshot()
	for _, n := range want {
		at := slices.IndexFunc(next.Remotes, func(r linkRemote) bool { return r.Bridge == n.Bridge && r.Room == n.Room })
		switch {
		case at < 0:
			next.Remotes = append(next.Remotes, linkRemote{Bridge: n.Bridge, Room: n.Room, File: true})
			changed = true
		case !next.Remotes[at].File: // it was linked by command before
			next.Remotes[at].File = true
			changed = true
		}
	}
	if !changed {
		return nil
	}
	return l.save(ctx, func(s *linkState) { s.Remotes = next.Remotes })
}

// retryPause is how long a remote of the file that could not be joined waits for the next attempt.
const retryPause = time.Minute

// joinPending joins what the file links and is not joined yet. It runs whenever the plugin is there anew, and after a failure that may pass.
func (b *Bridge) joinPending(ctx context.Context) {
	again := false
	for _, l := range b.m.links.all() {
		for _, r := range l.snapshot().Remotes {
			if r.Bridge != b.spec.Name || r.Key != "" {
				continue
			}
			err := l.joinOne(ctx, r)
			if err != nil && ctx.Err() == nil {
				b.log.Error("a room of the configuration could not be linked", "room", l.room.String(), "remote", r.text(), "error", err)
				again = again || sdk.AsError(err).Temporary
			}
		}
	}
	if again && b.current() != nil {
		b.m.d.Clock.AfterFunc(retryPause, func() { b.m.run(b.joinPending) })
	}
}

// joinOne joins one of them, unless somebody has done so meanwhile.
func (l *link) joinOne(ctx context.Context, r linkRemote) error {
	err := l.m.change(ctx, func() *link { return l.m.links.of(l.room) }, func(l *link) error { return l.joinFile(ctx, r) })
	if errors.Is(err, ErrNoLink) {
		return nil // it is no longer linked
	}
	return err
}

func (l *link) joinFile(ctx context.Context, r linkRemote) error {
	i := slices.IndexFunc(l.snapshot().Remotes, func(x linkRemote) bool { return x.Bridge == r.Bridge && x.Room == r.Room && x.Key == "" })
	if i < 0 {
		return nil
	}
	err := l.join(ctx, r, jid.JID{})
	if err != nil {
		l.mu.Lock()
		l.errs[r.text()] = err.Error()
		l.mu.Unlock()
	}
	return err
}
