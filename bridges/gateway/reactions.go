package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/mappings"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Reactions: XMPP has a set per person and message (XEP-0444), networks add and remove single ones. Table tableReactions, owner the portal, holds
//
//	m/<message id>/<who>      the set of one person, as JSON
//	r/<reaction's remote id>  which message, person and emoji it is, where the network gives reactions ids
//
// Who is a puppet's or person's bare JID. An event that leaves the set as it is, is an echo or a repetition: time plays no part.

// reactionSet is somebody's reactions to one message.
type reactionSet struct {
	Emoji []string `json:"emoji"`
}

// reactionRow is what one reaction with an id of its own is.
type reactionRow struct {
	Target storage.MessageID `json:"target"`
	Remote string            `json:"remote"`
	Who    sdk.RemoteUserID  `json:"who"`
	Emoji  string            `json:"emoji"`
}

func setKey(id storage.MessageID, who string) string {
	return fmt.Sprintf("m/%016x/%s", int64(id), who)
}

func (p *portal) reactions(ctx context.Context, id storage.MessageID, who string) (reactionSet, []byte, error) {
	var s reactionSet
	b, err := p.b.m.d.Store.Table(tableReactions).Get(ctx, p.key, setKey(id, who))
	if errors.Is(err, storage.ErrNotFound) {
		return s, nil, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		return s, nil, fmt.Errorf("gateway: reactions: %w", err)
	}
	return s, b, nil
}

// putReactions is the row operation that stores a set.
func (p *portal) putReactions(id storage.MessageID, who string, s reactionSet) storage.PutRow {
	b, err := json.Marshal(s)
	if err != nil { // strings only: cannot happen
		b = []byte("{}")
	}
	return storage.PutRow{Table: tableReactions, Owner: p.key, Key: setKey(id, who), Value: b}
}

func onReaction(ctx context.Context, a *arrival) {
	e := a.event.(*sdk.Reaction)
	if a.ownChange(ctx) {
		return
	}
	if a.p.room().IsZero() {
		a.ok() // reactions in direct chats have nobody's archive to stand in
		return
	}
	a.p.settle(ctx)
	t := a.target(ctx, e.Target)
	if t == nil {
		a.ok()
		return
	}
	if e.Change == sdk.ReactionClear || e.Change == sdk.ReactionClearOne {
		a.clearReactions(ctx, e, t)
		return
	}
	q, err := a.author(ctx, nil)
	if err == nil && q == nil {
		a.done(rejected("a reaction has an actor"))
		return
	}
	if err != nil {
		a.done(outcome{err: err})
		return
	}
	old, _, err := a.p.reactions(ctx, t.pair.Stanza, q.jid.String())
	if err != nil {
		a.done(outcome{err: err})
		return
	}
	next := applyReaction(old.Emoji, e.Change, e.Emoji)
	a.showReactions(ctx, q, t, old.Emoji, next, func(rec *event.MessageRecord) {
		if e.Message != "" && e.Change == sdk.ReactionAdd && len(e.Emoji) == 1 {
			b, err := json.Marshal(reactionRow{t.pair.Stanza, t.pair.Remote, q.remote, e.Emoji[0].Text})
			if err == nil {
				rec.Unit.Add(storage.PutRow{Table: tableReactions, Owner: a.p.key, Key: "r/" + string(e.Message), Value: b})
			}
		}
	})
}

// maxReactions bounds the set of one person.
const maxReactions = 32

// applyReaction is the set after a change.
func applyReaction(old []string, change sdk.ReactionChange, emoji []sdk.Emoji) []string {
	var texts []string
	for _, e := range emoji {
		if t := mappings.Cut(strings.TrimSpace(e.Text), 16, 64); t != "" && !slices.Contains(texts, t) {
			texts = append(texts, t)
		}
	}
	next := slices.Clone(old)
	switch change {
	case sdk.ReactionAdd:
		for _, t := range texts {
			if !slices.Contains(next, t) {
				next = append(next, t)
			}
		}
	case sdk.ReactionRemove:
		next = slices.DeleteFunc(next, func(t string) bool { return slices.Contains(texts, t) })
	case sdk.ReactionSet:
		next = texts
	}
	return next[:min(len(next), maxReactions)]
}

