package demonet

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Word is what everybody who signs in has to type: there are no secrets here.
const Word = "viaduct"

func (n *Network) getUser(r Request) (Response, error) {
	u, err := n.userOf(r.User)
	if err != nil {
		return Response{}, err
	}
	return Response{User: copyUser(u)}, nil
}

func (n *Network) listUsers(r Request) (Response, error) {
	var res Response
	for _, u := range n.users {
		if !u.Guest && !u.Deleted && matches(r.Text, string(u.ID), u.Name) {
			res.Users = append(res.Users, *u)
		}
	}
	slices.SortFunc(res.Users, func(a, b User) int { return cmp.Compare(a.ID, b.ID) })
	return res, nil
}

// status says how many there are, for health checks.
func (n *Network) status(Request) (Response, error) {
	return Response{Token: fmt.Sprintf("%d people, %d rooms", len(n.users), len(n.rooms))}, nil
}

// guest makes or changes the account of somebody from outside.
func (n *Network) guest(r Request) (Response, error) {
	if !strings.HasPrefix(string(r.As), "x-") {
		return Response{}, refuse(Invalid, "%q is no name for a guest", r.As)
	}
	u, changed := n.users[r.As], false
	if u == nil || u.Deleted {
		u = &User{ID: r.As, Guest: true, Show: "online", Name: string(r.As)}
		n.users[r.As], changed = u, true
	}
	if r.Name != nil && *r.Name != u.Name {
		u.Name, changed = *r.Name, true
	}
	if r.Face != nil && *r.Face != u.Face {
		u.Face, changed = *r.Face, true
	}
	if changed {
		n.emit(Event{Kind: KindUser, Actor: u.ID, User: u, Key: r.Key})
	}
	return Response{User: copyUser(u)}, nil
}

// retire ends a guest's account.
func (n *Network) retire(r Request) (Response, error) {
	u, err := n.userOf(r.As)
	if err != nil {
		return Response{}, nil // gone already
	}
	if !u.Guest {
		return Response{}, refuse(Forbidden, "%s lives here", u.Name)
	}
	for _, room := range n.rooms {
		n.goes(room, KindLeave, u.ID, u.ID, "", "")
	}
	u.Deleted = true
	n.emit(Event{Kind: KindUser, Actor: u.ID, User: u, Key: r.Key})
	return Response{}, nil
}

// profile changes somebody's name and picture.
func (n *Network) profile(r Request) (Response, error) {
	u, err := n.userOf(r.As)
	if err != nil {
		return Response{}, err
	}
	if r.Name != nil {
		u.Name = *r.Name
	}
	if r.Face != nil {
		u.Face = *r.Face
	}
	n.emit(Event{Kind: KindUser, Actor: u.ID, User: u, Key: r.Key})
	return Response{User: copyUser(u)}, nil
}

func (n *Network) presence(r Request) (Response, error) {
	u, err := n.userOf(r.As)
	if err != nil {
		return Response{}, err
	}
	n.shows(u, r.Show, r.Status)
	return Response{}, nil
}

func (n *Network) shows(u *User, show, status string) {
	u.Show, u.Status = show, status
	n.emit(Event{Kind: KindPresence, Actor: u.ID, User: u})
}

func (n *Network) login(r Request) (Response, error) {
	name := strings.ToLower(strings.TrimSpace(r.Text))
	switch {
	case name == "" || len(name) > 32 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789") != "":
		return Response{}, refuse(Invalid, "a name has 1 to 32 letters and digits")
	case r.Status != Word:
		return Response{}, refuse(BadToken, "the word is %q", Word)
	}
	id := UserID(name)
	u := n.users[id]
	switch {
	case u == nil:
		u = &User{ID: id, Name: strings.ToUpper(name[:1]) + name[1:], Face: faceOf(id, 1), Show: "online"}
		n.users[id] = u
	case u.Guest || slices.ContainsFunc(cast(), func(p person) bool { return p.id == id }):
		return Response{}, refuse(Conflict, "%s is taken", name)
	}
	token := fmt.Sprintf("%s:%s", id, n.epoch)
	n.tokens[token] = id
	n.after(reflex, func() {
		pip := n.users["pip"]
		room, fresh := n.directRoom(pip, u)
		if fresh {
			n.emit(Event{Kind: KindDirect, Room: room.ID, Actor: pip.ID, Who: u.ID, Chat: room})
		}
		n.say(pip.ID, room.ID, "Welcome, "+u.Name+"! This is your own account now; what you write here is written as you.")
	})
	return Response{Token: token, User: copyUser(u)}, nil
}

// check tells whose token it is. Tokens of an earlier life of the network are good
// as well: it has nowhere to keep them.
func (n *Network) check(r Request) (Response, error) {
	name, _, ok := strings.Cut(r.Token, ":")
	if !ok || name == "" || n.tokens[r.Token] == "" && strings.HasSuffix(r.Token, ":"+n.epoch) {
		return Response{}, refuse(BadToken, "sign in again")
	}
	id := UserID(name)
	if n.users[id] == nil {
		n.users[id] = &User{ID: id, Name: strings.ToUpper(name[:1]) + name[1:], Face: faceOf(id, 1), Show: "online"}
	}
	n.tokens[r.Token] = id
	return Response{User: copyUser(n.users[id])}, nil
}

func (n *Network) logout(r Request) (Response, error) {
	delete(n.tokens, r.Token)
	return Response{}, nil
}
