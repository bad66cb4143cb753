package demonet

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// command is something that can be typed.
type command struct {
	name string
	help string
	run  func(n *Network, c call)
}

// call is a command with who typed it where. by is who carries it out.
type call struct {
	room *Room
	from *User
	msg  MessageID
	args string
	by   person
}

// commands are in the order of !help.
func commands() []command {
	return []command{
		{"help", "this list", help},
		{"say", "TEXT: somebody says it", func(n *Network, c call) { n.say(c.by.id, c.room.ID, or(c.args, "Hello!")) }},
		{"edit", "[TEXT]: somebody corrects herself", edited},
		{"react", "[EMOJI ...]: reactions to your message", func(n *Network, c call) {
			n.do(Request{Do: "react", As: c.by.id, Message: c.msg, Emoji: strings.Fields(or(c.args, "👍"))})
		}},
		{"unreact", "takes them back", func(n *Network, c call) { n.unreact(c) }},
		{"reply", "[TEXT]: a reply to your message", func(n *Network, c call) {
			n.do(Request{Do: "post", As: c.by.id, Room: c.room.ID, Text: or(c.args, "I reply to this."), ReplyTo: c.msg})
		}},
		{"thread", "[TEXT]: a thread below your message", func(n *Network, c call) {
			n.do(Request{Do: "post", As: c.by.id, Room: c.room.ID, Text: or(c.args, "Let us go on in a thread."), Thread: c.msg})
		}},
		{"retract", "somebody takes a message back", retracted},
		{"format", "bold, italic, code, a link and a name", func(n *Network, c call) {
			n.say(c.by.id, c.room.ID, "*bold*, _italic_, ~struck~, `code`, https://example.org/ and @"+string(c.from.ID)+"\n```\nfor {\n}\n```")
		}},
		{"away", "[STATUS]", shows("away")}, {"busy", "[STATUS]", shows("busy")},
		{"back", "somebody is online again", shows("online")},
		{"rename", "[NAME]: somebody takes another name", renamed},
		{"face", "somebody takes another picture", func(n *Network, c call) {
			n.rounds++
			n.do(Request{Do: "profile", As: c.by.id, Face: ptr(faceOf(c.by.id, n.rounds+1))})
		}},
		{"topic", "TEXT", func(n *Network, c call) { n.do(Request{Do: "change", As: c.by.id, Room: c.room.ID, Text: c.args}) }},
		{"title", "NAME: the room is called differently", func(n *Network, c call) {
			n.do(Request{Do: "change", As: c.by.id, Room: c.room.ID, Name: ptr(or(c.args, c.room.Name))})
		}},
		{"leave", "somebody leaves the room", func(n *Network, c call) { n.goes(c.room, KindLeave, c.by.id, c.by.id, c.args, "") }},
		{"join", "everybody comes back", func(n *Network, c call) {
			for _, p := range cast() {
				if slices.Contains(p.rooms, c.room.ID) {
					_ = n.enter(c.room, n.users[p.id], "")
				}
			}
		}},
		{"kick", "you are thrown out", func(n *Network, c call) {
			n.goes(c.room, KindKick, c.by.id, c.from.ID, or(c.args, "you asked for it"), "")
		}},
		{"typing", "somebody types, and stops", func(n *Network, c call) {
			n.emit(Event{Kind: KindTyping, Room: c.room.ID, Actor: c.by.id, Active: true})
			n.after(5*writing, func() { n.emit(Event{Kind: KindTyping, Room: c.room.ID, Actor: c.by.id}) })
		}},
		{"read", "somebody has read your message", func(n *Network, c call) {
			n.emit(Event{Kind: KindRead, Room: c.room.ID, Actor: c.by.id, Message: n.byID[c.msg]})
		}},
		{"file", "[KILOBYTES]: a picture, or a text of that size", sendsFile},
		{"dm", "somebody writes to you alone", writesAlone},
		{"invite", "ADDRESS: an XMPP person is invited", func(n *Network, c call) {
			n.emit(Event{Kind: KindInvite, Room: c.room.ID, Actor: c.by.id, Address: c.args})
		}},
		{"bring", "ADDRESS: an XMPP room is wanted here", func(n *Network, c call) {
			n.emit(Event{Kind: KindBring, Room: c.room.ID, Actor: c.by.id, Address: c.args})
		}},
		{"history", "how much past there is", func(n *Network, c call) {
			list := n.past[c.room.ID]
			n.say(c.by.id, c.room.ID, fmt.Sprintf("%d messages, since %s.", len(list), list[0].Time.UTC().Format(time.DateTime)))
		}},
		{"strict", "on|off: no edits and no reactions", func(n *Network, c call) {
			n.do(Request{Do: "strict", As: c.by.id, Room: c.room.ID, Active: c.args != "off"})
		}},
		{"flood", "[COUNT]: many messages at once", floods},
		{"outage", "[DURATION]: nobody reaches the network (30s)", outage},
	}
}

