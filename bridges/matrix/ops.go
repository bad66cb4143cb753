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
	"time"

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
	err := c.inRoom(ctx, op.Sender, op.Portal, "cannot react", func(ctx context.Context, api *mautrix.Client, r *room) error {
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
	reaction := id.EventID("")
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
	err := c.inRoom(ctx, h.Sender, h.Portal, what, func(ctx context.Context, api *mautrix.Client, r *room) error {
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
	g, err := c.ghostOf(ctx, op.Sender)
	if err != nil {
		return sdk.Delivered{}, err
	}
	r := c.rooms.get(id.RoomID(op.Portal.Room))
	return sdk.Delivered{}, c.enter(ctx, r, g.id(), c.viaOf(ctx, r.id))
}

// LeaveGhost implements sdk.GhostMover.
func (c *Connector) LeaveGhost(ctx context.Context, op *sdk.LeaveGhost) (sdk.Delivered, error) {
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

// Invite implements sdk.Inviter.
func (c *Connector) Invite(ctx context.Context, op *sdk.InviteUser) (sdk.Delivered, error) {
	user := id.UserID(op.User)
	return sdk.Delivered{}, c.withHelp(ctx, &op.OpHeader, "cannot invite", func(ctx context.Context, api *mautrix.Client, r *room) error {
		_, err := api.InviteUser(ctx, r.id, &mautrix.ReqInviteUser{UserID: user, Reason: op.Reason})
		return err
	})
}

// Moderate implements sdk.Moderator.
func (c *Connector) Moderate(ctx context.Context, op *sdk.Moderate) (sdk.Delivered, error) {
	user := id.UserID(op.User)
	actions := map[sdk.ModerateAction]func(ctx context.Context, api *mautrix.Client, r *room) error{
		sdk.ModerateKick: func(ctx context.Context, api *mautrix.Client, r *room) error {
			_, err := api.KickUser(ctx, r.id, &mautrix.ReqKickUser{UserID: user, Reason: op.Reason})
			return err
		},
		sdk.ModerateBan: func(ctx context.Context, api *mautrix.Client, r *room) error {
			_, err := api.BanUser(ctx, r.id, &mautrix.ReqBanUser{UserID: user, Reason: op.Reason})
			return err
		},
		sdk.ModerateUnban: func(ctx context.Context, api *mautrix.Client, r *room) error {
			_, err := api.UnbanUser(ctx, r.id, &mautrix.ReqUnbanUser{UserID: user, Reason: op.Reason})
			return err
		},
		sdk.ModerateRole: func(ctx context.Context, api *mautrix.Client, r *room) error {
			return c.setRole(ctx, api, r, user, op.Role)
		},
	}
	act, ok := actions[op.Action]
	if !ok {
		return sdk.Delivered{}, sdk.Unsupported("this kind of moderation")
	}
	return sdk.Delivered{}, c.withHelp(ctx, &op.OpHeader, "no right to do that on Matrix", act)
}

// withHelp acts as the sender, and as the bot where she has no right to.
func (c *Connector) withHelp(ctx context.Context, h *sdk.OpHeader, what string, act func(ctx context.Context, api *mautrix.Client, r *room) error) error {
	return c.inRoom(ctx, h.Sender, h.Portal, what, func(ctx context.Context, api *mautrix.Client, r *room) error {
		err := act(ctx, api, r)
		if errcode(err) != "M_FORBIDDEN" {
			return err
		}
		helper, helperErr := c.reader(ctx, r)
		if helperErr != nil || act(ctx, helper, r) != nil {
			return err
		}
		return nil
	})
}

func (c *Connector) setRole(ctx context.Context, api *mautrix.Client, r *room, user id.UserID, role sdk.Role) error {
	var levels map[string]any
	if err := api.StateEvent(ctx, r.id, event.StatePowerLevels, "", &levels); err != nil {
		return err
	}
	users, _ := levels["users"].(map[string]any)
	if users == nil {
		users = map[string]any{}
	}
	users[string(user)] = levelOf(role)
	levels["users"] = users
	_, err := api.SendStateEvent(ctx, r.id, event.StatePowerLevels, "", levels)
	return err
}

// Typing implements sdk.Typist.
func (c *Connector) Typing(ctx context.Context, s *sdk.Typing) error {
	user, r, err := c.present(s.Sender, s.Portal)
	if err != nil || user == "" {
		return err
	}
	ctx, cancel := c.hs.limited(ctx)
	defer cancel()
	expires := s.Expires
	if expires <= 0 {
		expires = 30 * time.Second
	}
	_, err = c.hs.as(user).UserTyping(ctx, r.id, s.Active, min(expires, 2*time.Minute))
	return explain("typing", err)
}

// MarkRead implements sdk.Reader.
func (c *Connector) MarkRead(ctx context.Context, s *sdk.ReadState) error {
	user, r, err := c.present(s.Sender, s.Portal)
	upTo := firstID(s.UpTo)
	if err != nil || user == "" || upTo == "" {
		return err
	}
	ctx, cancel := c.hs.limited(ctx)
	defer cancel()
	return explain("receipt", c.hs.as(user).SendReceipt(ctx, r.id, id.EventID(upTo), event.ReceiptTypeRead, struct{}{}))
}

// present is the sender's ghost if she is in the room; signals make nobody join.
func (c *Connector) present(s *sdk.Sender, key sdk.PortalKey) (id.UserID, *room, error) {
	if s == nil {
		return "", nil, nil
	}
	names, err := c.nameOf(*s)
	if err != nil {
		return "", nil, err
	}
	r := c.rooms.get(id.RoomID(key.Room))
	if in, _ := r.isJoined(id.UserID(names.UserID)); !in {
		return "", r, nil
	}
	return id.UserID(names.UserID), r, nil
}

// Presence implements sdk.Presencer. Many homeservers take none: then it stops.
func (c *Connector) Presence(ctx context.Context, s *sdk.Presence) error {
	if s.Sender == nil || !c.conf.Presence || c.noShow.Load() {
		return nil
	}
	names, err := c.nameOf(*s.Sender)
	if err != nil {
		return err
	}
	g := c.ghosts.get(names)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := c.load(ctx, g); err != nil || !g.registered {
		return err // nobody who never was on Matrix is shown there
	}
	show := shown{presence: presenceOf(s.Show), status: short(s.Status, 250)}
	if show == g.show {
		return nil
	}
	ctx, cancel := c.hs.limited(ctx)
	defer cancel()
	err = c.hs.as(g.id()).SetPresence(ctx, mautrix.ReqPresence{Presence: show.presence, StatusMsg: show.status})
	var h mautrix.HTTPError
	if errors.As(err, &h) && (h.IsStatus(http.StatusForbidden) || h.IsStatus(http.StatusNotFound) || h.IsStatus(http.StatusMethodNotAllowed)) {
		if !c.noShow.Swap(true) {
			c.log.Info("the homeserver takes no presence; none is sent from now on", "error", err)
		}
		return nil
	}
	if err == nil {
		g.show = show
	}
	return explain("presence", err)
}
