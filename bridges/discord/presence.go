package discord

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/bwmarrin/discordgo"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// watchList are those whose presence is wanted; before anybody said so, everybody.
type watchList struct {
	mu    sync.Mutex
	set   bool
	users map[string]bool
}

func newWatchList() *watchList { return &watchList{} }

func (w *watchList) has(user string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.set || w.users[user]
}

// Watch implements sdk.Watcher. Discord pushes the presence of everybody; only that
// of those who are wanted is passed on, and what is known now is told at once.
func (c *Connector) Watch(_ context.Context, r sdk.WatchRequest) error {
	if err := c.started(); err != nil {
		return err
	}
	users := map[string]bool{}
	for _, u := range r.Users {
		users[string(u)] = true
	}
	c.watch.mu.Lock()
	c.watch.set, c.watch.users = true, users
	c.watch.mu.Unlock()
	if !c.cfg.Presence {
		return nil
	}
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	for user := range users {
		for _, g := range c.world.guilds {
			if _, member := g.members[user]; !member {
				continue
			}
			p, ok := g.presences[user]
			if !ok {
				p.User, p.Status = &discordgo.User{ID: user}, discordgo.StatusOffline
			}
			c.signals.Put(presenceOf(p, c.opt.Now()))
			break
		}
	}
	return nil
}

// signalPause is the budget: at most 20 signals a second. What is replaced by a
// later one meanwhile is never told.
const signalPause = 50 * time.Millisecond

// signal passes on what is of the moment.
func (c *Connector) signal(ctx context.Context) {
	for {
		select {
		case <-c.signals.Ready():
		case <-ctx.Done():
			return
		}
		for _, s := range c.signals.Take() {
			c.host.Signal(s)
			c.pause(ctx, signalPause)
			if ctx.Err() != nil {
				return
			}
		}
	}
}

// presenceOf maps the four states, and the custom status or game.
func presenceOf(p discordgo.Presence, now time.Time) *sdk.Presence {
	shows := map[discordgo.Status]sdk.Show{
		discordgo.StatusOnline: sdk.ShowOnline, discordgo.StatusIdle: sdk.ShowAway, discordgo.StatusDoNotDisturb: sdk.ShowBusy,
		discordgo.StatusOffline: sdk.ShowOffline, discordgo.StatusInvisible: sdk.ShowOffline,
	}
	out := &sdk.Presence{Who: sdk.Party{User: sdk.RemoteUserID(p.User.ID)}, Show: shows[p.Status], Since: now}
	verbs := map[discordgo.ActivityType]string{
		discordgo.ActivityTypeGame: "Playing ", discordgo.ActivityTypeStreaming: "Streaming ", discordgo.ActivityTypeListening: "Listening to ",
		discordgo.ActivityTypeWatching: "Watching ", discordgo.ActivityTypeCompeting: "Competing in ",
	}
	game := ""
	for _, a := range p.Activities {
		if a.Type == discordgo.ActivityTypeCustom {
			emoji := a.Emoji.Name
			if a.Emoji.ID != "" {
				emoji = ":" + emoji + ":"
			}
			out.Status = strings.TrimSpace(emoji + " " + a.State)
		} else if game == "" && a.Name != "" {
			game = verbs[a.Type] + a.Name
		}
	}
	if out.Status == "" {
		out.Status = game
	}
	return out
}
