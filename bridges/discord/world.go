package discord

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordid"
)

// world is what is known of the guilds. It only ever mirrors Discord: all of it is
// told again after a start.
type world struct {
	mu       sync.Mutex
	me       wireUser
	app      string
	only     map[string]bool // guilds that are bridged; empty: all
	guilds   map[string]*guild
	channels map[string]*wireChannel // threads as well
	spoke    map[string]map[string]time.Time
}

// guild is a guild with its people.
type guild struct {
	wireGuild
	roles     map[string]wireRole
	members   map[string]wireMember
	presences map[string]wirePresence
	whole     bool // all members are known
}

func newWorld(only []string) *world {
	w := &world{only: map[string]bool{}, guilds: map[string]*guild{}, channels: map[string]*wireChannel{}, spoke: map[string]map[string]time.Time{}}
	for _, id := range only {
		w.only[id] = true
	}
	return w
}

// setGuild takes a whole guild; it reports whether its members have to be asked for.
func (w *world) setGuild(g wireGuild, maxMembers int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.only) > 0 && !w.only[g.ID] || g.Unavailable {
		return false
	}
	n := &guild{wireGuild: g, roles: map[string]wireRole{}, members: map[string]wireMember{}, presences: map[string]wirePresence{}}
	for _, r := range g.Roles {
		n.roles[r.ID] = r
	}
	for _, m := range g.Members {
		if m.User != nil {
			n.members[m.User.ID] = m
		}
	}
	for _, p := range g.Presences {
		n.presences[p.User.ID] = p
	}
	n.whole = len(n.members) >= g.Count
	for _, c := range slices.Concat(g.Channels, g.Threads) {
		c.Guild = g.ID
		w.channels[c.ID] = &c
	}
	n.Channels, n.Threads, n.Members, n.Presences, n.wireGuild.Roles = nil, nil, nil, nil, nil
	w.guilds[g.ID] = n
	return !n.whole && g.Count <= maxMembers
}

func (w *world) dropGuild(id string) (channels []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.guilds, id)
	for cid, c := range w.channels {
		if c.Guild == id {
			channels = append(channels, cid)
			delete(w.channels, cid)
		}
	}
	slices.Sort(channels)
	return channels
}

// load reads a channel that the gateway has not told of.
func (w *world) load(ctx context.Context, a *api, id string) (wireChannel, error) {
	if c, ok := w.channel(id); ok {
		return c, nil
	}
	c, err := get[wireChannel](ctx, a, "/channels/"+id, "")
	if err != nil {
		return wireChannel{}, err
	}
	w.setChannel(c)
	return c, nil
}

func (w *world) channel(id string) (wireChannel, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.channels[id]; c != nil {
		return *c, true
	}
	return wireChannel{}, false
}

// setChannel takes a channel, and returns what was known of it.
func (w *world) setChannel(c wireChannel) (old wireChannel, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if o := w.channels[c.ID]; o != nil {
		old, known = *o, true
		c.Last = discordid.Max(c.Last, o.Last)
	}
	w.channels[c.ID] = &c
	return old, known
}

func (w *world) dropChannel(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.channels, id)
}

// bridged reports whether a guild is one that is bridged.
func (w *world) bridged(guild string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return guild != "" && (len(w.only) == 0 || w.only[guild])
}

// youngest notes the last message of a channel.
func (w *world) youngest(channel, message string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.channels[channel]; c != nil {
		c.Last = discordid.Max(c.Last, message)
	}
}

// active notes that somebody spoke.
func (w *world) active(channel, user string, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.spoke[channel]
	if m == nil {
		m = map[string]time.Time{}
		w.spoke[channel] = m
	}
	if len(m) > 1000 {
		clear(m)
	}
	m[user] = at
}

// rooms are the channels of guilds that can be rooms and that the bot sees, by id.
func (w *world) rooms() []wireChannel {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []wireChannel
	for _, c := range w.channels {
		if c.room() && w.rights(w.me.ID, c)&permView != 0 {
			out = append(out, *c)
		}
	}
	slices.SortFunc(out, func(a, b wireChannel) int { return discordid.Compare(a.ID, b.ID) })
	return out
}

// threads are the known threads of a channel.
func (w *world) threads(parent string) []wireChannel {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []wireChannel
	for _, c := range w.channels {
		if c.thread() && c.Parent == parent {
			out = append(out, *c)
		}
	}
	slices.SortFunc(out, func(a, b wireChannel) int { return discordid.Compare(a.ID, b.ID) })
	return out
}

// guildOf is the name, slug and boost tier of a guild.
func (w *world) guildOf(id string) (name, slug string, tier int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.guilds[id]
	if g == nil {
		return "", "", 0
	}
	return g.Name, discordid.Slug(g.Name), g.Tier
}

func (w *world) guildIDs() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.guilds))
}

// member is what is known of a member, or of the user from any guild.
func (w *world) member(guildID, user string) (wireMember, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if g := w.guilds[guildID]; g != nil {
		m, ok := g.members[user]
		return m, ok
	}
	if guildID == "" {
		for _, id := range slices.Sorted(maps.Keys(w.guilds)) {
			if m, ok := w.guilds[id].members[user]; ok {
				m.Nick, m.Avatar = "", ""
				return m, true
			}
		}
	}
	return wireMember{}, false
}

// setMember takes a member, and returns what was known.
func (w *world) setMember(guildID string, m wireMember) (old wireMember, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.guilds[guildID]
	if g == nil || m.User == nil {
		return wireMember{}, false
	}
	old, known = g.members[m.User.ID]
	g.members[m.User.ID] = m
	return old, known
}

func (w *world) dropMember(guildID, user string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if g := w.guilds[guildID]; g != nil {
		delete(g.members, user)
		delete(g.presences, user)
	}
}

// name is how a user is called in a guild: nick, display name, user name.
func (m wireMember) name() string {
	switch {
	case m.Nick != "":
		return m.Nick
	case m.User == nil:
		return ""
	case m.User.GlobalName != "":
		return m.User.GlobalName
	}
	return m.User.Username
}

// roleName and the like are for reading text.
func (w *world) roleName(guildID, id string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if g := w.guilds[guildID]; g != nil {
		return strings.TrimPrefix(g.roles[id].Name, "@")
	}
	return ""
}
