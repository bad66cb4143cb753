package matrix

import (
	"context"
	"errors"
	"net/http"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// ping answers the homeserver's half of a ping.
func (s *pushServer) ping(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, struct{}{})
}

// queryUser: the homeserver asks whether a ghost exists whom somebody looks for.
func (s *pushServer) queryUser(w http.ResponseWriter, r *http.Request) {
	self := s.c.self.Load()
	if self == nil {
		writeError(w, http.StatusServiceUnavailable, "M_UNKNOWN", "not connected yet")
		return
	}
	names, ok := self.ns.Read(r.PathValue("user"))
	if !ok || names.Address == "" {
		writeError(w, http.StatusNotFound, "M_NOT_FOUND", "no such person")
		return
	}
	sender, err := s.c.host.LookupPerson(r.Context(), sdk.PersonQuery{Address: names.Address})
	if err == nil {
		_, err = s.c.ghostOf(r.Context(), sender)
	}
	answer(w, err)
}

// queryRoom: the homeserver asks for an alias that stands for an XMPP room.
func (s *pushServer) queryRoom(w http.ResponseWriter, r *http.Request) {
	self := s.c.self.Load()
	if self == nil {
		writeError(w, http.StatusServiceUnavailable, "M_UNKNOWN", "not connected yet")
		return
	}
	alias := r.PathValue("alias")
	address, ok := self.ns.ReadAlias(alias)
	if !ok {
		writeError(w, http.StatusNotFound, "M_NOT_FOUND", "no such room")
		return
	}
	answer(w, s.c.openRoom(r.Context(), id.RoomAlias(alias), address))
}

func answer(w http.ResponseWriter, err error) {
	e := sdk.AsError(err)
	switch {
	case err == nil:
		writeJSON(w, http.StatusOK, struct{}{})
	case e.Temporary:
		writeError(w, http.StatusServiceUnavailable, "M_UNKNOWN", "not known at the moment")
	default:
		writeError(w, http.StatusNotFound, "M_NOT_FOUND", firstOf(e.Text, "not here"))
	}
}

// openRoom makes the Matrix room of an XMPP room that somebody looks for.
func (c *Connector) openRoom(ctx context.Context, alias id.RoomAlias, address string) error {
	card, err := c.host.LookupRoom(ctx, sdk.RoomQuery{Address: address})
	if err != nil {
		return err
	}
	hs, bot, err := c.bot()
	if err != nil {
		return err
	}
	api := hs.as(bot)
	if card.Portal.Room != "" {
		_, err := api.CreateAlias(ctx, alias, id.RoomID(card.Portal.Room))
		return explain("cannot name the room", err)
	}
	local := alias.String()[1 : len(alias.String())-1-len(c.self.Load().ns.Server)]
	req := &mautrix.ReqCreateRoom{Name: card.Name, Topic: card.Topic, RoomAliasName: local, Preset: "private_chat", Visibility: "private"}
	if card.Public {
		req.Preset = "public_chat"
	}
	made, err := api.CreateRoom(ctx, req)
	if errcode(err) == "M_ROOM_IN_USE" {
		return nil // another request made it meanwhile
	}
	if err != nil {
		return explain("cannot make the room", err)
	}
	return c.opened(ctx, c.rooms.get(made.RoomID), bot, &sdk.PortalOpened{XMPPRoom: address})
}

// opened reports a room that the bridge is in from now on, and begins its cursor.
func (c *Connector) opened(ctx context.Context, r *room, reader id.UserID, ev *sdk.PortalOpened) error {
	if err := c.setReader(ctx, r, reader); err != nil {
		return err
	}
	info, err := c.chatInfo(ctx, sdk.ChatInfoRequest{Portal: sdk.PortalKey{Room: sdk.RemoteRoomID(r.id)}, Members: 50})
	if err != nil {
		return err
	}
	if len(ev.With) > 0 {
		info.Kind = sdk.ChatDirect
	}
	ev.EventHeader = sdk.EventHeader{Portal: info.Portal, ID: sdk.EventID("opened:" + string(r.id)), Time: c.now(), Actor: ev.Actor}
	ev.Info = info
	receipt, err := c.host.Deliver(ctx, sdk.Batch{Events: []sdk.Event{ev}})
	if err != nil {
		return err
	}
	if len(receipt.Problems) > 0 {
		// Not wanted there: whoever invited us sees us go.
		why := firstOf(receipt.Problems[0].Text, "the room is not bridged")
		return errors.Join(sdk.Refuse(sdk.CodeBlocked, "%s", why), c.leave(ctx, r, reader, why))
	}
	if err := r.take(ctx); err != nil {
		return err
	}
	defer r.release()
	r.portal = true
	return c.fillFirst(ctx, r)
}

