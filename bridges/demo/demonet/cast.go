package demonet

import (
	"fmt"
	"time"
)

// person is somebody who lives on the network.
type person struct {
	id     UserID
	name   string
	status string
	rooms  []RoomID
	lines  []string
}

// cast is who lives here and what they talk about.
func cast() []person {
	return []person{
		{"mira", "Mira", "tuning the cello", []RoomID{"lobby"}, []string{
			"Has anybody else heard the trams sing this morning?", "I have moved the rehearsal to Thursday.",
			"The *slow* movement is the difficult one, as always.", "Tea is ready, who wants some?",
			"I found the score: it was under the cat.",
		}},
		{"otto", "Otto", "in the workshop", []RoomID{"lobby", "support"}, []string{
			"The bridge over the canal is open again.", "Today's measure: `17.3 mm`, two of them wrong.",
			"I have a spare bicycle if somebody needs one.", "Whoever borrowed the long ladder: keep it, I have built another.",
			"It is not broken, it is _resting_.",
		}},
		{"juno", "Juno", "", []RoomID{"lobby"}, []string{
			"Good news: the library stays open until ten.", "Read a page on aqueducts and forgot to get off the train.",
			"Somebody left a very small umbrella here.", "I vote for soup.", "What is the word for the smell after rain?",
		}},
		{"pip", "Pip", "type !help", []RoomID{"lobby", "support"}, []string{
			"I keep this place tidy. Type `!help` and I will tell you what can be tried.",
			"Nothing here is real, but everything works.", "If you write a name, that person will answer.",
		}},
		{"lena", "Lena Müller-Öz", "on call", []RoomID{"support"}, []string{
			"Ticket 4021 is solved: it was the cable.", "Please do not switch it off and on again _yet_.",
			"The queue is empty. Suspicious.", "I have written down what we did, so that nobody has to do it twice.",
		}},
	}
}

// answers are for those who are spoken to.
func answers() []string {
	return []string{
		"Yes, I think so too.", "Let me look into that.", "Ha! Tell me more.", "I would have said the opposite, but you convince me.",
		"Not before tea.", "That is what Otto says as well.", "I have read you loud and clear.",
	}
}

func reactions() []string { return []string{"👍", "🎉", "❤️", "😄", "👀"} }

// crowdSize is how many people stand about in the room "crowd": for lists in pages.
const crowdSize = 250

// populate makes rooms, people and a little past. The lock is held.
func (n *Network) populate() {
	n.rooms["lobby"] = &Room{ID: "lobby", Name: "Lobby", Topic: "Come in, everybody talks here", Public: true, Owner: "pip"}
	n.rooms["support"] = &Room{ID: "support", Name: "Support", Topic: "Questions and, sometimes, answers", Public: true, Owner: "lena"}
	n.rooms["crowd"] = &Room{ID: "crowd", Name: "Crowd", Topic: "Many people, few words", Public: true, Owner: "pip"}
	for _, p := range cast() {
		n.users[p.id] = &User{ID: p.id, Name: p.name, Face: faceOf(p.id, 1), Show: "online", Status: p.status}
		for _, id := range append(p.rooms, "crowd") {
			n.rooms[id].Members = append(n.rooms[id].Members, p.id)
		}
	}
	for i := range crowdSize {
		id := UserID(fmt.Sprintf("walker%d", i+1))
		n.users[id] = &User{ID: id, Name: fmt.Sprintf("Walker %d", i+1), Show: "offline"}
		n.rooms["crowd"].Members = append(n.rooms["crowd"].Members, id)
	}
	n.remember("lobby", 40)
	n.remember("support", 130)
}

// remember fills the past of a room, a message every ten minutes until now.
func (n *Network) remember(id RoomID, count int) {
	room, start := n.rooms[id], n.opt.Clock.Now().Add(-time.Duration(count)*10*time.Minute)
	for i := range count {
		p := cast()[i%len(cast())]
		if p.rooms[0] != id && p.rooms[len(p.rooms)-1] != id {
			p = cast()[3] // Pip is everywhere
		}
		n.nextID++
		n.keep(&Message{
			ID: MessageID(fmt.Sprintf("%s-%d", n.epoch, n.nextID)), Room: room.ID, Author: p.id,
			Text: p.lines[i%len(p.lines)], Time: start.Add(time.Duration(i) * 10 * time.Minute), Reactions: map[string][]UserID{},
		})
	}
}
