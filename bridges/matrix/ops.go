package matrix

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// React implements sdk.Reactor: each emoji is an event of its own on Matrix.
func (c *Connector) React(ctx context.Context, op *sdk.SetReactions) (sdk.Delivered, error) {
	target := firstID(op.Target)
	if target == "" {
		return sdk.Delivered{}, sdk.Refuse(sdk.CodeNotFound, "the message is not known on Matrix")
	}
	var done sdk.Delivered
	err := c.inRoom(ctx, &op.OpHeader, "cannot react", func(ctx context.Context, api *mautrix.Client, r *room) error {
		done.Parts = nil
		for i, e := range op.Removed {
			if err := c.unreact(ctx, api, r, target, emojiKey(e), fmt.Sprintf("%s.u%d", op.ID, i)); err != nil {
				return err
			}
		}
		for i, e := range op.Added {
			part, err := c.react(ctx, api, r, op, target, e, sdk.PartID(fmt.Sprintf("a%d", i)))
			if err != nil {
				return err
			}
			done.Parts = append(done.Parts, part)
		}
		return nil
	})
	return done, err
}

func emojiKey(e sdk.Emoji) string {
	if e.ID != "" {
		return e.ID
	}
	return e.Text
}

func (c *Connector) react(ctx context.Context, api *mautrix.Client, r *room, op *sdk.SetReactions, target string, e sdk.Emoji, part sdk.PartID) (sdk.Part, error) {
	key := emojiKey(e)
	out := outgoing{part: part, kind: event.EventReaction, content: map[string]any{
		"m.relates_to": map[string]any{"rel_type": "m.annotation", "event_id": target, "key": key},
	}}
	sent, err := c.sendOne(ctx, api, r, &op.OpHeader, out)
	if errcode(err) == "M_DUPLICATE_ANNOTATION" {
		// It stands there already, which is what was asked for.
		found, err := c.findReaction(ctx, api, r, target, key)
		return sdk.Part{ID: part, Remote: sdk.RemoteMessageID(found)}, err
	}
	if err != nil {
		return sdk.Part{}, err
	}
	if _, err := c.host.State().Put(ctx, reactionKey(r.id, api.UserID, target, key), []byte(sent.Remote), sdk.AnyRevision); err != nil {
		c.log.Warn("reaction not saved", "error", err)
	}
	return sent, nil
}

func (c *Connector) unreact(ctx context.Context, api *mautrix.Client, r *room, target, key, txn string) error {
	stored := reactionKey(r.id, api.UserID, target, key)
	var reaction id.EventID
	entry, err := c.host.State().Get(ctx, stored)
	switch {
	case err == nil:
		reaction = id.EventID(entry.Value)
	case !errors.Is(err, sdk.ErrNotFound):
		return err
	default:
		if reaction, err = c.findReaction(ctx, api, r, target, key); err != nil {
			return err
		}
	}
	if reaction == "" {
		return nil // it is not there: nothing to take away
	}
	if err := c.redact(ctx, api, r, reaction, txn, ""); err != nil && errcode(err) != "M_NOT_FOUND" {
		return err
	}
	if err := c.host.State().Delete(ctx, stored, sdk.AnyRevision); err != nil && !errors.Is(err, sdk.ErrNotFound) {
		c.log.Debug("reaction not forgotten", "error", err)
	}
	return nil
}

