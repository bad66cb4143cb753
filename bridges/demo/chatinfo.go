package demo

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/viaduct-xmpp/viaduct/bridges/demo/demonet"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// chatInfo describes a room without its members.
func (c *Connector) chatInfo(room demonet.Room) sdk.ChatInfo {
	caps := capabilities(room.Strict)
	info := sdk.ChatInfo{
		Portal: c.portal(room.ID), Kind: sdk.ChatRoom, Name: room.Name, Topic: room.Topic, Public: room.Public,
		MemberCount: len(room.Members), Capabilities: &caps, Own: sdk.RoleAdmin,
	}
	if room.Direct {
		info.Kind = sdk.ChatDirect
	} else {
		info.Aliases = []string{"#" + strings.ToLower(string(room.ID))}
	}
	return info
}

func userInfo(u demonet.User) sdk.UserInfo {
	info := sdk.UserInfo{ID: sdk.RemoteUserID(u.ID), Name: u.Name, Username: string(u.ID), Bot: u.ID == "pip", Deleted: u.Deleted}
	if u.Face != "" {
		face := lazyMedia(demonet.File{ID: u.Face, Name: u.Face + ".png", Type: "image/png", Size: -1})
		info.Avatar = &face
	}
	if u.Show != "" {
		info.Presence = presence(u, u.Active)
	}
	return info
}

// ChatInfo implements sdk.Bridge. The cursor of a page is the number of members before it.
func (c *Connector) ChatInfo(ctx context.Context, r sdk.ChatInfoRequest) (sdk.ChatInfo, error) {
	res, err := c.api.Call(ctx, demonet.Request{Do: "room", Room: demonet.RoomID(r.Portal.Room)})
	if err != nil {
		return sdk.ChatInfo{}, fail(err)
	}
	info := c.chatInfo(*res.Room)
	skip := 0
	if r.After != "" {
		if skip, err = strconv.Atoi(string(r.After)); err != nil || skip < 0 {
			return sdk.ChatInfo{}, sdk.Refuse(sdk.CodeInvalid, "there is no such page")
		}
	}
	if r.Active {
		slices.SortStableFunc(res.Users, func(a, b demonet.User) int { return b.Active.Compare(a.Active) })
	}
	for i, u := range res.Users {
		if i < skip || i >= skip+r.Members {
			continue
		}
		m := sdk.Member{Role: sdk.RoleMember, Active: u.Active}
		if u.Guest {
			m.Person = party(u.ID)
		} else {
			m.User = userInfo(u)
		}
		if res.Room.Owner == u.ID {
			m.Role, m.Hats = sdk.RoleOwner, []sdk.Hat{{ID: "keeper", Title: "Keeper", Colour: 0x2a7fb8, Position: 1}}
		}
		info.Members = append(info.Members, m)
	}
	if skip+r.Members < len(res.Users) && r.Members > 0 {
		info.NextMembers = sdk.Cursor(strconv.Itoa(skip + r.Members))
	}
	return info, nil
}

// UserInfo implements sdk.Bridge.
func (c *Connector) UserInfo(ctx context.Context, r sdk.UserInfoRequest) (sdk.UserInfo, error) {
	res, err := c.api.Call(ctx, demonet.Request{Do: "user", User: demonet.UserID(r.User)})
	if err != nil {
		return sdk.UserInfo{}, fail(err)
	}
	return userInfo(*res.User), nil
}

// JoinPortal implements sdk.Bridge. The bridge sees every room; to be in one it
// only has to look whether it is there.
func (c *Connector) JoinPortal(ctx context.Context, r sdk.JoinRequest) (sdk.ChatInfo, error) {
	members := r.Members
	if members == 0 {
		members = 100
	}
	portal := r.Portal
	portal.Room = sdk.RemoteRoomID(strings.TrimPrefix(string(portal.Room), "#"))
	return c.ChatInfo(ctx, sdk.ChatInfoRequest{Portal: portal, Members: members, Active: true})
}

