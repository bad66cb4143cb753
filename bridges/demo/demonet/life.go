package demonet

import (
	"slices"
	"strings"
	"time"
	"unicode"
)

// reflex is how long people take to begin to answer; typing how long they write.
const (
	reflex  = 700 * time.Millisecond
	writing = 900 * time.Millisecond
)

// live is one thing that happens by itself, and the appointment for the next.
func (n *Network) live() {
	// During an outage the people are still there, and talk: it is seen later.
	n.chatter()
	n.after(n.opt.TalkEvery, n.live)
}

func (n *Network) chatter() {
	n.rounds++
	room := []RoomID{"lobby", "support", "lobby"}[n.rounds%3]
	p, ok := n.somebody(room)
	if !ok {
		return
	}
	switch dice := n.rand.IntN(20); {
	case dice < 12:
		n.speak(p, room, p.lines[n.rand.IntN(len(p.lines))], "")
	case dice < 14:
		if m := n.latest(room, func(m *Message) bool { return m.Author != p.id }); m != nil {
			n.speak(p, room, answers()[n.rand.IntN(len(answers()))], m.ID)
		}
	case dice < 17:
		if m := n.latest(room, func(m *Message) bool { return m.Author != p.id }); m != nil {
			n.do(Request{Do: "react", As: p.id, Message: m.ID, Emoji: []string{reactions()[n.rand.IntN(len(reactions()))]}})
		}
	case dice < 18:
		if m := n.latest(room, func(m *Message) bool { return m.Author == p.id }); m != nil && m.Version == 0 {
			n.do(Request{Do: "edit", As: p.id, Message: m.ID, Text: m.Text + " (I mean it)"})
		}
	default:
		u := n.users[p.id]
		show, status := "away", "back soon"
		if u.Show != "online" {
			show, status = "online", p.status
		}
		n.shows(u, show, status)
	}
}

// somebody picks one of the cast who is in a room.
func (n *Network) somebody(room RoomID) (person, bool) {
	here := slices.DeleteFunc(cast(), func(p person) bool { return !slices.Contains(n.rooms[room].Members, p.id) })
	if len(here) == 0 {
		return person{}, false
	}
	return here[n.rand.IntN(len(here))], true
}

// latest finds the last message of a room that fits.
func (n *Network) latest(room RoomID, fits func(*Message) bool) *Message {
	for _, m := range slices.Backward(n.past[room]) {
		if !m.Deleted && fits(m) {
			return m
		}
	}
	return nil
}

// do is a call by somebody who lives here: outages do not concern her.
func (n *Network) do(r Request) *Message {
	res, err := n.calls[r.Do](r)
	if err != nil {
		return nil // she may have been banned meanwhile: then she does not
	}
	return res.Message
}

// say writes at once.
func (n *Network) say(who UserID, room RoomID, text string) *Message {
	return n.do(Request{Do: "post", As: who, Room: room, Text: text})
}

// speak writes as people do: they type first.
func (n *Network) speak(p person, room RoomID, text string, replyTo MessageID) {
	n.emit(Event{Kind: KindTyping, Room: room, Actor: p.id, Active: true})
	n.after(writing, func() {
		n.emit(Event{Kind: KindTyping, Room: room, Actor: p.id})
		n.do(Request{Do: "post", As: p.id, Room: room, Text: text, ReplyTo: replyTo})
	})
}

// heard is what people make of a message of somebody from outside, or of
// somebody who signed in: a command is carried out, a question answered.
func (n *Network) heard(room *Room, author *User, m *Message) {
	if slices.ContainsFunc(cast(), func(p person) bool { return p.id == author.ID }) {
		return
	}
	text := strings.TrimSpace(m.Text)
	if strings.HasPrefix(text, "!") {
		n.after(reflex/7, func() { n.command(room, author, m.ID, text) })
		return
	}
	if n.opt.TalkEvery < 0 {
		return
	}
	p, spoken := n.addressed(room, m, text)
	if !spoken {
		return
	}
	answer := answers()[n.rand.IntN(len(answers()))]
	n.after(reflex, func() { n.speak(p, room.ID, answer, m.ID) })
}

// addressed finds who is meant: by name, by what is replied to, in a direct
// chat the other one, and for a question anybody.
func (n *Network) addressed(room *Room, m *Message, text string) (person, bool) {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	before := n.byID[m.ReplyTo]
	for _, p := range cast() {
		switch {
		case !slices.Contains(room.Members, p.id):
		case room.Direct, slices.Contains(words, string(p.id)), before != nil && before.Author == p.id:
			return p, true
		}
	}
	if strings.HasSuffix(text, "?") || slices.Contains(words, "hello") || slices.Contains(words, "hi") {
		return n.somebody(room.ID)
	}
	return person{}, false
}