// command carries out what somebody typed.
func (n *Network) command(room *Room, from *User, msg MessageID, text string) {
	name, args, _ := strings.Cut(strings.TrimPrefix(text, "!"), " ")
	p, ok := n.somebody(room.ID)
	if !ok {
		p = cast()[3]
		room.Members = append(room.Members, p.id) // Pip comes when everybody has left
	}
	for _, c := range n.cmds {
		if c.name == strings.ToLower(name) {
			c.run(n, call{room: room, from: from, msg: msg, args: strings.TrimSpace(args), by: p})
			return
		}
	}
	n.do(Request{Do: "post", As: p.id, Room: room.ID, Text: "I do not know !" + name + ". Type `!help`.", ReplyTo: msg})
}

func help(n *Network, c call) {
	lines := []string{"What you can try:"}
	for _, cmd := range n.cmds {
		lines = append(lines, "!"+cmd.name+" "+cmd.help)
	}
	n.say(c.by.id, c.room.ID, strings.Join(lines, "\n"))
}

func edited(n *Network, c call) {
	m := n.say(c.by.id, c.room.ID, "This has a mistkae.")
	n.after(writing, func() {
		if m != nil {
			n.do(Request{Do: "edit", As: c.by.id, Message: m.ID, Text: or(c.args, "This had a mistake.")})
		}
	})
}

func retracted(n *Network, c call) {
	m := n.say(c.by.id, c.room.ID, "I should not say this.")
	n.after(writing, func() {
		if m != nil {
			n.do(Request{Do: "delete", As: c.by.id, Message: m.ID})
		}
	})
}

// unreact takes back everybody's reactions to the person's last message that has some.
func (n *Network) unreact(c call) {
	m := n.latest(c.room.ID, func(m *Message) bool { return m.Author == c.from.ID && len(m.Reactions) > 0 })
	if m == nil {
		return
	}
	var who []UserID
	for _, list := range m.Reactions {
		who = append(who, list...)
	}
	slices.Sort(who)
	for _, u := range slices.Compact(who) {
		n.do(Request{Do: "react", As: u, Message: m.ID})
	}
}

func shows(show string) func(*Network, call) {
	return func(n *Network, c call) { n.shows(n.users[c.by.id], show, or(c.args, c.by.status)) }
}

func renamed(n *Network, c call) {
	name := c.args
	if name == "" {
		if name = c.by.name; n.users[c.by.id].Name == name {
			name += " the Second"
		}
	}
	n.do(Request{Do: "profile", As: c.by.id, Name: &name})
}

func sendsFile(n *Network, c call) {
	var f File
	if kb, err := strconv.Atoi(c.args); err == nil && kb > 0 && kb<<10 <= MaxFile {
		line := "All work and no play makes a dull file, and here is one more line to it.\n"
		data := strings.Repeat(line, kb<<10/len(line)+1)[:kb<<10]
		f = n.files.put(n.epoch, "notes.txt", "text/plain", []byte(data))
	} else {
		n.rounds++
		f = n.files.put(n.epoch, "drawing.png", "image/png", paint(fmt.Sprint("drawing", n.rounds)))
	}
	n.do(Request{Do: "post", As: c.by.id, Room: c.room.ID, Text: "Look at this", Files: []string{f.ID}})
}

func writesAlone(n *Network, c call) {
	room, fresh := n.directRoom(n.users[c.by.id], c.from)
	if fresh {
		n.emit(Event{Kind: KindDirect, Room: room.ID, Actor: c.by.id, Who: c.from.ID, Chat: room})
	}
	n.say(c.by.id, room.ID, or(c.args, "Psst. Only you can see this."))
}

func floods(n *Network, c call) {
	count, err := strconv.Atoi(c.args)
	if err != nil {
		count = 100
	}
	for i := range min(max(count, 1), 5000) {
		n.say(c.by.id, c.room.ID, fmt.Sprintf("flood %d", i+1))
	}
}

func outage(n *Network, c call) {
	d, err := time.ParseDuration(or(c.args, "30s"))
	if err != nil || d <= 0 || d > time.Hour {
		n.say(c.by.id, c.room.ID, "How long? For example `!outage 30s`.")
		return
	}
	n.say(c.by.id, c.room.ID, "Nobody can reach us for "+d.String()+". Talk to you later!")
	// One breath later, so that the message is still seen.
	n.after(reflex, func() {
		n.outage(d)
		for i := range 3 {
			n.after(d*time.Duration(i+1)/4, func() {
				n.say(c.by.id, c.room.ID, fmt.Sprintf("Said during the outage: %d of 3", i+1))
			})
		}
	})
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func ptr[T any](v T) *T { return &v }
