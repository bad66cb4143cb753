package discord

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bwmarrin/discordgo"

	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordid"
)

// world is what is known of the guilds. It only ever mirrors Discord: all of it is
// told again after a start.
type world struct {
	mu       sync.Mutex
	me       discordgo.User
	app      string
	only     map[string]bool // guilds that are bridged; empty: all
	guilds   map[string]*guild
	channels map[string]*discordgo.Channel // threads as well
	spoke    map[string]map[string]time.Time
}

// guild is a guild with its people.
type guild struct {
	discordgo.Guild
	roles     map[string]discordgo.Role
	members   map[string]discordgo.Member
	presences map[string]discordgo.Presence
	whole     bool // all members are known
}

func newWorld(only []string) *world {
	w := &world{only: map[string]bool{}, guilds: map[string]*guild{}, channels: map[string]*discordgo.Channel{}, spoke: map[string]map[string]time.Time{}}
	for _, id := range only {
		w.only[id] = true
	}
	return w
}

// setGuild takes a whole guild; it reports whether its members have to be asked for.
func (w *world) setGuild(g discordgo.Guild, maxMembers int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.only) > 0 && !w.only[g.ID] || g.Unavailable {
		return false
	}
	n := &guild{Guild: g, roles: map[string]discordgo.Role{}, members: map[string]discordgo.Member{}, presences: map[string]discordgo.Presence{}}
	for _, r := range g.Roles {
		n.roles[r.ID] = *r
	}
	for _, m := range g.Members {
		if m.User != nil {
			n.members[m.User.ID] = *m
		}
	}
	for _, p := range g.Presences {
		if p.User != nil {
			n.presences[p.User.ID] = *p
		}
	}
	n.whole = len(n.members) >= g.MemberCount
	for _, c := range slices.Concat(g.Channels, g.Threads) {
		c.GuildID = g.ID
		w.channels[c.ID] = c
	}
	n.Channels, n.Threads, n.Members, n.Presences, n.Guild.Roles = nil, nil, nil, nil, nil
	w.guilds[g.ID] = n
	return !n.whole && g.MemberCount <= maxMembers
}

func (w *world) dropGuild(id string) (channels []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.guilds, id)
	for cid, c := range w.channels {
		if c.GuildID == id {
			channels = append(channels, cid)
			delete(w.channels, cid)
		}
	}
	slices.Sort(channels)
	return channels
}

// load reads a channel that the gateway has not told of.
func (w *world) load(ctx context.Context, a *api, id string) (discordgo.Channel, error) {
	if c, ok := w.channel(id); ok {
		return c, nil
	}
	c, err := ask(ctx, a, "GET /channels/"+id, func(s *discordgo.Session, o discordgo.RequestOption) (*discordgo.Channel, error) {
		return s.Channel(id, o)
	})
	if err != nil {
		return discordgo.Channel{}, err
	}
	w.setChannel(*c)
	return *c, nil
}

func (w *world) channel(id string) (discordgo.Channel, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.channels[id]; c != nil {
		return *c, true
	}
	return discordgo.Channel{}, false
}

// setChannel takes a channel, and returns what was known of it.
func (w *world) setChannel(c discordgo.Channel) (old discordgo.Channel, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if o := w.channels[c.ID]; o != nil {
		old, known = *o, true
		c.LastMessageID = discordid.Max(c.LastMessageID, o.LastMessageID)
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
		c.LastMessageID = discordid.Max(c.LastMessageID, message)
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
func (w *world) rooms() []discordgo.Channel {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []discordgo.Channel
	for _, c := range w.channels {
		if isRoom(c) && w.rights(w.me.ID, c)&permView != 0 {
			out = append(out, *c)
		}
	}
	slices.SortFunc(out, func(a, b discordgo.Channel) int { return discordid.Compare(a.ID, b.ID) })
	return out
}

// threads are the known threads of a channel.
func (w *world) threads(parent string) []discordgo.Channel {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []discordgo.Channel
	for _, c := range w.channels {
		if c.IsThread() && c.ParentID == parent {
			out = append(out, *c)
		}
	}
	slices.SortFunc(out, func(a, b discordgo.Channel) int { return discordid.Compare(a.ID, b.ID) })
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
	return g.Name, discordid.Slug(g.Name), int(g.PremiumTier)
}

func (w *world) guildIDs() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.guilds))
}

// member is what is known of a member, or of the user from any guild.
func (w *world) member(guildID, user string) (discordgo.Member, bool) {
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
	return discordgo.Member{}, false
}

// setMember takes a member, and returns what was known.
func (w *world) setMember(guildID string, m discordgo.Member) (old discordgo.Member, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.guilds[guildID]
	if g == nil || m.User == nil {
		return discordgo.Member{}, false
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

// roleName and the like are for reading text.
func (w *world) roleName(guildID, id string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if g := w.guilds[guildID]; g != nil {
		return strings.TrimPrefix(g.roles[id].Name, "@")
	}
	return ""
}
