package slack

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// onMember: somebody entered or left; the bot itself among them.
func (c *Connector) onMember(ctx context.Context, channel string, _ *position, ev event) ([]sdk.Event, error) {
	self, err := c.me()
	if err != nil {
		return nil, err
	}
	joined := ev.Type == "member_joined_channel"
	if ev.User == self.User {
		if !joined || ev.Inviter == "" || ev.Inviter == self.User || !c.conf.AcceptInvites {
			return nil, nil // we asked for it, or channel_left tells
		}
		return c.opened(ctx, channel, ev)
	}
	return c.member(ctx, channel, ev.User, ev.Inviter, joined, ev.EventTS)
}

func (c *Connector) member(ctx context.Context, channel, who, by string, joined bool, at slackid.TS) ([]sdk.Event, error) {
	self, err := c.me()
	if err != nil || !slackid.IsUser(who) || who == self.User {
		return nil, err
	}
	actor := who
	if slackid.IsUser(by) {
		actor = by
	}
	h, err := c.head(ctx, channel, "", actor, at)
	if err != nil {
		return nil, err
	}
	u, err := c.people.get(ctx, who)
	if err != nil && sdk.AsError(err).Temporary {
		return nil, err
	}
	out := &sdk.Membership{EventHeader: h, Change: sdk.MembershipJoin}
	kind := "join:"
	if !joined {
		out.Change, kind = sdk.MembershipLeave, "leave:"
	}
	out.ID = sdk.EventID(kind + string(at) + ":" + who)
	if err == nil {
		info := c.info(u, self)
		out.Member, out.Profile = sdk.Party{User: info.ID}, &info
	} else if out.Member.User, err = c.key(ctx, who); err != nil {
		return nil, err
	}
	return []sdk.Event{out}, nil
}

// opened: the bot was invited into a channel.
func (c *Connector) opened(ctx context.Context, channel string, ev event) ([]sdk.Event, error) {
	ch, err := c.channelInfo(ctx, channel)
	if err != nil {
		return nil, err
	}
	info, err := c.describe(ctx, ch, 0, "")
	if err != nil {
		return nil, err
	}
	h, err := c.head(ctx, channel, "", ev.Inviter, ev.EventTS)
	if err != nil {
		return nil, err
	}
	h.ID = sdk.EventID("opened:" + string(ev.EventTS))
	return []sdk.Event{&sdk.PortalOpened{EventHeader: h, Info: info}}, nil
}

func (c *Connector) onRename(ctx context.Context, channel string, _ *position, ev event) ([]sdk.Event, error) {
	c.forgetChannel(channel)
	if ev.Channel.Name == "" {
		return nil, nil
	}
	return c.renamed(ctx, channel, ev.Channel.Name, ev.EventTS)
}

func (c *Connector) renamed(ctx context.Context, channel, name string, at slackid.TS) ([]sdk.Event, error) {
	h, err := c.head(ctx, channel, "", "", at)
	if err != nil {
		return nil, err
	}
	h.ID = sdk.EventID("name:" + string(at))
	return []sdk.Event{&sdk.RoomChanged{EventHeader: h, Name: &name}}, nil
}

// onGone: the channel was closed, deleted, or the bot was put out of it.
func (c *Connector) onGone(ctx context.Context, channel string, _ *position, ev event) ([]sdk.Event, error) {
	c.forgetChannel(channel)
	h, err := c.head(ctx, channel, "", ev.User, ev.EventTS)
	if err != nil {
		return nil, err
	}
	h.ID = sdk.EventID("gone:" + string(ev.EventTS))
	out := &sdk.PortalGone{EventHeader: h, Code: sdk.CodeRoomGone}
	switch ev.Type {
	case "channel_archive", "group_archive":
		out.Reason = "the channel was archived"
	case "channel_left", "group_left":
		out.Code, out.Reason = sdk.CodeForbidden, "the bot is no longer in the channel"
	default:
		out.Reason = "the channel was deleted"
	}
	return []sdk.Event{out}, nil
}

// onBack: an archived channel is open again.
func (c *Connector) onBack(ctx context.Context, channel string, _ *position, ev event) ([]sdk.Event, error) {
	c.forgetChannel(channel)
	return c.opened(ctx, channel, ev)
}

// onMoved: the channel goes on under another id.
func (c *Connector) onMoved(ctx context.Context, channel string, _ *position, ev event) ([]sdk.Event, error) {
	self, err := c.me()
	if err != nil || !slackid.IsChannel(ev.NewChannel) {
		return nil, err
	}
	c.forgetChannel(channel)
	h, err := c.head(ctx, channel, "", "", ev.EventTS)
	if err != nil {
		return nil, err
	}
	h.ID = sdk.EventID("moved:" + string(ev.EventTS))
	return []sdk.Event{&sdk.RoomMoved{EventHeader: h, To: self.portal(ev.NewChannel).Room, Reason: "the channel was shared or changed its id"}}, nil
}
