package demonet

import (
	"fmt"
	"slices"
	"time"
	"unicode/utf8"
)

// table is every call by its name. All run with the lock held.
func (n *Network) table() map[string]func(Request) (Response, error) {
	return map[string]func(Request) (Response, error){
		// As, Room, Text, Emote, ReplyTo, Thread, Files
		"post": n.post,
		// As, Message, and Text, Emote; Text: why; Emoji: the whole set
		"edit": n.edit, "delete": n.remove, "react": n.react,
		// As, Room, Active; As, Message
		"typing": n.typing, "read": n.read,
		// Room, Before or After, Limit
		"history": n.history,
		// As, Room
		"join": n.join, "leave": n.leave,
		// As, Room, User, Text: why
		"kick": n.kick, "ban": n.ban, "unban": n.unban, "invite": n.invite,
		// As, Room, Name or Text: the topic; As, Room, Active
		"change": n.change, "strict": n.strict,
		// Room; Text: words
		"room": n.getRoom, "rooms": n.listRooms,
		// As, Room, Name, Text: the topic, Public, Address; As, User
		"create": n.create, "direct": n.direct,
		// User; Text: words; nothing
		"user": n.getUser, "users": n.listUsers, "self": n.status,
		// As, Name, Face; As; As, Name, Face
		"guest": n.guest, "retire": n.retire, "profile": n.profile,
		// As, Show, Status
		"presence": n.presence,
		// Text: name, Status: the word; Token; Token
		"login": n.login, "check": n.check, "logout": n.logout,
		// Text: a duration
		"outage": n.callOutage,
	}
}

func (n *Network) userOf(id UserID) (*User, error) {
	u := n.users[id]
	if u == nil || u.Deleted {
		return nil, refuse(NotFound, "there is nobody called %q", id)
	}
	return u, nil
}

func (n *Network) roomOf(id RoomID) (*Room, error) {
	r := n.rooms[id]
	if r == nil {
		return nil, refuse(NotFound, "there is no room %q", id)
	}
	return r, nil
}

// both gives a room and somebody who is in it; whoever acts in an open room enters it.
func (n *Network) both(r Request) (*Room, *User, error) {
	room, err := n.roomOf(r.Room)
	if err != nil {
		return nil, nil, err
	}
	u, err := n.userOf(r.As)
	if err != nil {
		return nil, nil, err
	}
	return room, u, n.enter(room, u, "")
}

func (n *Network) post(r Request) (Response, error) {
	room, u, err := n.both(r)
	if err != nil {
		return Response{}, err
	}
	if l := utf8.RuneCountInString(r.Text); l > MaxText {
		return Response{}, refuse(TooLong, "%d characters are more than %d", l, MaxText)
	}
	if r.Text == "" && len(r.Files) == 0 {
		return Response{}, refuse(Invalid, "an empty message")
	}
	n.nextID++
	m := &Message{
		ID: MessageID(fmt.Sprintf("%s-%d", n.epoch, n.nextID)), Room: room.ID, Author: u.ID, Text: r.Text, Emote: r.Emote,
		Time: n.opt.Clock.Now(), ReplyTo: r.ReplyTo, Thread: r.Thread, Reactions: map[string][]UserID{}, Key: r.Key,
	}
	for _, id := range r.Files {
		f, ok := n.files.describe(id)
		if !ok {
			return Response{}, refuse(NotFound, "there is no file %q", id)
		}
		m.Files = append(m.Files, f)
	}
	u.Active = m.Time
	n.keep(m)
	n.emit(Event{Kind: KindMessage, Room: room.ID, Actor: u.ID, Message: m, Key: r.Key})
	n.heard(room, u, m)
	return Response{Message: copyMessage(m)}, nil
}

// keep stores a message and forgets the oldest.
func (n *Network) keep(m *Message) {
	n.byID[m.ID] = m
	n.past[m.Room] = append(n.past[m.Room], m)
	if list := n.past[m.Room]; len(list) > keepMessages {
		delete(n.byID, list[0].ID)
		n.past[m.Room] = list[1:]
	}
}

// target gives a message and who acts on it.
func (n *Network) target(r Request) (*Message, *User, error) {
	m := n.byID[r.Message]
	if m == nil || m.Deleted {
		return nil, nil, refuse(NotFound, "there is no message %q", r.Message)
	}
	u, err := n.userOf(r.As)
	return m, u, err
}

