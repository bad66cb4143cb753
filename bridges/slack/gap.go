package slack

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	slackgo "github.com/slack-go/slack"

	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Reading back. One question for the newest page of a channel shows, beside what is new,
// what happened to older messages meanwhile: edits, reactions, replies, deletions of those
// that are remembered in the position. Older pages are asked for until the floor is
// reached, or max_gap messages are there.

// found is something to tell, with the message it belongs to.
type found struct {
	at     slackid.TS
	reply  bool
	fresh  bool // a message that the host lacks
	events []sdk.Event
}

// fill reads a channel back, and delivers what the host lacks, oldest first.
func (r *room) fill(ctx context.Context) error {
	list, complete, err := r.back(ctx)
	if err != nil {
		if codeOf(err) != "" && !sdk.AsError(explain("", err)).Temporary {
			return nil // not ours to read (any more): there is nothing to catch up with
		}
		return explain("cannot read the channel back", err)
	}
	var todo []found
	for i := range list {
		out, err := r.look(ctx, &list[i])
		if err != nil {
			return err
		}
		todo = append(todo, out...)
	}
	missing, err := r.missing(ctx, list)
	if err != nil {
		return err
	}
	todo = append(missing, todo...)
	slices.SortStableFunc(todo, func(a, b found) int { return a.at.Compare(b.at) })
	if !complete {
		if todo, err = r.tellGap(ctx, todo, list); err != nil {
			return err
		}
	}
	return r.tell(ctx, todo)
}

// tell delivers in batches; the position moves with each.
func (r *room) tell(ctx context.Context, todo []found) error {
	for len(todo) > 0 {
		pos := r.pos.clone()
		var events []sdk.Event
		n := 0
		for n < len(todo) && len(events) < maxTake {
			f := todo[n]
			if len(f.events) > maxTake {
				f.events = f.events[:maxTake]
			}
			events = append(events, f.events...)
			if f.fresh {
				pos.add(f.at, f.reply)
			}
			n++
		}
		if err := r.hand(ctx, events, pos); err != nil {
			return err
		}
		todo = todo[n:]
	}
	return nil
}

// back reads pages from the newest until the floor; complete says that it was reached.
func (r *room) back(ctx context.Context) (list []message, complete bool, err error) {
	cursor := ""
	fresh := 0
	for {
		page, err := r.page(ctx, slackgo.GetConversationRepliesParameters{ChannelID: r.id, Limit: historyPage, Cursor: cursor})
		if err != nil {
			return nil, false, err
		}
		reached := false
		for _, m := range page.Messages {
			if !m.TS.Valid() {
				continue
			}
			list = append(list, m)
			reached = reached || !m.TS.After(r.pos.floor)
			if r.pos.lacks(m.TS) {
				fresh++
			}
		}
		cursor = page.Cursor
		if reached || cursor == "" || len(page.Messages) == 0 {
			return list, true, nil
		}
		if fresh >= r.c.conf.MaxGap {
			return list, false, nil
		}
	}
}

// page reads a page, and waits rate limits out.
func (r *room) page(ctx context.Context, q slackgo.GetConversationRepliesParameters) (page messagePage, err error) {
	err = r.c.api.patient(ctx, func() (err error) {
		page, err = r.c.api.messages(ctx, q)
		return err
	})
	return page, err
}

// tellGap: more is missing than may be read. The newest part is told; where it begins
// there is a gap, which the server may fill from the history.
func (r *room) tellGap(ctx context.Context, todo []found, list []message) ([]found, error) {
	first := list[len(list)-1].TS
	for _, m := range list {
		if first.After(m.TS) {
			first = m.TS
		}
	}
	h, err := r.c.head(ctx, r.id, first, "", first)
	if err != nil {
		return nil, err
	}
	h.ID, h.History = sdk.EventID("gap:"+string(r.pos.floor)), true
	gap := &sdk.Gap{EventHeader: h, From: timeOf(r.pos.floor), To: timeOf(first), Fillable: true}
	r.pos.raise(first)
	todo = slices.DeleteFunc(todo, func(f found) bool { return f.fresh && first.After(f.at) })
	return append([]found{{at: first, events: []sdk.Event{gap}}}, todo...), nil
}

// look says what the host lacks of a message and its thread.
func (r *room) look(ctx context.Context, m *message) ([]found, error) {
	var out []found
	one, err := r.lookAt(ctx, m)
	if err != nil {
		return nil, err
	}
	out = append(out, one...)
	if m.ReplyCount > 0 && m.LatestReply.After(r.pos.floor) && (r.pos.lacks(m.LatestReply) || m.LatestReply.After(r.pos.newest)) {
		replies, err := r.thread(ctx, m.TS)
		if err != nil {
			return nil, err
		}
		for i := range replies {
			one, err := r.lookAt(ctx, &replies[i])
			if err != nil {
				return nil, err
			}
			out = append(out, one...)
		}
	}
	return out, nil
}

