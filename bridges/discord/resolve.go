package discord

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/bwmarrin/discordgo"

	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Resolve implements sdk.Bridge.
func (c *Connector) Resolve(ctx context.Context, r sdk.ResolveRequest) (sdk.Target, error) {
	if err := c.started(); err != nil {
		return sdk.Target{}, err
	}
	none := sdk.Refuse(sdk.CodeNotFound, "there is nobody and nothing called %q in the bot's servers", r.Text)
	t := discordid.Parse(r.Text)
	switch t.Kind {
	case discordid.KindID:
		if r.Want != sdk.TargetUser {
			if target, err := c.channelTarget(ctx, t.ID); err == nil || sdk.AsError(err).Temporary || r.Want == sdk.TargetRoom {
				return target, err
			}
		}
		return c.userTarget(ctx, t.ID)
	case discordid.KindUser:
		return c.userTarget(ctx, t.ID)
	case discordid.KindChannel:
		return c.channelTarget(ctx, t.ID)
	case discordid.KindAlias:
		for _, ch := range c.world.rooms() {
			_, slug, _ := c.world.guildOf(ch.GuildID)
			if strings.ToLower(ch.Name) == t.Name && (t.Guild == "" || t.Guild == slug || t.Guild == ch.GuildID) {
				target := c.roomTarget(ch)
				target.Alias = "#" + t.Name + ":" + slug
				return target, nil
			}
		}
	case discordid.KindName:
		if r.Want == sdk.TargetRoom {
			return c.Resolve(ctx, sdk.ResolveRequest{Text: "#" + t.Name, Want: r.Want})
		}
		return c.namedUser(ctx, t.Name, none)
	}
	return sdk.Target{}, none
}

// channelTarget is a channel, or the one a thread stands in.
func (c *Connector) channelTarget(ctx context.Context, id string) (sdk.Target, error) {
	ch, err := c.world.load(ctx, c.api, id)
	if err != nil {
		e := sdk.AsError(explain("the channel cannot be used", err))
		if e.Code == sdk.CodeRoomGone {
			return sdk.Target{}, sdk.Refuse(sdk.CodeNotFound, "there is no channel %s that the bot can see", id)
		}
		return sdk.Target{}, e
	}
	if ch.IsThread() {
		return c.channelTarget(ctx, ch.ParentID)
	}
	if ch, err = c.room(ctx, portal(id)); err != nil {
		return sdk.Target{}, err
	}
	return c.roomTarget(ch), nil
}

func (c *Connector) roomTarget(ch discordgo.Channel) sdk.Target {
	guild, _, _ := c.world.guildOf(ch.GuildID)
	name := "#" + ch.Name
	if guild != "" {
		name += " (" + guild + ")"
	}
	return sdk.Target{Kind: sdk.TargetRoom, Portal: portal(ch.ID), Name: name, Topic: ch.Topic, Count: -1, Joined: true}
}

func (c *Connector) userTarget(ctx context.Context, id string) (sdk.Target, error) {
	info, err := c.UserInfo(ctx, sdk.UserInfoRequest{User: sdk.RemoteUserID(id)})
	if err != nil {
		return sdk.Target{}, err
	}
	return sdk.Target{Kind: sdk.TargetUser, User: info, Name: info.Name, Count: -1}, nil
}

// namedUser looks a user name up among the members of all guilds.
func (c *Connector) namedUser(ctx context.Context, name string, none error) (sdk.Target, error) {
	for _, guild := range c.world.guildIDs() {
		found, err := ask(ctx, c.api, "GET /guilds/"+guild+"/members/search", func(s *discordgo.Session, o discordgo.RequestOption) ([]*discordgo.Member, error) {
			return s.GuildMembersSearch(guild, name, 20, o)
		})
		if err != nil {
			if e := sdk.AsError(explain("nobody was found", err)); e.Temporary {
				return sdk.Target{}, e
			}
			continue
		}
		for _, m := range found {
			if m.User != nil && strings.EqualFold(m.User.Username, name) {
				info := c.userInfo(guild, *m)
				return sdk.Target{Kind: sdk.TargetUser, User: info, Name: info.Name, Count: -1}, nil
			}
		}
	}
	return sdk.Target{}, none
}

