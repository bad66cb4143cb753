package matrix

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// memberList is the members of a room, kept for a while so that paging through
// them asks the homeserver once.
type memberList struct {
	at    time.Time
	users map[id.UserID]mautrix.JoinedMember
	order []id.UserID
}

const membersKept = time.Minute

func (c *Connector) membersOf(ctx context.Context, api *mautrix.Client, r *room) (*memberList, error) {
	r.mu.Lock()
	list := r.members
	r.mu.Unlock()
	if list != nil && c.now().Sub(list.at) < membersKept {
		return list, nil
	}
	ctx, cancel := c.hs.limited(ctx)
	defer cancel()
	resp, err := api.JoinedMembers(ctx, r.id)
	if err != nil {
		return nil, explain("cannot list the members", err)
	}
	list = &memberList{at: c.now(), users: resp.Joined}
	for user := range resp.Joined {
		list.order = append(list.order, user)
		if c.ours(user) {
			r.setJoined(user, true)
		}
	}
	slices.Sort(list.order)
	r.mu.Lock()
	r.members = list
	r.mu.Unlock()
	return list, nil
}

// addMembers adds a page of members: those who spoke lately first, if asked for.
// The bot is none.
func (c *Connector) addMembers(ctx context.Context, api *mautrix.Client, r *room, pl *event.PowerLevelsEventContent, req sdk.ChatInfoRequest, info *sdk.ChatInfo) error {
	list, err := c.membersOf(ctx, api, r)
	if err != nil {
		return err
	}
	self, err := c.me()
	if err != nil {
		return err
	}
	info.MemberCount = len(list.order)
	if _, in := list.users[self.bot]; in {
		info.MemberCount--
	}
	if req.Members <= 0 {
		return nil
	}
	active := map[id.UserID]time.Time{}
	var order []id.UserID
	if req.Active && req.After == "" {
		order, active = c.speakers(ctx, api, r, list)
	}
	for _, user := range list.order {
		if _, spoke := active[user]; !spoke && string(user) > string(req.After) {
			order = append(order, user)
		}
	}
	byName := len(order) - countAfter(list.order, active, req.After)
	// Pages go on by name; who came first on the first page comes again.
	last := id.UserID("!") // in front of every name
	for i, user := range order {
		if user == self.bot {
			continue
		}
		if len(info.Members) == req.Members {
			info.NextMembers = sdk.Cursor(last)
			break
		}
		if i >= byName {
			last = user
		}
		info.Members = append(info.Members, c.member(ctx, user, list.users[user], pl, active[user]))
	}
	return nil
}

// countAfter counts the names of a page that stand there by name.
func countAfter(names []id.UserID, active map[id.UserID]time.Time, after sdk.Cursor) int {
	n := 0
	for _, user := range names {
		if _, spoke := active[user]; !spoke && string(user) > string(after) {
			n++
		}
	}
	return n
}

// speakers are the authors of the newest events who are still in the room.
func (c *Connector) speakers(ctx context.Context, api *mautrix.Client, r *room, list *memberList) ([]id.UserID, map[id.UserID]time.Time) {
	active := map[id.UserID]time.Time{}
	page, err := c.messages(ctx, api, r.id, "", mautrix.DirectionBackward, 50)
	if err != nil {
		return nil, active
	}
	var order []id.UserID
	for _, ev := range page.Events {
		if _, in := list.users[ev.Sender]; !in || !active[ev.Sender].IsZero() {
			continue
		}
		active[ev.Sender] = time.UnixMilli(ev.Timestamp)
		order = append(order, ev.Sender)
	}
	return order, active
}

func (c *Connector) member(ctx context.Context, user id.UserID, m mautrix.JoinedMember, pl *event.PowerLevelsEventContent, active time.Time) sdk.Member {
	out := sdk.Member{Role: roleOf(pl, user), Active: active}
	who, _ := c.party(ctx, user)
	if !who.IsRemote() {
		out.Person = who
		return out
	}
	out.User = sdk.UserInfo{ID: sdk.RemoteUserID(user), Name: m.DisplayName, Avatar: face(m.AvatarURL), Link: userLink(user)}
	return out
}

// heroes names a room without a name by who is in it.
func heroes(members []sdk.Member, bot id.UserID) string {
	var names []string
	for _, m := range members {
		if m.User.ID == "" || m.User.ID == sdk.RemoteUserID(bot) || len(names) == 4 {
			continue
		}
		names = append(names, cmp.Or(m.User.Name, string(m.User.ID)))
	}
	return strings.Join(names, ", ")
}

// UserInfo implements sdk.Bridge.
func (c *Connector) UserInfo(ctx context.Context, req sdk.UserInfoRequest) (sdk.UserInfo, error) {
	hs, bot, err := c.bot()
	if err != nil {
		return sdk.UserInfo{}, err
	}
	user := id.UserID(req.User)
	if _, _, err := user.Parse(); err != nil {
		return sdk.UserInfo{}, sdk.Refuse(sdk.CodeInvalid, "%s is no Matrix user", req.User)
	}
	ctx, cancel := hs.limited(ctx)
	defer cancel()
	out := sdk.UserInfo{ID: req.User, Link: userLink(user)}
	if req.Portal.Room != "" {
		api, err := c.reader(ctx, c.rooms.get(id.RoomID(req.Portal.Room)))
		if err != nil {
			return sdk.UserInfo{}, err
		}
		var m event.MemberEventContent
		if err := api.StateEvent(ctx, id.RoomID(req.Portal.Room), event.StateMember, string(user), &m); err == nil {
			out.Name, out.Avatar = m.Displayname, face(string(m.AvatarURL))
			return out, nil
		}
	}
	profile, err := hs.as(bot).GetProfile(ctx, user)
	if err != nil {
		return sdk.UserInfo{}, explain("no such user", err)
	}
	out.Name = profile.DisplayName
	if !profile.AvatarURL.IsEmpty() {
		out.Avatar = face(profile.AvatarURL.String())
	}
	return out, nil
}
