package discord

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// reactions are who of this side reacted to a message, by emoji: the bot reacts
// once for all of them, and no longer when the last has gone.
type reactions map[string][]string

func reactionsKey(m discordid.Message) string { return "react/" + m.ID }

// person names the sender in the state.
func person(s sdk.Sender) string {
	for _, id := range []string{string(s.Person), s.Address, s.Occupant} {
		if id != "" {
			return id
		}
	}
	return s.Name
}

// React implements sdk.Reactor.
func (c *Connector) React(ctx context.Context, op *sdk.SetReactions) (sdk.Delivered, error) {
	ch, err := c.operate(ctx, &op.OpHeader)
	if err != nil {
		return sdk.Delivered{}, err
	}
	list, err := targets(op.Target)
	if err != nil {
		return sdk.Delivered{}, err
	}
	m := list[0]
	set, revision, err := c.loadReactions(ctx, m)
	if err != nil {
		return sdk.Delivered{}, err
	}
	who := person(op.Sender)
	want := map[string]bool{}
	for _, e := range op.Emoji {
		if key, ok := reactionKey(e); ok {
			want[key] = true
		}
	}
	for key := range set { // what she took back
		if want[key] || !slices.Contains(set[key], who) {
			continue
		}
		set[key] = slices.DeleteFunc(set[key], func(p string) bool { return p == who })
		if len(set[key]) == 0 {
			delete(set, key)
			if err := c.reactAs(ctx, http.MethodDelete, ch.ID, m, key); err != nil {
				return sdk.Delivered{}, err
			}
		}
	}
	// The first time the bot learns of an emoji it may be a repetition after a crash:
	// both requests can be repeated.
	for _, e := range op.Emoji {
		key, ok := reactionKey(e)
		if !ok || slices.Contains(set[key], who) {
			continue
		}
		if len(set[key]) == 0 {
			if err := c.reactAs(ctx, http.MethodPut, ch.ID, m, key); err != nil {
				return sdk.Delivered{}, err
			}
		}
		set[key] = append(set[key], who)
	}
	return sdk.Delivered{}, c.saveReactions(ctx, m, set, revision)
}

// reactionKey is how Discord calls an emoji; text is none, and a custom emoji of
// another network has no id here.
func reactionKey(e sdk.Emoji) (string, bool) {
	if e.ID != "" {
		return discordid.Emoji(e.Text, e.ID), discordid.Valid(e.ID)
	}
	ascii := strings.IndexFunc(e.Text, func(r rune) bool { return r > 127 }) < 0
	return e.Text, !ascii && len(e.Text) <= 64
}

func (c *Connector) reactAs(ctx context.Context, method, room string, m discordid.Message, key string) error {
	path := "/channels/" + m.Channel(room) + "/messages/"
	err := c.api.do(ctx, call{Method: method, Path: path + m.ID + "/reactions/" + url.PathEscape(key) + "/@me", Route: path + "reactions"}, nil)
	switch {
	case err == nil:
		return nil
	case method == http.MethodDelete && hasStatus(err, http.StatusNotFound):
		return nil
	case hasCode(err, codeMaxReactions):
		return sdk.Refuse(sdk.CodeBlocked, "a message on Discord has at most %d different reactions", limitReactionsKinds)
	case hasCode(err, codeUnknownEmoji):
		return sdk.Refuse(sdk.CodeInvalid, "Discord does not know this emoji")
	}
	return explain("the reaction was not set", unwrapUnsureTemporary(err))
}

func (c *Connector) loadReactions(ctx context.Context, m discordid.Message) (reactions, sdk.Revision, error) {
	set := reactions{}
	e, err := c.host.State().Get(ctx, reactionsKey(m))
	if errors.Is(err, sdk.ErrNotFound) {
		return set, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	if err := json.Unmarshal(e.Value, &set); err != nil {
		c.log.Warn("reactions not read", "message", m.ID, "error", err)
		set = reactions{}
	}
	return set, e.Revision, nil
}

func (c *Connector) saveReactions(ctx context.Context, m discordid.Message, set reactions, revision sdk.Revision) error {
	if len(set) == 0 {
		if revision == 0 {
			return nil
		}
		return c.host.State().Delete(ctx, reactionsKey(m), sdk.AnyRevision)
	}
	raw, err := json.Marshal(set)
	if err != nil {
		return err
	}
	_, err = c.host.State().Put(ctx, reactionsKey(m), raw, sdk.AnyRevision)
	return err
}
