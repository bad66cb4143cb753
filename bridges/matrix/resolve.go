package matrix

import (
	"context"

	"maunium.net/go/mautrix/id"

	"github.com/viaduct-xmpp/viaduct/bridges/matrix/matrixid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Resolve implements sdk.Bridge.
func (c *Connector) Resolve(ctx context.Context, req sdk.ResolveRequest) (sdk.Target, error) {
	t, err := matrixid.Parse(req.Text)
	if err != nil {
		return sdk.Target{}, sdk.Refuse(sdk.CodeNotFound, "a Matrix id is needed: @user:server, #alias:server, !room:server or a link")
	}
	if t.Kind == matrixid.KindUser {
		if req.Want == sdk.TargetRoom {
			return sdk.Target{}, sdk.Refuse(sdk.CodeInvalid, "%s is a person, not a room", t.ID)
		}
		info, err := c.UserInfo(ctx, sdk.UserInfoRequest{User: sdk.RemoteUserID(t.ID)})
		if err != nil {
			return sdk.Target{}, err
		}
		return sdk.Target{Kind: sdk.TargetUser, User: info, Name: info.Name, Avatar: info.Avatar}, nil
	}
	if req.Want == sdk.TargetUser {
		return sdk.Target{}, sdk.Refuse(sdk.CodeInvalid, "%s is a room, not a person", t.ID)
	}
	return c.resolveRoom(ctx, t)
}

func (c *Connector) resolveRoom(ctx context.Context, t matrixid.Target) (sdk.Target, error) {
	hs, bot, err := c.bot()
	if err != nil {
		return sdk.Target{}, err
	}
	out := sdk.Target{Kind: sdk.TargetRoom, Count: -1, Via: t.Via}
	room := id.RoomID(t.ID)
	if t.Kind == matrixid.KindAlias {
		ctx, cancel := hs.limited(ctx)
		defer cancel()
		found, err := hs.as(bot).ResolveAlias(ctx, id.RoomAlias(t.ID))
		if err != nil {
			return sdk.Target{}, explain("no room has the name "+t.ID, err)
		}
		room, out.Alias = found.RoomID, t.ID
		out.Via = found.Servers
		if server := matrixid.Server(t.ID); len(out.Via) == 0 {
			out.Via = []string{server}
		}
		out.Via = out.Via[:min(len(out.Via), 5)]
	} else if server := matrixid.Server(t.ID); len(out.Via) == 0 && server != "" {
		out.Via = []string{server}
	}
	out.Portal = sdk.PortalKey{Room: sdk.RemoteRoomID(room)}
	if len(out.Via) > 0 {
		// The address alone may come back later, and an id of room version 12 names
		// no server to ask.
		c.changeRoom(ctx, room, func(rec *roomRecord) { rec.Via = out.Via })
	}
	in, _ := c.rooms.get(room).isJoined(bot)
	out.Joined = in
	c.preview(ctx, room, &out)
	return out, nil
}

// preview adds what the homeserver shows of a room to those outside (v1.15);
// older ones show nothing, which is as well.
func (c *Connector) preview(ctx context.Context, room id.RoomID, out *sdk.Target) {
	hs, bot, err := c.bot()
	if err != nil {
		return
	}
	ctx, cancel := hs.limited(ctx)
	defer cancel()
	s, err := hs.as(bot).GetRoomSummary(ctx, string(room), out.Via...)
	if err != nil {
		return
	}
	out.Name, out.Topic, out.Avatar, out.Count = s.Name, s.Topic, face(string(s.AvatarURL)), s.NumJoinedMembers
	if out.Alias == "" {
		out.Alias = string(s.CanonicalAlias)
	}
}