// thread reads the replies to a message that may be new.
func (r *room) thread(ctx context.Context, root slackid.TS) ([]message, error) {
	var out []message
	cursor := ""
	for len(out) < r.c.conf.MaxGap {
		page, err := r.page(ctx, slackgo.GetConversationRepliesParameters{ChannelID: r.id, Timestamp: string(root), Oldest: string(r.pos.floor), Limit: historyPage, Cursor: cursor})
		if codeOf(err) == "thread_not_found" {
			return nil, nil
		}
		if err != nil {
			return nil, explain("cannot read a thread back", err)
		}
		for _, m := range page.Messages {
			// A broadcast reply is in the channel's history, too: it is told once.
			if m.TS.Valid() && m.TS != root && m.SubType != "thread_broadcast" {
				out = append(out, m)
			}
		}
		if cursor = page.Cursor; cursor == "" {
			break
		}
	}
	return out, nil
}

// lookAt says what the host lacks of one message: all of it, or its last edit, or
// reactions.
func (r *room) lookAt(ctx context.Context, m *message) ([]found, error) {
	f := found{at: m.TS, reply: m.ThreadTS != "" && m.ThreadTS != m.TS && m.SubType != "thread_broadcast", fresh: r.pos.lacks(m.TS)}
	var err error
	switch {
	case m.SubType == "tombstone":
		f.fresh = false
		f.events, err = r.c.deleted(ctx, r.id, m.TS, nil, m.TS)
	case f.fresh:
		f.events, err = r.news(ctx, m)
	case m.Edited != nil && m.Edited.TS.After(r.pos.newest):
		f.events, err = r.c.edited(ctx, r.id, m, m.Edited.TS)
	}
	if err != nil && sdk.AsError(err).Temporary {
		return nil, err
	}
	if err != nil {
		r.c.log.Warn("a message that was read back is dropped", "channel", r.id, "ts", string(m.TS), "error", err)
	}
	reactions, err := r.reactions(ctx, m)
	if err != nil {
		return nil, err
	}
	f.events = append(f.events, reactions...)
	if r.c.ago(m.TS) > lateAfter && f.fresh {
		for _, ev := range f.events {
			ev.Head().History = true
		}
	}
	if len(f.events) == 0 && !f.fresh {
		return nil, nil
	}
	return []found{f}, nil
}

// news is a message that is new to the host, or what one of Slack's own says.
func (r *room) news(ctx context.Context, m *message) ([]sdk.Event, error) {
	if m.Edited != nil {
		r.c.memory.shown.put(place{r.id, m.TS}, m.Edited.TS)
	}
	switch m.SubType {
	case "channel_join", "group_join":
		return r.c.member(ctx, r.id, m.User, m.Inviter, true, m.TS)
	case "channel_leave", "group_leave":
		return r.c.member(ctx, r.id, m.User, "", false, m.TS)
	case "channel_topic", "group_topic":
		return r.c.topicChanged(ctx, r.id, m)
	case "channel_name", "group_name":
		return r.c.renamed(ctx, r.id, m.Name, m.TS)
	}
	if m.SubType != "" && strings.Contains(silent, " "+m.SubType+" ") {
		return nil, nil
	}
	return r.c.newMessage(ctx, r.id, m)
}

// reactions are everybody's sets at a message; one that the host has already changes
// nothing there.
func (r *room) reactions(ctx context.Context, m *message) ([]sdk.Event, error) {
	self, err := r.c.me()
	if err != nil {
		return nil, err
	}
	sets := map[string][]string{}
	for _, one := range m.Reactions {
		for _, who := range one.Users {
			if who != self.User {
				sets[who] = append(sets[who], one.Name)
			}
		}
	}
	var out []sdk.Event
	for who, names := range sets {
		h, err := r.c.head(ctx, r.id, cmp.Or(m.ThreadTS, m.TS), who, r.pos.newest)
		if err != nil {
			return nil, err
		}
		slices.Sort(names)
		sum := sha256.Sum256([]byte(strings.Join(names, " ")))
		h.ID, h.Version = sdk.EventID("reacts:"+string(m.TS)+":"+who), string(r.pos.newest)+"/"+hex.EncodeToString(sum[:6])
		ev := &sdk.Reaction{EventHeader: h, Target: sdk.MessageRef{ID: sdk.RemoteMessageID(m.TS)}, Change: sdk.ReactionSet}
		for _, name := range names {
			ev.Emoji = append(ev.Emoji, r.c.emoji(ctx, name))
		}
		out = append(out, ev)
	}
	slices.SortFunc(out, func(a, b sdk.Event) int { return cmp.Compare(a.Head().ID, b.Head().ID) })
	return out, nil
}

// missing are messages that the host has, within what was read, and Slack no longer has.
func (r *room) missing(ctx context.Context, list []message) ([]found, error) {
	if len(list) == 0 {
		return nil, nil
	}
	first := list[0].TS
	there := map[slackid.TS]bool{}
	for _, m := range list {
		there[m.TS] = true
		if first.After(m.TS) {
			first = m.TS
		}
	}
	var out []found
	for _, ts := range r.pos.sorted() {
		if r.pos.seen[ts] || there[ts] || !ts.After(first) {
			continue
		}
		events, err := r.c.deleted(ctx, r.id, ts, nil, r.pos.newest)
		if err != nil {
			return nil, err
		}
		for _, ev := range events {
			if by, _ := r.c.memory.deleted.get(place{r.id, ts}); !by {
				out = append(out, found{at: ts, events: []sdk.Event{ev}})
			}
		}
	}
	return out, nil
}
