package demonet

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// enter puts somebody into a room, if she may.
func (n *Network) enter(room *Room, u *User, key string) error {
	switch {
	case slices.Contains(room.Members, u.ID):
		return nil
	case slices.Contains(room.Banned, u.ID):
		return refuse(Forbidden, "%s is banned from %s", u.Name, room.Name)
	case room.Direct || !room.Public:
		return refuse(Forbidden, "%s is by invitation only", room.Name)
	}
	room.Members = append(room.Members, u.ID)
	n.emit(Event{Kind: KindJoin, Room: room.ID, Actor: u.ID, Who: u.ID, User: u, Key: key})
	return nil
}

func (n *Network) join(r Request) (Response, error) {
	room, err := n.roomOf(r.Room)
	if err != nil {
		return Response{}, err
	}
	if r.As == "" { // the bridge itself only looks
		return Response{Room: copyRoom(room)}, nil
	}
	u, err := n.userOf(r.As)
	if err != nil {
		return Response{}, err
	}
	return Response{Room: copyRoom(room)}, n.enter(room, u, r.Key)
}

func (n *Network) leave(r Request) (Response, error) {
	room, err := n.roomOf(r.Room)
	if err != nil {
		return Response{}, err
	}
	n.goes(room, KindLeave, r.As, r.As, r.Text, r.Key)
	return Response{}, nil
}

// goes takes somebody out of a room; who is not there does not go.
func (n *Network) goes(room *Room, kind Kind, by, who UserID, why, key string) {
	i := slices.Index(room.Members, who)
	if i < 0 {
		return
	}
	room.Members = slices.Delete(room.Members, i, i+1)
	n.emit(Event{Kind: kind, Room: room.ID, Actor: by, Who: who, Text: why, Key: key})
}

func (n *Network) kick(r Request) (Response, error) { return n.expel(r, KindKick) }

func (n *Network) ban(r Request) (Response, error) { return n.expel(r, KindBan) }

func (n *Network) expel(r Request, kind Kind) (Response, error) {
	room, err := n.roomOf(r.Room)
	if err != nil {
		return Response{}, err
	}
	if _, err := n.userOf(r.User); err != nil {
		return Response{}, err
	}
	if r.User == room.Owner {
		return Response{}, refuse(Forbidden, "the owner of a room stays")
	}
	if kind == KindBan && !slices.Contains(room.Banned, r.User) {
		room.Banned = append(room.Banned, r.User)
	}
	n.goes(room, kind, r.As, r.User, r.Text, r.Key)
	if n.users[r.User].Guest {
		return Response{}, nil
	}
	if kind == KindKick { // our people come back
		n.after(5*time.Second, func() { _ = n.enter(room, n.users[r.User], "") })
	}
	return Response{}, nil
}

func (n *Network) unban(r Request) (Response, error) {
	room, err := n.roomOf(r.Room)
	if err != nil {
		return Response{}, err
	}
	room.Banned = slices.DeleteFunc(room.Banned, func(u UserID) bool { return u == r.User })
	n.emit(Event{Kind: KindUnban, Room: room.ID, Actor: r.As, Who: r.User, Key: r.Key})
	return Response{}, nil
}

func (n *Network) invite(r Request) (Response, error) {
	room, err := n.roomOf(r.Room)
	if err != nil {
		return Response{}, err
	}
	u, err := n.userOf(r.User)
	if err != nil {
		return Response{}, err
	}
	if u.Guest {
		n.emit(Event{Kind: KindInvite, Room: room.ID, Actor: r.As, Who: u.ID, Text: r.Text, Key: r.Key})
		return Response{}, nil
	}
	if slices.Contains(room.Members, u.ID) {
		return Response{}, nil
	}
	room.Members = append(room.Members, u.ID) // our people always come
	n.emit(Event{Kind: KindJoin, Room: room.ID, Actor: u.ID, Who: u.ID, User: u, Key: r.Key})
	return Response{}, nil
}

// change gives a room another name (Name) or topic (Text).
func (n *Network) change(r Request) (Response, error) {
	room, err := n.roomOf(r.Room)
	if err != nil {
		return Response{}, err
	}
	if r.Name != nil {
		if *r.Name == "" {
			return Response{}, refuse(Invalid, "a room needs a name")
		}
		room.Name = *r.Name
	} else {
		room.Topic = r.Text
	}
	n.emit(Event{Kind: KindRoom, Room: room.ID, Actor: r.As, Chat: room, Key: r.Key})
	return Response{Room: copyRoom(room)}, nil
}

// strict makes a room one without edits and reactions, or an ordinary one.
func (n *Network) strict(r Request) (Response, error) {
	room, err := n.roomOf(r.Room)
	if err != nil {
		return Response{}, err
	}
	room.Strict = r.Active
	n.emit(Event{Kind: KindRoom, Room: room.ID, Actor: r.As, Chat: room, Key: r.Key})
	return Response{Room: copyRoom(room)}, nil
}

func (n *Network) getRoom(r Request) (Response, error) {
	room, err := n.roomOf(r.Room)
	if err != nil {
		return Response{}, err
	}
	res := Response{Room: copyRoom(room)}
	for _, id := range room.Members {
		res.Users = append(res.Users, *n.users[id])
	}
	return res, nil
}

func (n *Network) listRooms(r Request) (Response, error) {
	var res Response
	for _, room := range n.rooms {
		if room.Public && matches(r.Text, string(room.ID), room.Name, room.Topic) {
			res.Rooms = append(res.Rooms, *copyRoom(room))
		}
	}
	slices.SortFunc(res.Rooms, func(a, b Room) int { return cmp.Compare(a.ID, b.ID) })
	return res, nil
}

// matches reports whether the words occur in any of the texts; no words match all.
func matches(words string, texts ...string) bool {
	return slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(strings.ToLower(t), strings.ToLower(words)) })
}

func (n *Network) create(r Request) (Response, error) {
	switch {
	case r.Room == "" || strings.Trim(string(r.Room), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "":
		return Response{}, refuse(Invalid, "%q cannot be the name of a room", r.Room)
	case n.rooms[r.Room] != nil:
		return Response{}, refuse(Conflict, "there is a room %q already", r.Room)
	}
	room := &Room{ID: r.Room, Name: string(r.Room), Topic: r.Text, Public: r.Public, Owner: r.As, Address: r.Address}
	if r.Name != nil {
		room.Name = *r.Name
	}
	n.rooms[room.ID] = room
	if u, err := n.userOf(r.As); err == nil {
		room.Members = append(room.Members, u.ID)
	}
	return Response{Room: copyRoom(room)}, nil
}

// direct opens the direct chat of two people, or finds it.
func (n *Network) direct(r Request) (Response, error) {
	a, err := n.userOf(r.As)
	if err != nil {
		return Response{}, err
	}
	b, err := n.userOf(r.User)
	if err != nil {
		return Response{}, err
	}
	room, fresh := n.directRoom(a, b)
	if fresh {
		n.emit(Event{Kind: KindDirect, Room: room.ID, Actor: a.ID, Who: b.ID, Chat: room, Key: r.Key})
	}
	return Response{Room: copyRoom(room), Users: []User{*a, *b}}, nil
}

func (n *Network) directRoom(a, b *User) (*Room, bool) {
	pair := []UserID{a.ID, b.ID}
	slices.Sort(pair)
	id := RoomID(fmt.Sprintf("dm-%s-%s", pair[0], pair[1]))
	if room := n.rooms[id]; room != nil {
		return room, false
	}
	n.rooms[id] = &Room{ID: id, Name: a.Name + " and " + b.Name, Direct: true, Members: pair}
	return n.rooms[id], true
}