// welcome follows up an invitation to one of our users: it was delivered, and is
// now answered. It runs apart, because a join over federation may take minutes.
func (c *Connector) welcome(ev *event.Event) {
	if ev.Type.Type != event.StateMember.Type || ev.StateKey == nil {
		return
	}
	m, ok := ev.Content.Parsed.(*event.MemberEventContent)
	if !ok || m.Membership != event.MembershipInvite || !c.ours(id.UserID(*ev.StateKey)) || c.ours(ev.Sender) {
		return
	}
	c.answerInvite(ev.RoomID, id.UserID(*ev.StateKey), ev.Sender, m.IsDirect)
}

// invitedIn reads an invitation off the bot's sync: one that was never pushed.
func (c *Connector) invitedIn(room id.RoomID, state []*event.Event) {
	self := c.self.Load()
	if self == nil {
		return
	}
	for _, ev := range state {
		if ev.StateKey != nil && *ev.StateKey == string(self.bot) && ev.Type.Type == event.StateMember.Type {
			c.answerInvite(room, self.bot, ev.Sender, false)
			return
		}
	}
}

// answerInvite: the bot joins where it may; a ghost joins a direct chat if the
// person can be written to, and leaves other rooms to the person.
func (c *Connector) answerInvite(name id.RoomID, invited, by id.UserID, direct bool) {
	self := c.self.Load()
	ghost := invited != self.bot
	if ghost && !direct || !ghost && !c.conf.AcceptInvites {
		return
	}
	c.errand("invitation not followed", func(ctx context.Context) error {
		return c.acceptInvite(ctx, c.rooms.get(name), invited, by, ghost)
	})
}

func (c *Connector) acceptInvite(ctx context.Context, r *room, invited, by id.UserID, ghost bool) error {
	if r.isPortal(ctx) {
		return nil
	}
	ev := &sdk.PortalOpened{EventHeader: sdk.EventHeader{Actor: sdk.Party{User: sdk.RemoteUserID(by)}}}
	if ghost {
		who, _ := c.party(ctx, invited)
		if err := c.mayMeet(ctx, who, by); err != nil {
			if e := sdk.AsError(err); !e.Temporary {
				return c.leave(ctx, r, invited, firstOf(e.Text, "this person cannot be written to"))
			}
			return err
		}
		ev.With = []sdk.Party{who, {User: sdk.RemoteUserID(by)}}
	}
	if err := c.join(ctx, r.id.String(), invited, []string{by.Homeserver()}); err != nil {
		return err
	}
	r.setJoined(invited, true)
	if ghost {
		// What she answers goes there, too.
		if _, err := c.host.State().Put(ctx, directKey(invited, []id.UserID{by}), []byte(r.id), sdk.AnyRevision); err != nil {
			return err
		}
	}
	return c.opened(ctx, r, invited, ev)
}

// mayMeet asks the host for somebody who never was on Matrix, and makes her ghost.
// Who acted here already is known to the host.
func (c *Connector) mayMeet(ctx context.Context, who sdk.Party, by id.UserID) error {
	if who.Person != "" {
		return nil
	}
	sender, err := c.host.LookupPerson(ctx, sdk.PersonQuery{Address: who.Address, By: sdk.Party{User: sdk.RemoteUserID(by)}})
	if err == nil {
		_, err = c.ghostOf(ctx, sender)
	}
	return err
}

func (r *room) isPortal(ctx context.Context) bool {
	if r.take(ctx) != nil {
		return true
	}
	defer r.release()
	return r.portal
}
