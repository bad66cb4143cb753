package slack

import (
	"context"
	"sync"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackfmt"
	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Presence. Slack tells bots of statuses and of "do not disturb", but never who is
// active: that is asked for, one person at a time, within a budget, for those whom
// somebody here watches.

// shown is what is known of somebody's presence.
type shown struct {
	active  bool
	asked   bool
	dndFrom time.Time
	dndTo   time.Time
	told    sdk.Show
}

// presences is the book of them, by user id.
type presences struct {
	mu    sync.Mutex
	known map[string]*shown
}

func (p *presences) of(id string) *shown {
	if p.known == nil {
		p.known = map[string]*shown{}
	}
	s := p.known[id]
	if s == nil {
		s = &shown{}
		p.known[id] = s
	}
	return s
}

// show is the presence as XMPP has it; unknown as long as nobody asked.
func (s *shown) show(now time.Time) sdk.Show {
	switch {
	case now.After(s.dndFrom) && now.Before(s.dndTo):
		return sdk.ShowBusy
	case !s.asked:
		return sdk.ShowUnknown
	case s.active:
		return sdk.ShowOnline
	}
	return sdk.ShowAway
}

// statusOf is somebody's presence and status; nil if nothing is known.
func (c *Connector) statusOf(u user, id sdk.RemoteUserID) *sdk.Presence {
	if u.IsBot || u.Deleted || !slackid.IsUser(u.ID) {
		return nil
	}
	now := c.opt.Now()
	c.presence.mu.Lock()
	s := c.presence.of(u.ID)
	show := s.show(now)
	s.told = show
	until := s.dndTo
	c.presence.mu.Unlock()
	out := &sdk.Presence{Who: sdk.Party{User: id}, Show: show}
	if end := int64(u.Profile.StatusExpiration); end == 0 || time.Unix(end, 0).After(now) {
		out.Status = slackfmt.StatusText(u.Profile.StatusEmoji, u.Profile.StatusText)
		if end > 0 {
			out.Until = time.Unix(end, 0).UTC()
		}
	}
	if show == sdk.ShowBusy && out.Until.IsZero() {
		out.Until = until
	}
	if show == sdk.ShowUnknown {
		if out.Status == "" {
			return nil
		}
		// Who has a status has an account that is in use; more is not known.
		out.Show = sdk.ShowAway
	}
	return out
}

// onDND: somebody does not want to be disturbed, or does again.
func (c *Connector) onDND(ctx context.Context, _ string, _ *position, ev event) ([]sdk.Event, error) {
	if ev.DND == nil || !slackid.IsUser(ev.User) {
		return nil, nil
	}
	from, to := int64(ev.DND.NextStartTimestamp), int64(ev.DND.NextEndTimestamp)
	if ev.DND.SnoozeEnabled && ev.DND.SnoozeEndTime > 0 {
		from, to = 1, int64(ev.DND.SnoozeEndTime)
	}
	if !ev.DND.Enabled && !ev.DND.SnoozeEnabled {
		from, to = 0, 0
	}
	c.presence.mu.Lock()
	s := c.presence.of(ev.User)
	s.dndFrom, s.dndTo = time.Unix(from, 0), time.Unix(to, 0)
	c.presence.mu.Unlock()
	c.showPresence(ctx, ev.User)
	return nil, nil
}

// showPresence tells the host how somebody is now.
func (c *Connector) showPresence(ctx context.Context, id string) {
	self := c.self.Load()
	u, err := c.people.get(ctx, id)
	if err != nil || self == nil {
		return
	}
	if p := c.statusOf(u, c.info(u, self).ID); p != nil {
		c.host.Signal(p)
	}
}

// Watch implements sdk.Watcher.
func (c *Connector) Watch(ctx context.Context, r sdk.WatchRequest) error {
	for {
		select {
		case c.watch <- r.Users:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
		select { // the newest set counts
		case <-c.watch:
		default:
		}
	}
}

// pollPresence asks for one after the other of those who are watched, the whole round
// over and over, no more often than the budget allows.
func (c *Connector) pollPresence(ctx context.Context) {
	defer c.work.Done()
	var watched []string
	at := 0
	for {
		var turn <-chan time.Time
		if len(watched) > 0 && c.conf.PresencePolls > 0 {
			// The first round is quick as long as it is small, the later ones are not.
			turn = c.opt.After(time.Minute / time.Duration(c.conf.PresencePolls))
			if at == 0 {
				turn = c.opt.After(0)
			}
		}
		select {
		case <-ctx.Done():
			return
		case users := <-c.watch:
			watched, at = watched[:0], 0
			for _, key := range users {
				if u, ok := slackid.ParseUser(string(key)); ok && slackid.IsUser(u.ID) {
					watched = append(watched, u.ID)
				}
			}
		case <-turn:
			c.askPresence(ctx, watched[at%len(watched)])
			at++
		}
	}
}

func (c *Connector) askPresence(ctx context.Context, id string) {
	var out slackgo.UserPresence
	_, err := c.api.call(ctx, "users.getPresence", &out, func(ctx context.Context, client *slackgo.Client) error {
		got, err := client.GetUserPresenceContext(ctx, id)
		if err == nil {
			out = *got
		}
		return err
	})
	if err != nil {
		c.log.Debug("presence not known", "error", err)
		return
	}
	c.presence.mu.Lock()
	s := c.presence.of(id)
	first := !s.asked
	s.asked, s.active = true, out.Presence == "active"
	changed := first || s.show(c.opt.Now()) != s.told
	c.presence.mu.Unlock()
	if changed {
		c.showPresence(ctx, id)
	}
}
