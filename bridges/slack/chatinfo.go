package slack

import (
	"context"
	"sync"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// channels remembers what channels are called, for mentions.
type channels struct {
	mu    sync.Mutex
	known map[string]knownChannel
}

type knownChannel struct {
	name string
	at   time.Time
}

func (c *Connector) forgetChannel(id string) {
	c.channels.mu.Lock()
	defer c.channels.mu.Unlock()
	delete(c.channels.known, id)
}

// channelName is what a channel is called, "" if we may not know.
func (c *Connector) channelName(ctx context.Context, id string) string {
	c.channels.mu.Lock()
	k, ok := c.channels.known[id]
	c.channels.mu.Unlock()
	if ok && c.opt.Now().Sub(k.at) < fresh {
		return k.name
	}
	ch, err := c.channelInfo(ctx, id)
	if err != nil && sdk.AsError(err).Temporary {
		return ""
	}
	c.channels.mu.Lock()
	defer c.channels.mu.Unlock()
	if c.channels.known == nil || len(c.channels.known) > 20_000 {
		c.channels.known = map[string]knownChannel{}
	}
	c.channels.known[id] = knownChannel{ch.Name, c.opt.Now()}
	return ch.Name
}

func (c *Connector) channelInfo(ctx context.Context, id string) (slackgo.Channel, error) {
	ch, err := c.api.channel(ctx, "conversations.info", func(ctx context.Context, client *slackgo.Client) (*slackgo.Channel, error) {
		return client.GetConversationInfoContext(ctx, &slackgo.GetConversationInfoInput{ChannelID: id, IncludeNumMembers: true})
	})
	return ch, explain("cannot look at the channel", err)
}

// channel asks for one channel.
func (a *webAPI) channel(ctx context.Context, method string, do func(context.Context, *slackgo.Client) (*slackgo.Channel, error)) (slackgo.Channel, error) {
	var out struct {
		Channel slackgo.Channel `json:"channel"`
	}
	_, err := a.call(ctx, method, &out, func(ctx context.Context, client *slackgo.Client) error {
		ch, err := do(ctx, client)
		if err == nil && ch != nil {
			out.Channel = *ch
		}
		return err
	})
	return out.Channel, err
}

// channelPage is a page of channels.
type channelPage struct {
	Channels []slackgo.Channel        `json:"channels"`
	Meta     slackgo.ResponseMetadata `json:"response_metadata"`
}

// place reads a portal's key.
func (c *Connector) place(p sdk.PortalKey) (slackid.Channel, *identity, error) {
	ch, ok := slackid.ParseChannel(string(p.Room))
	switch {
	case !ok:
		return ch, nil, sdk.Refuse(sdk.CodeNotFound, "%q is no channel's id on Slack", string(p.Room))
	case p.Login != "":
		return ch, nil, sdk.Refuse(sdk.CodeInvalid, "the Slack bridge has no accounts of people")
	}
	self, err := c.me()
	return ch, self, err
}

// describe is a channel with a page of its members.
func (c *Connector) describe(ctx context.Context, ch slackgo.Channel, members int, after sdk.Cursor) (sdk.ChatInfo, error) {
	self, err := c.me()
	if err != nil {
		return sdk.ChatInfo{}, err
	}
	out := sdk.ChatInfo{
		Portal: self.portal(ch.ID), Kind: sdk.ChatRoom, Name: ch.Name, Topic: plainText(ch.Topic.Value), Link: slackid.Permalink(self.URL, ch.ID, "", ""),
		Public: !ch.IsPrivate && !ch.IsIM && !ch.IsMpIM, MemberCount: ch.NumMembers, Own: sdk.RoleMember,
	}
	if ch.NumMembers == 0 {
		out.MemberCount = -1
	}
	switch {
	case ch.IsIM:
		out.Kind = sdk.ChatDirect
	case ch.IsMpIM:
		out.Kind = sdk.ChatGroup
	case ch.Name != "" && self.Domain != "":
		out.Aliases = []string{slackid.Alias(ch.Name, self.Domain)}
	}
	if !ch.IsMember {
		out.Missing = append(out.Missing, "the bot is not in the channel: write /invite @"+self.Name+" there")
	}
	if members > 0 {
		if out.Members, out.NextMembers, err = c.members(ctx, ch, members, after); err != nil {
			return sdk.ChatInfo{}, err
		}
	}
	return out, nil
}

// members is a page of the members. Many who are not known are read all at once.
func (c *Connector) members(ctx context.Context, ch slackgo.Channel, size int, after sdk.Cursor) ([]sdk.Member, sdk.Cursor, error) {
	var page struct {
		Members []string                 `json:"members"`
		Meta    slackgo.ResponseMetadata `json:"response_metadata"`
	}
	q := slackgo.GetUsersInConversationParameters{ChannelID: ch.ID, Limit: min(size, 1000), Cursor: string(after)}
	_, err := c.api.call(ctx, "conversations.members", &page, func(ctx context.Context, client *slackgo.Client) (err error) {
		page.Members, page.Meta.Cursor, err = client.GetUsersInConversationContext(ctx, &q)
		return err
	})
	if err != nil {
		return nil, "", explain("cannot list the members", err)
	}
	self, err := c.me()
	if err != nil {
		return nil, "", err
	}
	if c.people.missing(page.Members) > 10 {
		if _, err := c.people.all(ctx); err != nil {
			c.log.Debug("the people are asked for one by one", "error", err)
		}
	}
	var out []sdk.Member
	for _, id := range page.Members {
		if id == self.User {
			continue
		}
		u, err := c.people.get(ctx, id)
		if err != nil {
			if sdk.AsError(err).Temporary {
				return nil, "", err
			}
			continue // Slack does not show us who that is
		}
		role := sdk.RoleMember
		switch {
		case u.IsOwner || id == ch.Creator:
			role = sdk.RoleOwner
		case u.IsAdmin:
			role = sdk.RoleAdmin
		}
		out = append(out, sdk.Member{User: c.info(u, self), Role: role})
	}
	return out, sdk.Cursor(page.Meta.Cursor), nil
}

// ChatInfo implements sdk.Bridge.
func (c *Connector) ChatInfo(ctx context.Context, r sdk.ChatInfoRequest) (sdk.ChatInfo, error) {
	id, _, err := c.place(r.Portal)
	if err != nil {
		return sdk.ChatInfo{}, err
	}
	ch, err := c.channelInfo(ctx, id.ID)
	if err != nil {
		return sdk.ChatInfo{}, err
	}
	out, err := c.describe(ctx, ch, r.Members, r.After)
	out.Portal = r.Portal
	return out, err
}

// JoinPortal implements sdk.Bridge: the bot enters public channels by itself, into
// others it has to be invited.
func (c *Connector) JoinPortal(ctx context.Context, r sdk.JoinRequest) (sdk.ChatInfo, error) {
	id, self, err := c.place(r.Portal)
	if err != nil {
		return sdk.ChatInfo{}, err
	}
	ch, err := c.channelInfo(ctx, id.ID)
	if err != nil {
		if e := sdk.AsError(err); e.Code == sdk.CodeNotFound {
			e.Text = "there is no such channel on Slack, or it is private and the bot is not in it (/invite @" + self.Name + ")"
		}
		return sdk.ChatInfo{}, err
	}
	if ch.IsArchived {
		return sdk.ChatInfo{}, sdk.Refuse(sdk.CodeRoomGone, "the channel is archived on Slack")
	}
	if !ch.IsMember && !ch.IsIM && !ch.IsMpIM {
		if ch.IsPrivate {
			return sdk.ChatInfo{}, sdk.Refuse(sdk.CodeForbidden, "the channel is private: somebody there has to write /invite @%s", self.Name)
		}
		if err := c.api.simple(ctx, "conversations.join", func(ctx context.Context, client *slackgo.Client) error {
			_, _, _, err := client.JoinConversationContext(ctx, ch.ID)
			return err
		}); err != nil {
			return sdk.ChatInfo{}, explain("cannot enter the channel", err)
		}
		ch.IsMember = true
	}
	out, err := c.describe(ctx, ch, r.Members, "")
	out.Portal = r.Portal
	return out, err
}

// LeavePortal implements sdk.Bridge.
func (c *Connector) LeavePortal(ctx context.Context, r sdk.LeaveRequest) error {
	id, _, err := c.place(r.Portal)
	if err != nil || slackid.IsDirect(id.ID) {
		return err
	}
	err = c.api.simple(ctx, "conversations.leave", func(ctx context.Context, client *slackgo.Client) error {
		_, err := client.LeaveConversationContext(ctx, id.ID)
		return err
	})
	if code := codeOf(err); code == "channel_not_found" || code == "not_in_channel" || code == "is_archived" {
		return nil // we are out
	}
	return explain("cannot leave the channel", err)
}
