package matrix

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// CreateDM implements sdk.DirectMessenger. The chat is between the ghost and the
// users; the bot is not in it. One that is there already is used again, as long as
// the ghost is in it.
func (c *Connector) CreateDM(ctx context.Context, req sdk.CreateDMRequest) (sdk.ChatInfo, error) {
	if len(req.Users) == 0 {
		return sdk.ChatInfo{}, sdk.Refuse(sdk.CodeInvalid, "nobody to write to")
	}
	users := make([]id.UserID, len(req.Users))
	for i, u := range req.Users {
		user, err := matrixUser(u)
		if err != nil || c.ours(user) {
			return sdk.ChatInfo{}, sdk.Refuse(sdk.CodeInvalid, "%s is nobody of Matrix", u)
		}
		users[i] = user
	}
	g, err := c.ghostOf(ctx, req.For)
	if err != nil {
		return sdk.ChatInfo{}, err
	}
	name, err := c.direct(ctx, g, users)
	if err != nil {
		return sdk.ChatInfo{}, err
	}
	r := c.rooms.get(name)
	r.setJoined(g.id(), true)
	if err := c.setReader(ctx, r, g.id()); err != nil {
		return sdk.ChatInfo{}, err
	}
	if err := r.take(ctx); err != nil {
		return sdk.ChatInfo{}, sdk.AsError(err)
	}
	r.portal = true
	err = c.fillFirst(ctx, r)
	r.release()
	if err != nil {
		return sdk.ChatInfo{}, err
	}
	info := sdk.ChatInfo{Portal: sdk.PortalKey{Room: sdk.RemoteRoomID(name)}, Kind: sdk.ChatDirect, MemberCount: len(users) + 1}
	if len(users) > 1 {
		info.Kind = sdk.ChatGroup
	}
	return info, nil
}

// direct is a ghost's chat with users, opened if there is none. The ghost's lock ends before a room's lane is taken: who has the lane asks for the lock.
func (c *Connector) direct(ctx context.Context, g *ghost, users []id.UserID) (id.RoomID, error) {
	g.mu.Lock() // two first messages at a time open one chat
	defer g.mu.Unlock()
	key := directKey(g.id(), users)
	name, err := c.knownDirect(ctx, g.id(), key)
	if name == "" && err == nil {
		name, err = c.openDirect(ctx, g.id(), users, key)
	}
	return name, err
}

// knownDirect is the chat that the host remembers, "" if there is none or the
// ghost is no longer in it.
func (c *Connector) knownDirect(ctx context.Context, ghost id.UserID, key string) (id.RoomID, error) {
	entry, err := c.host.State().Get(ctx, key)
	if errors.Is(err, sdk.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	ctx, cancel := c.hs.limited(ctx)
	defer cancel()
	var m event.MemberEventContent
	err = c.hs.as(ghost).StateEvent(ctx, id.RoomID(entry.Value), event.StateMember, string(ghost), &m)
	switch errcode(err) {
	case "M_FORBIDDEN", "M_NOT_FOUND":
		return "", nil
	case "":
		if err != nil {
			return "", explain("cannot look at the chat", err)
		}
	}
	if m.Membership != event.MembershipJoin {
		return "", nil
	}
	return id.RoomID(entry.Value), nil
}

func (c *Connector) openDirect(ctx context.Context, ghost id.UserID, users []id.UserID, key string) (id.RoomID, error) {
	ctx, cancel := c.hs.limited(ctx)
	defer cancel()
	made, err := c.hs.as(ghost).CreateRoom(ctx, &mautrix.ReqCreateRoom{Preset: "trusted_private_chat", IsDirect: true, Invite: users})
	if err != nil {
		return "", explain("cannot open a chat", err)
	}
	if _, err := c.host.State().Put(ctx, key, []byte(made.RoomID), sdk.AnyRevision); err != nil {
		return "", err
	}
	return made.RoomID, nil
}

// directKey is where the host keeps a direct chat's room.
func directKey(ghost id.UserID, users []id.UserID) string {
	names := []string{string(ghost)}
	for _, u := range slices.Sorted(slices.Values(users)) {
		names = append(names, string(u))
	}
	sum := sha256.Sum256([]byte(strings.Join(names, "\x00")))
	return "direct/" + hex.EncodeToString(sum[:16])
}
