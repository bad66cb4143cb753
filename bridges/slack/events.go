package slack

import (
	"encoding/json"
	"sync"
)

// takenEvents knows which events were taken, by their event_id: one that Slack sends
// again while it is worked on is acknowledged together with the first, one that is done
// at once.
type takenEvents struct {
	mu    sync.Mutex
	known map[string]*takenEvent
	order []string
}

type takenEvent struct {
	done    bool
	waiting []func()
}

// maxTaken bounds what is remembered; Slack sends again for an hour at most.
const maxTaken = 50_000

func newTakenEvents() *takenEvents { return &takenEvents{known: map[string]*takenEvent{}} }

// begin reports whether an event is new; otherwise its acknowledgement is taken care of.
func (t *takenEvents) begin(id string, ack func()) bool {
	t.mu.Lock()
	e := t.known[id]
	switch {
	case e == nil:
		t.known[id] = &takenEvent{waiting: []func(){ack}}
		t.order = append(t.order, id)
		for len(t.order) > maxTaken {
			delete(t.known, t.order[0])
			t.order = t.order[1:]
		}
	case e.done:
		t.mu.Unlock()
		ack()
		return false
	default:
		e.waiting = append(e.waiting, ack)
	}
	t.mu.Unlock()
	return e == nil
}

// finish acknowledges an event; fail forgets it, so that it can come again.
func (t *takenEvents) finish(id string) {
	t.mu.Lock()
	e := t.known[id]
	var acks []func()
	if e != nil {
		acks = e.waiting
		e.waiting, e.done = nil, true
	}
	t.mu.Unlock()
	for _, ack := range acks {
		ack()
	}
}

func (t *takenEvents) fail(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.known, id)
}

// take hands the payload of an envelope to whoever works on it.
func (c *Connector) take(raw json.RawMessage, ack func()) {
	var p struct {
		Type    string          `json:"type"`
		EventID string          `json:"event_id"`
		Event   json.RawMessage `json:"event"`
	}
	if err := json.Unmarshal(raw, &p); err != nil || p.Type != "event_callback" {
		if err == nil {
			c.log.Warn("Slack says something else than an event", "type", p.Type)
		}
		ack()
		return
	}
	ev, kind, err := parseEvent(p.Event)
	if err != nil || p.EventID == "" {
		c.log.Warn("an event cannot be read", "type", kind, "error", err)
		ack()
		return
	}
	where, known := destination(kind, ev)
	if !known {
		ack()
		return
	}
	if c.taken.begin(p.EventID, ack) {
		c.rooms.get(where).push(queued{id: p.EventID, kind: kind, ev: ev})
	}
}

// destination is the channel whose worker deals with a sort of event; "" is that of
// what concerns no channel. What is not known here is not asked for, or of no use:
// presence_change and user_typing among it, which Slack sends no bot.
func destination(kind string, ev event) (channel string, known bool) {
	switch kind {
	case "message", "member_joined_channel", "member_left_channel", "channel_rename", "group_rename", "channel_archive", "group_archive", "channel_unarchive",
		"group_unarchive", "channel_deleted", "group_deleted", "channel_left", "group_left":
		return ev.Channel.ID, ev.Channel.ID != ""
	case "reaction_added", "reaction_removed":
		return ev.Item.Channel, ev.Item.Type == "message" && ev.Item.Channel != ""
	case "channel_id_changed":
		return ev.OldChannel, ev.OldChannel != ""
	case "user_change", "team_join", "dnd_updated_user", "emoji_changed", "subteam_updated", "subteam_created":
		return "", true
	}
	return "", false
}
