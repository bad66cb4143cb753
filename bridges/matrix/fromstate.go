package matrix

import (
	"encoding/json"
	"slices"

	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"github.com/viaduct-xmpp/viaduct/bridges/matrix/matrixid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// prev parses what the state was before, if the homeserver says.
func prev[T any](ev *event.Event) (T, bool) {
	var out T
	if ev.Unsigned.PrevContent == nil || len(ev.Unsigned.PrevContent.VeryRaw) == 0 {
		return out, false
	}
	err := json.Unmarshal(ev.Unsigned.PrevContent.VeryRaw, &out)
	return out, err == nil
}

// memberState is the part of a membership that is compared.
type memberState struct {
	Membership  event.Membership `json:"membership"`
	Displayname string           `json:"displayname"`
	AvatarURL   string           `json:"avatar_url"`
}

func (t *translation) member() []sdk.Event {
	m, ok := t.ev.Content.Parsed.(*event.MemberEventContent)
	if !ok {
		return nil
	}
	user := id.UserID(*t.ev.StateKey)
	before, known := prev[memberState](t.ev)
	who, ours := t.c.party(t.ctx, user)
	if ours {
		t.room.setJoined(user, m.Membership == event.MembershipJoin)
	}
	t.room.forgetMembers()
	profile := &sdk.UserInfo{ID: sdk.RemoteUserID(user), Name: m.Displayname, Avatar: face(string(m.AvatarURL)), Link: userLink(user)}
	if known && before.Membership == event.MembershipJoin && m.Membership == event.MembershipJoin {
		if ours || before.Displayname == m.Displayname && before.AvatarURL == string(m.AvatarURL) {
			return nil
		}
		return []sdk.Event{&sdk.UserChanged{EventHeader: t.head, User: *profile}}
	}
	change := changeOf(m.Membership, before.Membership, t.ev.Sender == user)
	if change == sdk.MembershipUnknown {
		return nil
	}
	if self := t.c.self.Load(); self != nil && user == self.bot {
		return t.botMember(change, short(m.Reason, 500))
	}
	if ours && change == sdk.MembershipInvite && who.Person == "" && who.Address != "" {
		// Somebody who was never here: the host knows whether she may be.
		sender, err := t.c.host.LookupPerson(t.ctx, sdk.PersonQuery{Address: who.Address, By: t.head.Actor})
		if err == nil {
			who.Person = sender.Person
		}
	}
	out := &sdk.Membership{EventHeader: t.head, Member: who, Change: change, Reason: short(m.Reason, 500), Direct: m.IsDirect}
	switch change {
	case sdk.MembershipJoin, sdk.MembershipInvite, sdk.MembershipKnock:
		if who.IsRemote() {
			out.Profile = profile
		}
	}
	return []sdk.Event{out}
}

// botMember: the bot is nobody whom people want to see; but without it the room is
// gone for us.
func (t *translation) botMember(change sdk.MembershipChange, reason string) []sdk.Event {
	if change != sdk.MembershipKick && change != sdk.MembershipBan {
		return nil
	}
	return []sdk.Event{&sdk.PortalGone{EventHeader: t.head, Code: sdk.CodeForbidden, Reason: firstOf(reason, "the bridge was removed from the room")}}
}

func changeOf(now, before event.Membership, self bool) sdk.MembershipChange {
	switch now {
	case event.MembershipJoin:
		return sdk.MembershipJoin
	case event.MembershipInvite:
		return sdk.MembershipInvite
	case event.MembershipBan:
		return sdk.MembershipBan
	case event.MembershipKnock:
		return sdk.MembershipKnock
	case event.MembershipLeave:
		switch {
		case before == event.MembershipBan:
			return sdk.MembershipUnban
		case before == event.MembershipInvite || before == event.MembershipKnock:
			return sdk.MembershipDecline
		case !self:
			return sdk.MembershipKick
		}
		return sdk.MembershipLeave
	}
	return sdk.MembershipUnknown
}

func userLink(user id.UserID) string { return "https://matrix.to/#/" + string(user) }

// text reads a string of the content; a missing one is "".
func (t *translation) text(key string) string {
	s, _ := t.ev.Content.Raw[key].(string)
	return s
}

func (t *translation) roomName() []sdk.Event {
	name := short(t.text("name"), 500)
	return []sdk.Event{&sdk.RoomChanged{EventHeader: t.head, Name: &name}}
}

func (t *translation) topic() []sdk.Event {
	topic := short(t.text("topic"), 16<<10)
	return []sdk.Event{&sdk.RoomChanged{EventHeader: t.head, Topic: &topic}}
}

func (t *translation) roomAvatar() []sdk.Event {
	avatar := face(t.text("url"))
	if avatar == nil {
		avatar = &sdk.Media{}
	}
	return []sdk.Event{&sdk.RoomChanged{EventHeader: t.head, Avatar: avatar}}
}

func (t *translation) joinRules() []sdk.Event {
	public := t.text("join_rule") == string(event.JoinRulePublic)
	return []sdk.Event{&sdk.RoomChanged{EventHeader: t.head, Public: &public}}
}

func (t *translation) encryption() []sdk.Event {
	t.room.setEncrypted()
	rules := capabilities(true)
	return []sdk.Event{&sdk.RoomChanged{EventHeader: t.head, Rules: &rules}}
}

func (t *translation) tombstone() []sdk.Event {
	to := t.text("replacement_room")
	if target, err := matrixid.Parse(to); err != nil || target.Kind != matrixid.KindRoom {
		return nil
	}
	// Whoever made the new room is in it, so their server knows it.
	via := []string{matrixid.Server(string(t.ev.Sender))}
	return []sdk.Event{&sdk.RoomMoved{EventHeader: t.head, To: sdk.RemoteRoomID(to), Via: via, Reason: short(t.text("body"), 500)}}
}

// powerLevels becomes a change of rights for everybody whose role is another now.
func (t *translation) powerLevels() []sdk.Event {
	now, ok := t.ev.Content.Parsed.(*event.PowerLevelsEventContent)
	if !ok {
		return nil
	}
	before := t.room.setLevels(now)
	if raw := t.ev.Unsigned.PrevContent; raw != nil && len(raw.VeryRaw) > 0 {
		before = &event.PowerLevelsEventContent{}
		if json.Unmarshal(raw.VeryRaw, before) != nil {
			return nil
		}
	}
	if before == nil {
		before = &event.PowerLevelsEventContent{}
	}
	users := map[id.UserID]bool{}
	for user := range now.Users {
		users[user] = true
	}
	for user := range before.Users {
		users[user] = true
	}
	var names []id.UserID
	for user := range users {
		if roleOf(now, user) != roleOf(before, user) {
			names = append(names, user)
		}
	}
	slices.Sort(names)
	var out []sdk.Event
	for _, user := range names {
		head := t.head
		head.Version = string(user)
		who, _ := t.c.party(t.ctx, user)
		out = append(out, &sdk.Rights{EventHeader: head, Member: who, Role: roleOf(now, user)})
	}
	return out
}

// roleOf reads what somebody may do off the power levels.
func roleOf(pl *event.PowerLevelsEventContent, user id.UserID) sdk.Role {
	level := pl.GetUserLevel(user)
	switch {
	case level >= 100:
		return sdk.RoleOwner
	case level >= 50 && level >= pl.Ban() && level >= pl.StateDefault():
		return sdk.RoleAdmin
	case level > 0 && (level >= pl.Redact() || level >= pl.Kick()):
		return sdk.RoleModerator
	case level >= pl.EventsDefault:
		return sdk.RoleMember
	}
	return sdk.RoleVisitor
}

// levelOf is the power level that gives a role in a room with usual levels.
func levelOf(role sdk.Role) int {
	levels := map[sdk.Role]int{sdk.RoleOwner: 100, sdk.RoleAdmin: 75, sdk.RoleModerator: 50, sdk.RoleVisitor: -1}
	return levels[role]
}

func (r *room) setLevels(pl *event.PowerLevelsEventContent) (before *event.PowerLevelsEventContent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before, r.levels = r.levels, pl
	return before
}

// mayCallAll: without known levels nobody may.
func (r *room) mayCallAll(user id.UserID) bool {
	r.mu.Lock()
	pl := r.levels
	r.mu.Unlock()
	if pl == nil {
		return false
	}
	need := 50
	if pl.Notifications != nil {
		need = pl.Notifications.Room()
	}
	return pl.GetUserLevel(user) >= need
}

func (r *room) setEncrypted() {
	r.mu.Lock()
	r.secret = true
	r.mu.Unlock()
}

func (r *room) forgetMembers() {
	r.mu.Lock()
	r.members = nil
	r.mu.Unlock()
}
