package slack

import (
	"context"

	slackgo "github.com/slack-go/slack"

	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackfmt"
	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// SetTopic implements sdk.TopicSetter.
func (c *Connector) SetTopic(ctx context.Context, op *sdk.SetTopic) (sdk.Delivered, error) {
	ch, _, err := c.place(op.Portal)
	if err != nil {
		return sdk.Delivered{}, err
	}
	topic := cut(op.Topic, maxTopic)
	if err := c.api.simple(ctx, "conversations.setTopic", func(ctx context.Context, client *slackgo.Client) error {
		_, err := client.SetTopicOfConversationContext(ctx, ch.ID, slackfmt.Escape(topic))
		return err
	}); err != nil {
		return sdk.Delivered{}, explain("cannot change the topic", err)
	}
	return sdk.Delivered{}, nil
}

// Invite implements sdk.Inviter.
func (c *Connector) Invite(ctx context.Context, op *sdk.InviteUser) (sdk.Delivered, error) {
	ch, who, err := c.guest(op.Portal, op.User)
	if err != nil {
		return sdk.Delivered{}, err
	}
	err = c.api.simple(ctx, "conversations.invite", func(ctx context.Context, client *slackgo.Client) error {
		_, err := client.InviteUsersToConversationContext(ctx, ch.ID, who)
		return err
	})
	if codeOf(err) == "already_in_channel" {
		err = nil
	}
	return sdk.Delivered{}, explain("cannot invite", err)
}

// Moderate implements sdk.Moderator: Slack's channels know nothing but putting somebody
// out.
func (c *Connector) Moderate(ctx context.Context, op *sdk.Moderate) (sdk.Delivered, error) {
	if op.Action != sdk.ModerateKick {
		return sdk.Delivered{}, sdk.Unsupported("anything but removing somebody from the channel")
	}
	ch, who, err := c.guest(op.Portal, op.User)
	if err != nil {
		return sdk.Delivered{}, err
	}
	err = c.api.simple(ctx, "conversations.kick", func(ctx context.Context, client *slackgo.Client) error {
		return client.KickUserFromConversationContext(ctx, ch.ID, who)
	})
	if codeOf(err) == "not_in_channel" {
		err = nil // she is out
	}
	return sdk.Delivered{}, explain("cannot remove from the channel", err)
}

// guest reads whom an operation is about.
func (c *Connector) guest(p sdk.PortalKey, user sdk.RemoteUserID) (slackid.Channel, string, error) {
	ch, _, err := c.place(p)
	if err != nil {
		return ch, "", err
	}
	u, ok := slackid.ParseUser(string(user))
	if !ok || !slackid.IsUser(u.ID) {
		return ch, "", sdk.Refuse(sdk.CodeNotFound, "%q is nobody's id on Slack", string(user))
	}
	return ch, u.ID, nil
}