// findReaction looks a user's reaction up on the homeserver; "" if it has none.
func (c *Connector) findReaction(ctx context.Context, api *mautrix.Client, r *room, target, key string) (id.EventID, error) {
	from := ""
	for range 10 {
		query := map[string]string{"limit": strconv.Itoa(readPage)}
		if from != "" {
			query["from"] = from
		}
		var page struct {
			Chunk []json.RawMessage `json:"chunk"`
			Next  string            `json:"next_batch"`
		}
		path := mautrix.ClientURLPath{"v1", "rooms", r.id, "relations", target, "m.annotation", "m.reaction"}
		_, err := api.MakeRequest(ctx, http.MethodGet, api.BuildURLWithQuery(path, query), nil, &page)
		if errcode(err) == "M_UNRECOGNIZED" || errcode(err) == "M_NOT_FOUND" {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		for _, ev := range c.parse(page.Chunk) {
			if ev.Content.ParseRaw(event.EventReaction) == nil && ev.Sender == api.UserID && ev.Content.AsReaction().RelatesTo.Key == key {
				return ev.ID, nil
			}
		}
		if from = page.Next; from == "" {
			break
		}
	}
	return "", nil
}

// reactionKey is where the host keeps the event id of a reaction.
func reactionKey(room id.RoomID, user id.UserID, target, key string) string {
	sum := sha256.Sum256([]byte(string(room) + "\x00" + string(user) + "\x00" + target + "\x00" + key))
	return "reaction/" + hex.EncodeToString(sum[:16])
}

// SetTopic implements sdk.TopicSetter.
func (c *Connector) SetTopic(ctx context.Context, op *sdk.SetTopic) (sdk.Delivered, error) {
	content := map[string]any{"topic": op.Topic}
	return c.setState(ctx, &op.OpHeader, event.StateTopic, content, "cannot change the topic")
}

// EditRoom implements sdk.RoomEditor.
func (c *Connector) EditRoom(ctx context.Context, op *sdk.EditRoom) (sdk.Delivered, error) {
	if err := checkHeader(&op.OpHeader); err != nil {
		return sdk.Delivered{}, err
	}
	if op.Name != nil {
		if d, err := c.setState(ctx, &op.OpHeader, event.StateRoomName, map[string]any{"name": *op.Name}, "cannot rename the room"); err != nil || op.Avatar == nil {
			return d, err
		}
	}
	if op.Avatar == nil {
		return sdk.Delivered{}, nil
	}
	content := map[string]any{}
	if op.Avatar.ID != "" {
		g, err := c.ghostOf(ctx, op.Sender)
		if err != nil {
			return sdk.Delivered{}, err
		}
		uri, err := c.upload(ctx, g.id(), sdk.MediaRequest{ID: op.Avatar.ID, In: op.Portal}, *op.Avatar)
		if err != nil {
			return sdk.Delivered{}, err
		}
		content["url"] = uri.String()
	}
	return c.setState(ctx, &op.OpHeader, event.StateRoomAvatar, content, "cannot change the room's picture")
}

// setState changes a state event as the sender, and as the bot where she has no
// right to: her right to do it in the XMPP room was checked there.
func (c *Connector) setState(ctx context.Context, h *sdk.OpHeader, kind event.Type, content map[string]any, what string) (sdk.Delivered, error) {
	content[opField] = string(h.ID)
	var done sdk.Delivered
	err := c.inRoom(ctx, h, what, func(ctx context.Context, api *mautrix.Client, r *room) error {
		resp, err := api.SendStateEvent(ctx, r.id, kind, "", content)
		if errcode(err) == "M_FORBIDDEN" {
			if helper, helperErr := c.reader(ctx, r); helperErr == nil {
				if second, secondErr := helper.SendStateEvent(ctx, r.id, kind, "", content); secondErr == nil {
					resp, err = second, nil
				}
			}
		}
		if err != nil {
			return err
		}
		done = sdk.DeliveredAs(sdk.RemoteMessageID(resp.EventID), c.now())
		return nil
	})
	return done, err
}

// JoinGhost implements sdk.GhostMover.
func (c *Connector) JoinGhost(ctx context.Context, op *sdk.JoinGhost) (sdk.Delivered, error) {
	if err := checkHeader(&op.OpHeader); err != nil {
		return sdk.Delivered{}, err
	}
	g, err := c.ghostOf(ctx, op.Sender)
	if err != nil {
		return sdk.Delivered{}, err
	}
	r := c.rooms.get(id.RoomID(op.Portal.Room))
	return sdk.Delivered{}, c.enter(ctx, r, g.id(), c.viaOf(ctx, r.id))
}

// LeaveGhost implements sdk.GhostMover.
func (c *Connector) LeaveGhost(ctx context.Context, op *sdk.LeaveGhost) (sdk.Delivered, error) {
	if err := checkHeader(&op.OpHeader); err != nil {
		return sdk.Delivered{}, err
	}
	names, err := c.nameOf(op.Sender)
	if err != nil {
		return sdk.Delivered{}, err
	}
	r := c.rooms.get(id.RoomID(op.Portal.Room))
	return sdk.Delivered{}, c.leave(ctx, r, id.UserID(names.UserID), op.Reason)
}

// leave takes one of our users out; not being there is as good.
func (c *Connector) leave(ctx context.Context, r *room, user id.UserID, reason string) error {
	ctx, cancel := c.hs.limited(ctx)
	defer cancel()
	_, err := c.hs.as(user).LeaveRoom(ctx, r.id, &mautrix.ReqLeave{Reason: short(reason, 500)})
	if err != nil && errcode(err) != "M_FORBIDDEN" && errcode(err) != "M_NOT_FOUND" {
		return explain("cannot leave", err)
	}
	r.setJoined(user, false)
	return nil
}

// ChangeProfile implements sdk.ProfileSetter.
func (c *Connector) ChangeProfile(ctx context.Context, op *sdk.ChangeProfile) (sdk.Delivered, error) {
	s := op.Sender
	if op.Gone {
		return sdk.Delivered{}, c.retire(ctx, s)
	}
	if op.Name != nil {
		s.Name = *op.Name
	}
	if op.Avatar != nil {
		s.Avatar = op.Avatar
	}
	_, err := c.ghostOf(ctx, s)
	return sdk.Delivered{}, err
}

// retire takes a ghost out of every room.
func (c *Connector) retire(ctx context.Context, s sdk.Sender) error {
	names, err := c.nameOf(s)
	if err != nil {
		return err
	}
	rooms, err := c.hs.as(id.UserID(names.UserID)).JoinedRooms(ctx)
	if errcode(err) == "M_FORBIDDEN" {
		return nil // there never was such a user
	}
	if err != nil {
		return explain("cannot leave the rooms", err)
	}
	for _, name := range rooms.JoinedRooms {
		if err := c.leave(ctx, c.rooms.get(name), id.UserID(names.UserID), ""); err != nil {
			return err
		}
	}
	return nil
}