// Search implements sdk.Searcher: channels first, then members.
func (c *Connector) Search(_ context.Context, r sdk.SearchRequest) (sdk.SearchResult, error) {
	if err := c.started(); err != nil {
		return sdk.SearchResult{}, err
	}
	words := strings.ToLower(strings.TrimSpace(r.Text))
	var found []sdk.Target
	if r.Want != sdk.TargetUser {
		for _, ch := range c.world.rooms() {
			if strings.Contains(strings.ToLower(ch.Name+" "+ch.Topic), strings.TrimPrefix(words, "#")) {
				found = append(found, c.roomTarget(ch))
			}
		}
	}
	if r.Want != sdk.TargetRoom {
		found = append(found, c.people(strings.TrimPrefix(words, "@"))...)
	}
	from, _ := strconv.Atoi(string(r.After)) // no cursor, or not ours: the beginning
	from = min(max(from, 0), len(found))
	limit := r.Limit
	if limit <= 0 {
		limit = 50
	}
	end := min(from+limit, len(found))
	out := sdk.SearchResult{Found: found[from:end]}
	if end < len(found) {
		out.Next = sdk.Cursor(strconv.Itoa(end))
	}
	return out, nil
}

// people are the known members whose name has the words in it, each once.
func (c *Connector) people(words string) []sdk.Target {
	var out []sdk.Target
	seen := map[string]bool{}
	for _, guild := range c.world.guildIDs() {
		var list []discordgo.Member
		c.world.mu.Lock()
		for id, m := range c.world.guilds[guild].members {
			name := strings.ToLower(nameOf(m) + " " + m.User.Username)
			if !seen[id] && id != c.world.me.ID && strings.Contains(name, words) {
				seen[id] = true
				list = append(list, m)
			}
		}
		c.world.mu.Unlock()
		slices.SortFunc(list, func(a, b discordgo.Member) int { return discordid.Compare(a.User.ID, b.User.ID) })
		for _, m := range list {
			info := c.userInfo(guild, m)
			out = append(out, sdk.Target{Kind: sdk.TargetUser, User: info, Name: info.Name, Count: -1})
		}
	}
	return out
}

// FetchHistory implements sdk.HistorySource. Cursors are ids of messages.
func (c *Connector) FetchHistory(ctx context.Context, r sdk.HistoryRequest) (sdk.HistoryPage, error) {
	ch, err := c.room(ctx, r.Portal)
	if err != nil {
		return sdk.HistoryPage{}, err
	}
	channel := ch.ID
	if discordid.Valid(r.Thread) {
		channel = r.Thread
	}
	limit := min(max(r.Limit, 1), pageSize)
	query := "limit=" + strconv.Itoa(limit)
	switch {
	case discordid.Valid(string(r.Before)):
		query += "&before=" + string(r.Before)
	case discordid.Valid(string(r.After)):
		query += "&after=" + string(r.After)
	case r.Anchor.ID != "":
		m, ok := discordid.ParseMessage(string(r.Anchor.ID))
		if !ok {
			return sdk.HistoryPage{}, sdk.Refuse(sdk.CodeNotFound, "there is no message %q", r.Anchor.ID)
		}
		query += "&around=" + m.ID
	case !r.Until.IsZero():
		query += "&before=" + discordid.At(r.Until)
	}
	list, err := get[[]message](ctx, c.api, "/channels/"+channel+"/messages", query)
	if err != nil {
		return sdk.HistoryPage{}, explain("the past cannot be read", err)
	}
	var page sdk.HistoryPage
	for _, m := range slices.Backward(list) {
		if !r.Since.IsZero() && m.Timestamp.Before(r.Since) || !r.Until.IsZero() && m.Timestamp.After(r.Until) {
			continue
		}
		m.GuildID = ch.GuildID
		page.Events = append(page.Events, c.message(ctx, m, true)...)
	}
	if n := len(list); n > 0 {
		oldest, newest := list[n-1].ID, list[0].ID
		if n == limit || r.After != "" {
			page.Older = sdk.Cursor(oldest)
		}
		if r.Before != "" || r.After != "" && n == limit {
			page.Newer = sdk.Cursor(newest)
		}
	}
	return page, nil
}
