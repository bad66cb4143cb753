package slack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"

	slackgo "github.com/slack-go/slack"

	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackfmt"
	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Reactions go out as the bot's, once for all people here: an emoji is set with the
// first who wants it and taken with the last. Who wants it is kept in the host's state,
// "react/<hash of channel, message, emoji>", so that it survives the process.
//
// Setting: first Slack, then the state; taking: first the state, then Slack. A crash
// between leaves an operation that comes again and does no harm.

// React implements sdk.Reactor.
func (c *Connector) React(ctx context.Context, op *sdk.SetReactions) (sdk.Delivered, error) {
	ch, _, err := c.place(op.Portal)
	if err != nil {
		return sdk.Delivered{}, err
	}
	if op.Sender.Person == "" {
		return sdk.Delivered{}, sdk.Refuse(sdk.CodeInvalid, "nobody is named who reacts")
	}
	ts := slackid.TS(op.Target.ID)
	for _, p := range partsOf(op.Target) {
		if slackid.TS(p.Remote).Valid() {
			ts = slackid.TS(p.Remote)
			break
		}
	}
	if !ts.Valid() {
		return sdk.Delivered{}, unknownMessage()
	}
	for _, e := range op.Removed {
		if name := emojiName(e); name != "" {
			if err := c.unreact(ctx, ch.ID, ts, name, op.Sender.Person); err != nil {
				return sdk.Delivered{}, err
			}
		}
	}
	unknown := ""
	for _, e := range op.Added {
		name := emojiName(e)
		if name == "" {
			unknown = e.Text
			continue
		}
		if err := c.react(ctx, ch.ID, ts, name, op.Sender.Person); err != nil {
			return sdk.Delivered{}, err
		}
	}
	if unknown != "" && len(op.Added) == 1 {
		return sdk.Delivered{}, sdk.Refuse(sdk.CodeUnsupported, "Slack has no emoji %s", cut(unknown, 20))
	}
	return sdk.Delivered{}, nil
}

// emojiName is the short name on Slack, "" if there is none.
func emojiName(e sdk.Emoji) string {
	if e.ID != "" {
		return slackfmt.EmojiName(":" + e.ID + ":")
	}
	return slackfmt.EmojiName(e.Text)
}

func reactKey(channel string, ts slackid.TS, name string) string {
	sum := sha256.Sum256([]byte(channel + "\x00" + string(ts) + "\x00" + name))
	return "react/" + hex.EncodeToString(sum[:16])
}

func (c *Connector) react(ctx context.Context, channel string, ts slackid.TS, name string, who sdk.PersonID) error {
	err := c.api.simple(ctx, "reactions.add", func(ctx context.Context, client *slackgo.Client) error {
		return client.AddReactionContext(ctx, name, slackgo.NewRefToMessage(channel, string(ts)))
	})
	if code := codeOf(err); err != nil && code != "already_reacted" {
		return explain("cannot react", err)
	}
	_, err = c.changeReaction(ctx, reactKey(channel, ts, name), func(people []sdk.PersonID) []sdk.PersonID {
		if slices.Contains(people, who) {
			return people
		}
		return append(people, who)
	})
	return err
}

func (c *Connector) unreact(ctx context.Context, channel string, ts slackid.TS, name string, who sdk.PersonID) error {
	left, err := c.changeReaction(ctx, reactKey(channel, ts, name), func(people []sdk.PersonID) []sdk.PersonID {
		return slices.DeleteFunc(people, func(p sdk.PersonID) bool { return p == who })
	})
	if err != nil || left > 0 {
		return err
	}
	err = c.api.simple(ctx, "reactions.remove", func(ctx context.Context, client *slackgo.Client) error {
		return client.RemoveReactionContext(ctx, name, slackgo.NewRefToMessage(channel, string(ts)))
	})
	switch codeOf(err) {
	case "no_reaction", "message_not_found":
		return nil
	}
	return explain("cannot take the reaction back", err)
}

// changeReaction changes who wants an emoji, and says how many are left. Two channels
// never share a key, and a channel's operations come one after the other; compare-and-set
// guards against an older instance all the same.
func (c *Connector) changeReaction(ctx context.Context, key string, change func([]sdk.PersonID) []sdk.PersonID) (int, error) {
	for range 10 {
		var people []sdk.PersonID
		entry, err := c.host.State().Get(ctx, key)
		switch {
		case errors.Is(err, sdk.ErrNotFound):
			entry = sdk.Entry{}
		case err != nil:
			return 0, err
		case json.Unmarshal(entry.Value, &people) != nil:
			people = nil
		}
		people = change(people)
		if len(people) == 0 {
			if entry.Revision == 0 {
				return 0, nil
			}
			err = c.host.State().Delete(ctx, key, entry.Revision)
		} else {
			var raw []byte
			if raw, err = json.Marshal(people); err != nil {
				return 0, err
			}
			_, err = c.host.State().Put(ctx, key, raw, entry.Revision)
		}
		if errors.Is(err, sdk.ErrConflict) {
			continue
		}
		return len(people), err
	}
	return 0, sdk.RetryAfter(0, errors.New("slack: a reaction is changed by somebody else all the time"))
}