func (n *Network) edit(r Request) (Response, error) {
	m, u, err := n.target(r)
	if err != nil {
		return Response{}, err
	}
	switch {
	case m.Author != u.ID:
		return Response{}, refuse(Forbidden, "only %s may edit this", m.Author)
	case n.rooms[m.Room].Strict:
		return Response{}, refuse(Forbidden, "nothing is edited in this room")
	case utf8.RuneCountInString(r.Text) > MaxText:
		return Response{}, refuse(TooLong, "more than %d characters", MaxText)
	}
	m.Text, m.Emote = r.Text, r.Emote
	m.Version++
	n.emit(Event{Kind: KindEdit, Room: m.Room, Actor: u.ID, Message: m, Key: r.Key})
	return Response{Message: copyMessage(m)}, nil
}

func (n *Network) remove(r Request) (Response, error) {
	m, u, err := n.target(r)
	if err != nil {
		return Response{}, err
	}
	if m.Author != u.ID && n.rooms[m.Room].Owner != u.ID {
		return Response{}, refuse(Forbidden, "only %s and the owner of the room may delete this", m.Author)
	}
	m.Deleted, m.Text, m.Files = true, "", nil
	n.emit(Event{Kind: KindDelete, Room: m.Room, Actor: u.ID, Message: m, Text: r.Text, Key: r.Key})
	return Response{Message: copyMessage(m)}, nil
}

func (n *Network) react(r Request) (Response, error) {
	m, u, err := n.target(r)
	if err != nil {
		return Response{}, err
	}
	if n.rooms[m.Room].Strict {
		return Response{}, refuse(Forbidden, "nobody reacts in this room")
	}
	for e, who := range m.Reactions {
		if who = slices.DeleteFunc(who, func(x UserID) bool { return x == u.ID }); len(who) == 0 {
			delete(m.Reactions, e)
		} else {
			m.Reactions[e] = who
		}
	}
	for _, e := range r.Emoji {
		if !slices.Contains(m.Reactions[e], u.ID) {
			m.Reactions[e] = append(m.Reactions[e], u.ID)
		}
	}
	n.emit(Event{Kind: KindReact, Room: m.Room, Actor: u.ID, Message: m, Emoji: r.Emoji, Key: r.Key})
	return Response{Message: copyMessage(m)}, nil
}

func (n *Network) typing(r Request) (Response, error) {
	room, u, err := n.both(r)
	if err != nil {
		return Response{}, err
	}
	n.emit(Event{Kind: KindTyping, Room: room.ID, Actor: u.ID, Active: r.Active})
	return Response{}, nil
}

func (n *Network) read(r Request) (Response, error) {
	m, u, err := n.target(r)
	if err != nil {
		return Response{}, err
	}
	n.emit(Event{Kind: KindRead, Room: m.Room, Actor: u.ID, Message: m})
	return Response{}, nil
}

// history gives messages before or after another one, or the latest, oldest first.
func (n *Network) history(r Request) (Response, error) {
	if _, err := n.roomOf(r.Room); err != nil {
		return Response{}, err
	}
	list := n.past[r.Room]
	place := func(id MessageID) int { return slices.IndexFunc(list, func(m *Message) bool { return m.ID == id }) }
	limit := min(max(r.Limit, 1), 100)
	from, to := max(len(list)-limit, 0), len(list)
	switch {
	case r.Before != "":
		if to = place(r.Before); to < 0 {
			return Response{}, refuse(NotFound, "there is no message %q", r.Before)
		}
		from = max(to-limit, 0)
	case r.After != "":
		if from = place(r.After) + 1; from == 0 {
			return Response{}, refuse(NotFound, "there is no message %q", r.After)
		}
		to = min(from+limit, len(list))
	}
	res := Response{More: from > 0}
	if r.After != "" {
		res.More = to < len(list)
	}
	for _, m := range list[from:to] {
		res.Messages = append(res.Messages, *copyMessage(m))
	}
	return res, nil
}

func (n *Network) callOutage(r Request) (Response, error) {
	d, err := time.ParseDuration(r.Text)
	if err != nil {
		return Response{}, refuse(Invalid, "%q is no duration", r.Text)
	}
	n.outage(min(d, time.Hour))
	return Response{}, nil
}
