package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
)

// LinkStatus is how a link is doing.
type LinkStatus struct {
	Room        jid.JID
	Paused      bool
	Quarantined bool   // because of a loop
	Reason      string // why it is paused
	Since       time.Time
	Remotes     []RemoteStatus
}

// RemoteStatus is how one remote room of a link is doing.
type RemoteStatus struct {
	Remote RemoteName
	File   bool   // the configuration's
	By     string // who linked it
	At     time.Time
	State  string // connected, away, paused, pending, gone, unknown bridge
	Error  string // the last one, or why it is pending
	Portal PortalStatus
	Dead   []DeadLetter
}

// DeadLetter is an operation that a network has refused for good.
type DeadLetter struct {
	At     time.Time
	Op     string
	Who    string
	Code   string
	Reason string
}

// Links returns how all links are doing, in the order of their rooms.
func (m *Module) Links(ctx context.Context) []LinkStatus {
	var out []LinkStatus
	for _, l := range m.links.all() {
		out = append(out, l.status(ctx))
	}
	return out
}

// Link returns how one is doing; ErrNoLink if there is none.
func (m *Module) Link(ctx context.Context, room jid.JID) (LinkStatus, error) {
	l, err := m.linkOf(room)
	if err != nil {
		return LinkStatus{}, err
	}
	return l.status(ctx), nil
}

func (l *link) status(ctx context.Context) LinkStatus {
	s := l.snapshot()
	out := LinkStatus{Room: l.room, Paused: s.Paused, Quarantined: s.Paused && s.Loop, Reason: s.Reason, Since: s.Since}
	live := l.live()
	for _, r := range s.Remotes {
		l.mu.Lock()
		rs := RemoteStatus{Remote: RemoteName{r.Bridge, r.Room}, File: r.File, By: r.By, At: r.At, Error: l.errs[r.text()]}
		l.mu.Unlock()
		b := l.m.byName[r.Bridge]
		at := slices.IndexFunc(live, func(p *portal) bool { return p.key == r.Key })
		switch {
		case b == nil:
			rs.State, rs.Error = "unknown bridge", "there is no bridge "+r.Bridge+" in the configuration"
		case r.Key == "" || at < 0:
			rs.State = "pending"
			if b.current() == nil && rs.Error == "" {
				rs.Error = b.title() + " cannot be reached at the moment"
			}
		default:
			rs.fill(ctx, live[at], s.Paused)
		}
		out.Remotes = append(out.Remotes, rs)
	}
	return out
}

// fill adds what a portal knows of itself.
func (rs *RemoteStatus) fill(ctx context.Context, p *portal, paused bool) {
	rs.Portal = p.status(ctx)
	rs.Error = firstOf(rs.Error, rs.Portal.Error)
	switch {
	case rs.Portal.Gone:
		rs.State = "gone"
	case p.b.current() == nil:
		rs.State = "away"
	case paused || p.b.paused():
		rs.State = "paused"
	default:
		rs.State = "connected"
	}
	_, dead, err := p.deadLetters(ctx)
	if err != nil {
		rs.Error = err.Error()
	}
	for _, d := range dead {
		rs.Dead = append(rs.Dead, DeadLetter{At: d.At, Op: d.Note.Op, Who: d.Note.Bare, Code: d.Code, Reason: d.Reason})
	}
}

// PauseLink stops a link: what is said waits in the lists of its portals.
func (m *Module) PauseLink(ctx context.Context, room jid.JID, reason string) error {
	l, err := m.linkOf(room)
	if err != nil {
		return err
	}
	return l.save(ctx, func(s *linkState) {
		s.Paused, s.Loop, s.Reason, s.Since = true, false, reason, m.d.Clock.Now()
	})
}

// ResumeLink ends a pause or a quarantine.
func (m *Module) ResumeLink(ctx context.Context, room jid.JID) error {
	l, err := m.linkOf(room)
	if err != nil {
		return err
	}
	err = l.save(ctx, func(s *linkState) {
		s.Paused, s.Loop, s.Reason, s.Since = false, false, "", m.d.Clock.Now()
		l.heard.Forget()
	})
	if err != nil {
		return err
	}
	for _, p := range l.live() {
		p.out.wake()
	}
	return nil
}

// ReplayLink sends the dead letters of a link again, or those of the remotes that are named. It takes the link's turn: what two replay at once would be sent twice, and
// what is replayed while a remote is taken out would be left behind.
func (m *Module) ReplayLink(ctx context.Context, room jid.JID, remotes []RemoteName) (sent int, err error) {
	err = m.change(ctx, func() *link { return m.links.of(room) }, func(l *link) error {
		sent, err = l.replay(ctx, remotes)
		return err
	})
	if errors.Is(err, ErrNoLink) {
		err = fmt.Errorf("%s %w", room, ErrNoLink)
	}
	return sent, err
}

// replay needs the turn.
func (l *link) replay(ctx context.Context, remotes []RemoteName) (sent int, err error) {
	s := l.snapshot()
	for _, n := range remotes {
		if !slices.ContainsFunc(s.Remotes, func(r linkRemote) bool { return r.Bridge == n.Bridge && r.Room == n.Room }) {
			return 0, fmt.Errorf("%s is not linked with %s", l.room, n)
		}
	}
	for _, r := range s.Remotes {
		if len(remotes) > 0 && !slices.Contains(remotes, RemoteName{r.Bridge, r.Room}) {
			continue
		}
		for _, p := range l.live() {
			if p.key != r.Key {
				continue
			}
			n, err := p.replay(ctx)
			sent += n
			if err != nil {
				return sent, err
			}
		}
	}
	return sent, nil
}