// LeavePortal implements sdk.Bridge: there is nothing to give up.
func (c *Connector) LeavePortal(ctx context.Context, r sdk.LeaveRequest) error {
	_, err := c.api.Call(ctx, demonet.Request{Do: "room", Room: demonet.RoomID(r.Portal.Room)})
	return fail(err)
}

// Resolve implements sdk.Bridge: "#lobby" is a room, "@mira" a person, "mira"
// whatever there is.
func (c *Connector) Resolve(ctx context.Context, r sdk.ResolveRequest) (sdk.Target, error) {
	text := strings.ToLower(strings.TrimSpace(r.Text))
	name := strings.TrimLeft(text, "#@")
	if !strings.HasPrefix(text, "@") && r.Want != sdk.TargetUser {
		res, err := c.api.Call(ctx, demonet.Request{Do: "room", Room: demonet.RoomID(name)})
		if err == nil {
			return c.roomTarget(*res.Room, strings.HasPrefix(text, "#")), nil
		}
		if sdk.AsError(fail(err)).Code != sdk.CodeNotFound {
			return sdk.Target{}, fail(err)
		}
	}
	if !strings.HasPrefix(text, "#") && r.Want != sdk.TargetRoom {
		res, err := c.api.Call(ctx, demonet.Request{Do: "user", User: demonet.UserID(name)})
		if err == nil {
			return userTarget(*res.User), nil
		}
		if sdk.AsError(fail(err)).Code != sdk.CodeNotFound {
			return sdk.Target{}, fail(err)
		}
	}
	return sdk.Target{}, sdk.Refuse(sdk.CodeNotFound, "there is nobody and nothing called %q on the demo network", r.Text)
}

func (c *Connector) roomTarget(room demonet.Room, typed bool) sdk.Target {
	t := sdk.Target{
		Kind: sdk.TargetRoom, Portal: c.portal(room.ID), Name: room.Name, Topic: room.Topic, Count: len(room.Members), Joined: true,
	}
	if typed {
		t.Alias = "#" + string(room.ID)
	}
	return t
}

func userTarget(u demonet.User) sdk.Target {
	return sdk.Target{Kind: sdk.TargetUser, User: userInfo(u), Name: u.Name, Count: -1}
}

// Search implements sdk.Searcher. Rooms come first.
func (c *Connector) Search(ctx context.Context, r sdk.SearchRequest) (sdk.SearchResult, error) {
	var found []sdk.Target
	if r.Want != sdk.TargetUser {
		res, err := c.api.Call(ctx, demonet.Request{Do: "rooms", Text: r.Text})
		if err != nil {
			return sdk.SearchResult{}, fail(err)
		}
		for _, room := range res.Rooms {
			found = append(found, c.roomTarget(room, false))
		}
	}
	if r.Want != sdk.TargetRoom {
		res, err := c.api.Call(ctx, demonet.Request{Do: "users", Text: r.Text})
		if err != nil {
			return sdk.SearchResult{}, fail(err)
		}
		for _, u := range res.Users {
			found = append(found, userTarget(u))
		}
	}
	skip, _ := strconv.Atoi(string(r.After)) // no cursor, or not ours: the beginning
	skip = min(max(skip, 0), len(found))
	limit := r.Limit
	if limit <= 0 {
		limit = 50
	}
	end := min(skip+limit, len(found))
	out := sdk.SearchResult{Found: found[skip:end]}
	if end < len(found) {
		out.Next = sdk.Cursor(strconv.Itoa(end))
	}
	return out, nil
}

