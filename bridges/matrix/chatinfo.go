package matrix

import (
	"context"
	"encoding/json"
	"errors"
	"sync"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"github.com/viaduct-xmpp/viaduct/bridges/matrix/matrixfmt"
	"github.com/viaduct-xmpp/viaduct/bridges/matrix/matrixid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// roomRecord is what the host keeps of a room, under "via/" and its id.
type roomRecord struct {
	Via    []string  `json:"via,omitempty"`
	Reader id.UserID `json:"reader,omitempty"` // who reads it, if not the bot
}

func (c *Connector) roomRecord(ctx context.Context, room id.RoomID) (roomRecord, error) {
	var rec roomRecord
	entry, err := c.host.State().Get(ctx, viaKey(room))
	if err == nil {
		_ = json.Unmarshal(entry.Value, &rec) // what cannot be read is written anew
	} else if !errors.Is(err, sdk.ErrNotFound) {
		return rec, err
	}
	return rec, nil
}

// changeRoom changes what the host keeps of a room. Losing it costs a detour: via
// is only needed for rooms that nobody here is in, and the reader is found anew.
func (c *Connector) changeRoom(ctx context.Context, room id.RoomID, change func(*roomRecord)) {
	rec, err := c.roomRecord(ctx, room)
	if err == nil {
		change(&rec)
		c.saveRoom(ctx, room, rec)
		return
	}
	c.log.Warn("room not saved", "room", string(room), "error", err)
}

func (c *Connector) saveRoom(ctx context.Context, room id.RoomID, rec roomRecord) {
	raw, err := json.Marshal(rec)
	if err == nil {
		_, err = c.host.State().Put(ctx, viaKey(room), raw, sdk.AnyRevision)
	}
	if err != nil {
		c.log.Warn("room not saved", "room", string(room), "error", err)
	}
}

// viaOf is the servers through which a room is reached.
func (c *Connector) viaOf(ctx context.Context, room id.RoomID) []string {
	rec, err := c.roomRecord(ctx, room)
	if err != nil {
		c.log.Debug("ways to a room not found", "room", string(room), "error", err)
	}
	return rec.Via
}

// setReader notes who reads a room.
func (c *Connector) setReader(ctx context.Context, r *room, reader id.UserID) error {
	self, err := c.me()
	if err != nil {
		return err
	}
	if reader == self.bot {
		reader = ""
	}
	r.mu.Lock()
	same := r.recalled && r.reader == reader
	r.reader, r.recalled = reader, true
	r.mu.Unlock()
	if !same {
		c.changeRoom(ctx, r.id, func(rec *roomRecord) { rec.Reader = reader })
	}
	return nil
}

// JoinPortal implements sdk.Bridge. The bot joins; where only the person was
// invited she joins first and invites the bot.
func (c *Connector) JoinPortal(ctx context.Context, req sdk.JoinRequest) (sdk.ChatInfo, error) {
	self, err := c.me()
	if err != nil {
		return sdk.ChatInfo{}, err
	}
	name := id.RoomID(req.Portal.Room)
	if t, err := matrixid.Parse(string(name)); err != nil || t.Kind != matrixid.KindRoom {
		return sdk.ChatInfo{}, sdk.Refuse(sdk.CodeNotFound, "%s is no Matrix room", name)
	}
	via := req.Via
	if len(via) == 0 {
		via = c.viaOf(ctx, name)
	}
	r := c.rooms.get(name)
	if err := c.joinBot(ctx, r, self.bot, via, req.For); err != nil {
		return sdk.ChatInfo{}, err
	}
	if len(via) > 0 {
		c.changeRoom(ctx, name, func(rec *roomRecord) { rec.Via = via })
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
	return c.chatInfo(ctx, sdk.ChatInfoRequest{Portal: req.Portal, Members: req.Members, Active: true})
}

func (c *Connector) joinBot(ctx context.Context, r *room, bot id.UserID, via []string, who sdk.Sender) error {
	err := c.join(ctx, r.id.String(), bot, via)
	if e := sdk.AsError(err); e != nil && e.Code == sdk.CodeForbidden && (who.Address != "" || who.Occupant != "") {
		err = c.joinThrough(ctx, r, bot, via, who, err)
	}
	if err == nil {
		r.setJoined(bot, true)
	}
	return err
}

// joinThrough lets the invited person bring the bot in; first is what the bot was
// told when it knocked alone.
func (c *Connector) joinThrough(ctx context.Context, r *room, bot id.UserID, via []string, who sdk.Sender, first error) error {
	g, err := c.ghostOf(ctx, who)
	if err != nil {
		return err
	}
	if err := c.join(ctx, r.id.String(), g.id(), via); err != nil {
		return first
	}
	r.setJoined(g.id(), true)
	ctx, cancel := c.hs.limited(ctx)
	defer cancel()
	if _, err := c.hs.as(g.id()).InviteUser(ctx, r.id, &mautrix.ReqInviteUser{UserID: bot}); err == nil {
		return c.join(ctx, r.id.String(), bot, via)
	}
	// She may be there but may not invite: then the room is read through her.
	return c.setReader(ctx, r, g.id())
}

// LeavePortal implements sdk.Bridge: the bot and every ghost leave.
func (c *Connector) LeavePortal(ctx context.Context, req sdk.LeaveRequest) error {
	self, err := c.me()
	if err != nil {
		return err
	}
	r := c.rooms.get(id.RoomID(req.Portal.Room))
	api, err := c.reader(ctx, r)
	if err != nil {
		return err
	}
	members, err := api.JoinedMembers(ctx, r.id)
	if err != nil && errcode(err) != "M_FORBIDDEN" && errcode(err) != "M_NOT_FOUND" {
		return explain("cannot leave", err)
	}
	if members != nil {
		for user := range members.Joined {
			if user != self.bot && c.ours(user) {
				if err := c.leave(ctx, r, user, req.Reason); err != nil {
					return err
				}
			}
		}
	}
	if err := c.leave(ctx, r, self.bot, req.Reason); err != nil {
		return err
	}
	if req.Forget {
		if _, err := c.hs.as(self.bot).ForgetRoom(ctx, r.id); err != nil {
			c.log.Debug("room not forgotten", "error", err)
		}
		if err := c.host.State().Delete(ctx, viaKey(r.id), sdk.AnyRevision); err != nil && !errors.Is(err, sdk.ErrNotFound) {
			return err
		}
	}
	if err := r.take(ctx); err != nil {
		return sdk.AsError(err)
	}
	defer r.release()
	r.portal, r.verified, r.checked = false, "", false
	return nil
}

// ChatInfo implements sdk.Bridge.
func (c *Connector) ChatInfo(ctx context.Context, req sdk.ChatInfoRequest) (sdk.ChatInfo, error) {
	return c.chatInfo(ctx, req)
}

// roomState is the state that describes a room.
type roomState struct {
	name, topic, avatar, rules, roomType string
	alias                                event.CanonicalAliasEventContent
	levels                               *event.PowerLevelsEventContent
	encrypted                            bool
}

func (c *Connector) chatInfo(ctx context.Context, req sdk.ChatInfoRequest) (sdk.ChatInfo, error) {
	self, err := c.me()
	if err != nil {
		return sdk.ChatInfo{}, err
	}
	r := c.rooms.get(id.RoomID(req.Portal.Room))
	api, err := c.reader(ctx, r)
	if err != nil {
		return sdk.ChatInfo{}, err
	}
	s, err := c.stateOf(ctx, api, r)
	if err != nil {
		return sdk.ChatInfo{}, err
	}
	info := sdk.ChatInfo{
		Portal: sdk.PortalKey{Room: req.Portal.Room}, Kind: sdk.ChatRoom, Name: short(s.name, 500), Topic: short(s.topic, 16<<10),
		Avatar: face(s.avatar), Public: s.rules == string(event.JoinRulePublic), Encrypted: s.encrypted,
		Link: matrixfmt.Permalink(string(r.id)), Via: c.viaOf(ctx, r.id), Own: roleOf(s.levels, self.bot), MemberCount: -1,
	}
	if s.roomType == "m.space" {
		info.Kind = sdk.ChatSpace
	}
	for _, a := range append([]id.RoomAlias{s.alias.Alias}, s.alias.AltAliases...) {
		if a != "" {
			info.Aliases = append(info.Aliases, string(a))
		}
	}
	if s.encrypted {
		rules := capabilities(true)
		info.Capabilities = &rules
	}
	info.Missing = missing(s.levels, self.bot)
	if err := c.addMembers(ctx, api, r, s.levels, req, &info); err != nil {
		return sdk.ChatInfo{}, err
	}
	if info.Name == "" && info.MemberCount >= 0 && len(info.Aliases) == 0 {
		info.Name = heroes(info.Members, self.bot)
	}
	return info, nil
}

// stateOf asks for the few state events that matter, side by side: the whole state
// of a room has every member in it.
func (c *Connector) stateOf(ctx context.Context, api *mautrix.Client, r *room) (roomState, error) {
	ctx, cancel := c.hs.limited(ctx)
	defer cancel()
	contents := map[event.Type]map[string]json.RawMessage{}
	kinds := []event.Type{
		event.StateRoomName, event.StateTopic, event.StateRoomAvatar, event.StateJoinRules, event.StateCanonicalAlias,
		event.StatePowerLevels, event.StateEncryption, event.StateCreate,
	}
	var mu sync.Mutex
	var wait sync.WaitGroup
	var failed error
	for _, kind := range kinds {
		wait.Go(func() {
			var content map[string]json.RawMessage
			err := api.StateEvent(ctx, r.id, kind, "", &content)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				contents[kind] = content
			} else if errcode(err) != "M_NOT_FOUND" && failed == nil {
				failed = err
			}
		})
	}
	wait.Wait()
	if failed != nil {
		return roomState{}, explain("cannot read the room", failed)
	}
	s := roomState{
		name: field(contents[event.StateRoomName], "name"), topic: field(contents[event.StateTopic], "topic"),
		avatar: field(contents[event.StateRoomAvatar], "url"), rules: field(contents[event.StateJoinRules], "join_rule"),
		roomType: field(contents[event.StateCreate], "type"), levels: &event.PowerLevelsEventContent{},
	}
	reread(contents[event.StateCanonicalAlias], &s.alias)
	reread(contents[event.StatePowerLevels], s.levels)
	_, s.encrypted = contents[event.StateEncryption]
	if s.encrypted {
		r.setEncrypted()
	}
	r.setLevels(s.levels)
	return s, nil
}

func field(content map[string]json.RawMessage, key string) string {
	var s string
	if json.Unmarshal(content[key], &s) != nil {
		return ""
	}
	return s
}

// reread decodes content that was already taken apart; what does not fit stays zero.
func reread(content map[string]json.RawMessage, into any) {
	if raw, err := json.Marshal(content); err == nil && content != nil {
		_ = json.Unmarshal(raw, into)
	}
}

// missing lists the rights that the bot lacks.
func missing(pl *event.PowerLevelsEventContent, bot id.UserID) []string {
	level := pl.GetUserLevel(bot)
	var out []string
	for _, right := range []struct {
		need int
		text string
	}{
		{pl.Kick(), "kick: people removed on the XMPP side stay on Matrix"},
		{pl.Ban(), "ban: bans of the XMPP side do not reach Matrix"},
		{pl.Redact(), "redact: moderators of the XMPP side cannot take back Matrix messages"},
		{pl.GetEventLevel(event.StateTopic), "topic: topics set on the XMPP side stay there"},
		{pl.Invite(), "invite: people cannot enter if the room becomes private"},
	} {
		if level < right.need {
			out = append(out, right.text)
		}
	}
	return out
}