// showReactions emits a set if it is another one than before, and answers the event.
func (a *arrival) showReactions(ctx context.Context, q *puppet, t *found, old, next []string, more func(*event.MessageRecord)) {
	if sameSet(old, next) {
		a.ok()
		return
	}
	id := a.p.wireID(ctx, t.pair.Stanza)
	a.inject(ctx, q, injected{payload: mappings.WriteReactions(id, next), sort: "reaction", note: note{Op: opReact, Target: t.pair.Stanza}, record: func(rec *event.MessageRecord) {
		rec.Unit.Add(a.p.putReactions(t.pair.Stanza, q.jid.String(), reactionSet{next}))
		if more != nil {
			more(rec)
		}
	}})
	a.p.settle(ctx) // the next change builds on this set
}

func sameSet(a, b []string) bool {
	x, y := slices.Clone(a), slices.Clone(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

// clearReactions takes everybody's reactions away, or everybody's of one sort: one set each.
func (a *arrival) clearReactions(ctx context.Context, e *sdk.Reaction, t *found) {
	prefix := setKey(t.pair.Stanza, "")
	rows, err := a.b.m.d.Store.Table(tableReactions).Range(ctx, a.p.key, prefix, prefix+"\xff", 1000, false)
	if err != nil {
		a.done(outcome{err: err})
		return
	}
	done := a.done
	for _, row := range rows {
		var s reactionSet
		q, err := a.puppetOf(ctx, strings.TrimPrefix(row.Key, prefix))
		if err != nil || q == nil || json.Unmarshal(row.Value, &s) != nil {
			continue
		}
		var next []string
		if e.Change == sdk.ReactionClearOne {
			next = applyReaction(s.Emoji, sdk.ReactionRemove, e.Emoji)
		}
		result := make(chan outcome, 1)
		one := *a
		head := *a.head
		head.ID += sdk.EventID("/" + q.remote)
		one.head, one.done = &head, func(o outcome) { result <- o }
		one.showReactions(ctx, q, t, s.Emoji, next, nil)
		if o := <-result; o.err != nil {
			done(o)
			return
		}
	}
	a.ok()
}

// reactionByID deals with the retraction of a reaction that has an id of its own; was tells that it was one, and the event has been answered.
func (a *arrival) reactionByID(ctx context.Context, id sdk.RemoteMessageID) (was bool, err error) {
	b, err := a.b.m.d.Store.Table(tableReactions).Get(ctx, a.p.key, "r/"+string(id))
	if errors.Is(err, storage.ErrNotFound) {
		return false, nil
	}
	var row reactionRow
	if err == nil {
		err = json.Unmarshal(b, &row)
	}
	if err != nil {
		return true, fmt.Errorf("gateway: reactions: %w", err)
	}
	q, err := a.b.puppets.known(ctx, row.Who)
	if err != nil {
		return true, err
	}
	if q == nil || a.p.room().IsZero() {
		a.ok()
		return true, nil
	}
	old, _, err := a.p.reactions(ctx, row.Target, q.jid.String())
	if err != nil {
		return true, err
	}
	next := applyReaction(old.Emoji, sdk.ReactionRemove, []sdk.Emoji{{Text: row.Emoji}})
	t := &found{pair: storage.IDPair{Stanza: row.Target}}
	a.showReactions(ctx, q, t, old.Emoji, next, func(rec *event.MessageRecord) {
		rec.Unit.Add(storage.DeleteRow{Table: tableReactions, Owner: a.p.key, Key: "r/" + string(id)})
	})
	return true, nil
}