// CreateDM implements sdk.DirectMessenger. With her own account a person is
// herself in the chat, otherwise her guest is.
func (c *Connector) CreateDM(ctx context.Context, r sdk.CreateDMRequest) (sdk.ChatInfo, error) {
	if len(r.Users) != 1 {
		return sdk.ChatInfo{}, sdk.Refuse(sdk.CodeInvalid, "a direct chat here is between two people")
	}
	as, err := c.sender(ctx, &sdk.OpHeader{Login: r.Login, Sender: r.For})
	if err != nil {
		return sdk.ChatInfo{}, err
	}
	res, err := c.api.Call(ctx, demonet.Request{Do: "direct", As: as, User: demonet.UserID(r.Users[0])})
	if err != nil {
		return sdk.ChatInfo{}, fail(err)
	}
	return c.ChatInfo(ctx, sdk.ChatInfoRequest{Portal: c.portal(res.Room.ID), Members: 2})
}

// CreateRoom implements sdk.RoomCreator.
func (c *Connector) CreateRoom(ctx context.Context, r sdk.CreateRoomRequest) (sdk.ChatInfo, error) {
	as, err := c.sender(ctx, &sdk.OpHeader{Login: r.Login, Sender: r.For})
	if err != nil {
		return sdk.ChatInfo{}, err
	}
	id := roomName(r.XMPPRoom)
	if r.Alias != "" {
		id = roomName(strings.TrimPrefix(r.Alias, "#"))
	}
	req := demonet.Request{Do: "create", As: as, Room: id, Text: r.Topic, Public: r.Public, Address: r.XMPPRoom}
	if r.Name != "" {
		req.Name = &r.Name
	}
	res, err := c.api.Call(ctx, req)
	if err != nil {
		return sdk.ChatInfo{}, fail(err)
	}
	for _, u := range r.Invite {
		if _, err := c.api.Call(ctx, demonet.Request{Do: "invite", As: as, Room: res.Room.ID, User: demonet.UserID(u)}); err != nil {
			c.log.Info("not invited", "user", string(u), "error", err)
		}
	}
	return c.ChatInfo(ctx, sdk.ChatInfoRequest{Portal: c.portal(res.Room.ID), Members: 100})
}

// roomName makes a name that the network takes out of an XMPP address.
func roomName(address string) demonet.RoomID {
	local, _, _ := strings.Cut(strings.ToLower(address), "@")
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '-'
	}, local)
	return demonet.RoomID(strings.Trim(name, "-"))
}

// FetchHistory implements sdk.HistorySource. Cursors are ids of messages.
func (c *Connector) FetchHistory(ctx context.Context, r sdk.HistoryRequest) (sdk.HistoryPage, error) {
	req := demonet.Request{Do: "history", Room: demonet.RoomID(r.Portal.Room), Limit: r.Limit, Before: demonet.MessageID(r.Before), After: demonet.MessageID(r.After)}
	res, err := c.api.Call(ctx, req)
	if err != nil {
		return sdk.HistoryPage{}, fail(err)
	}
	var page sdk.HistoryPage
	for _, m := range res.Messages {
		if m.Deleted || !r.Since.IsZero() && m.Time.Before(r.Since) || !r.Until.IsZero() && m.Time.After(r.Until) {
			continue
		}
		h := sdk.EventHeader{Portal: r.Portal, Actor: party(m.Author), History: true, Login: r.Login, Origin: sdk.OpID(opOf(m)), Own: c.ours(m.Author)}
		page.Events = append(page.Events, c.message(h, m))
	}
	if n := len(res.Messages); n > 0 {
		if r.After != "" || res.More {
			page.Older = sdk.Cursor(res.Messages[0].ID)
		}
		if r.Before != "" || r.After != "" && res.More {
			page.Newer = sdk.Cursor(res.Messages[n-1].ID)
		}
	}
	return page, nil
}

// Watch implements sdk.Watcher: the network pushes all presence anyway, so only
// what is the case now is told.
func (c *Connector) Watch(ctx context.Context, r sdk.WatchRequest) error {
	for _, id := range r.Users {
		res, err := c.api.Call(ctx, demonet.Request{Do: "user", User: demonet.UserID(id)})
		if err != nil {
			if e := sdk.AsError(fail(err)); e.Code == sdk.CodeNotFound {
				continue
			}
			return fail(err)
		}
		c.host.Signal(presence(*res.User, res.User.Active))
	}
	return nil
}
