package matrix

import (
	"context"
	"slices"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"
)

// A message can stand twice in a room although its transaction id was the same both
// times and the room was looked through in between: findPrior waits for what is
// shown late, but not for ever.
//
// COMPAT(Dendrite 0.15): an event that it was working on when it was killed is taken
// up again five minutes after its start.
//
// The event whose id the host was told is the message; others that carry the same
// mark are taken back.

// wroteMarks is how many of our messages are remembered in each room, for this.
const wroteMarks = 256

// wrote remembers the events of our messages, by their marks. room.mu guards it.
type wrote struct {
	order []string
	marks map[string]*writing
}

// writing is one message.
type writing struct {
	is   id.EventID   // what the host knows; "" while that is open
	seen []id.EventID // all that carry the mark
}

func (w *wrote) get(name string) *writing {
	if m, ok := w.marks[name]; ok {
		return m
	}
	if w.marks == nil {
		w.marks = map[string]*writing{}
	}
	if len(w.order) >= wroteMarks {
		delete(w.marks, w.order[0])
		w.order = w.order[1:]
	}
	m := &writing{}
	w.order = append(w.order, name)
	w.marks[name] = m
	return m
}

// superfluous empties the list of seen events, and returns those that are not the message.
func (m *writing) superfluous() []id.EventID {
	if m.is == "" {
		return nil
	}
	out := slices.DeleteFunc(m.seen, func(ev id.EventID) bool { return ev == m.is })
	m.seen = nil
	return out
}

// settleMark notes which event a message is.
func (c *Connector) settleMark(r *room, author id.UserID, name string, is id.EventID) {
	r.mu.Lock()
	m := r.wrote.get(name)
	m.is = is
	more := m.superfluous()
	r.mu.Unlock()
	c.takeBack(r, author, name, more)
}

// meetMark notes an event of our own that the room shows.
func (c *Connector) meetMark(ev *event.Event) {
	op, part, ok := originOf(ev)
	if !ok || ev.Type.Type != event.EventMessage.Type || ev.StateKey != nil || !c.ours(ev.Sender) {
		return
	}
	r, name := c.rooms.get(ev.RoomID), mark(op, part)
	r.mu.Lock()
	m := r.wrote.get(name)
	if len(m.seen) < 10 {
		m.seen = append(m.seen, ev.ID)
	}
	more := m.superfluous()
	r.mu.Unlock()
	c.takeBack(r, ev.Sender, name, more)
}

func (c *Connector) takeBack(r *room, author id.UserID, name string, events []id.EventID) {
	for _, ev := range events {
		c.log.Warn("the homeserver shows a message twice; one is taken back", "room", string(r.id), "event", string(ev))
		c.errand("not taken back", func(ctx context.Context) error {
			ctx, cancel := c.hs.limited(ctx)
			defer cancel()
			req := mautrix.ReqRedact{TxnID: name + ".again." + shorten(ev), Reason: "the same message twice", Extra: map[string]any{opField: name}}
			_, err := c.hs.as(author).RedactEvent(ctx, r.id, ev, req)
			return explain("cannot take back a message that stands twice", err)
		})
	}
}
