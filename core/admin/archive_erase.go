package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// scopes of "archive erase": whose archives are looked through for what a person has written, beside her own.
var scopes = map[string][]storage.RefKind{
	"own":        nil,
	"rooms":      {storage.Room},
	"everywhere": {storage.Room, storage.Archive},
}

// erasure is what "archive erase" is asked for.
type erasure struct {
	owner   jid.JID
	kind    storage.RefKind
	through storage.MessageID // 0: all
	scope   string
	what    string
}

func (c *Archives) readErasure(r *Request) (e erasure, err error) {
	if e.owner, e.kind, err = c.owner(r.Args[0]); err != nil {
		return e, err
	}
	e.what = "everything"
	if v := r.Flag("before"); v != "" {
		at, err := parseWhen(v)
		if err != nil {
			return e, err
		}
		e.through, e.what = storage.MessageID(at.UnixMilli()<<20)-1, "what is older than "+at.Format(time.RFC3339)
		if e.through < 0 {
			return e, Usagef("there are no messages from before %s", at.Format(time.RFC3339))
		}
	}
	if e.scope = r.Flag("scope"); e.scope == "" {
		e.scope = "own"
	}
	others, ok := scopes[e.scope]
	if !ok {
		return e, Usagef("%q is no scope; use own, rooms or everywhere", e.scope)
	}
	if len(others) > 0 && e.kind == storage.Room {
		return e, Usagef("%s is a room: only a person has written in the archives of others; leave out --scope", e.owner)
	}
	if !r.Is("yes") {
		return e, Usagef("this deletes %s from the archive of %s%s; say --yes", e.what, e.owner, map[string]string{
			"rooms":      ", and of what she has written in the rooms of this server",
			"everywhere": ", and of what she has written in the rooms of this server and in the archives of all its people",
		}[e.scope])
	}
	return e, nil
}

func (c *Archives) erase(ctx context.Context, r *Request) (Result, error) {
	e, err := c.readErasure(r)
	if err != nil {
		return Result{}, err
	}
	total, err := c.Messages.CountRange(ctx, e.kind, e.owner.String(), storage.Range{Before: before(e.through)})
	if err != nil {
		return Result{}, err
	}
	own := 0
	err = c.wait(ctx, storage.NewTrim(c.Messages, e.kind, e.owner.String(), e.through, func(n int) {
		own += n
		r.Progress(int64(own), int64(total), "messages")
	}))
	if err != nil {
		return Result{}, fmt.Errorf("archive erase: %w", err)
	}
	if e.kind == storage.Room && own > 0 {
		c.forget(ctx, e.owner.String())
	}
	data := map[string]any{"jid": e.owner.String(), "messages": own}
	text := fmt.Sprintf("%d messages were deleted from the archive of %s.", own, e.owner)
	if e.scope == "own" {
		return Result{Data: data, Text: text}, nil
	}
	w := &written{c: c, author: e.owner, before: before(e.through), kinds: scopes[e.scope], counts: map[storage.RefKind]int{}}
	w.progress = func(n int) { r.Progress(int64(n), 0, "messages of others' archives") }
	if err := c.wait(ctx, w); err != nil {
		return Result{}, fmt.Errorf("archive erase: %w", err)
	}
	for _, room := range w.rooms {
		c.forget(ctx, room)
	}
	data["in_rooms"], data["in_others"] = w.counts[storage.Room], w.counts[storage.Archive]
	text += fmt.Sprintf("\n%d that she wrote were deleted from rooms.", w.counts[storage.Room])
	if e.scope == "everywhere" {
		text += fmt.Sprintf("\n%d that she wrote were deleted from the archives of others.", w.counts[storage.Archive])
	}
	return Result{Data: data, Text: text}, nil
}

// before is the end of a range that goes through an id; 0 is open.
func before(through storage.MessageID) storage.MessageID {
	if through == 0 {
		return 0
	}
	return through + 1
}

// forget has a room that is awake read its history anew. If it cannot, it shows what is gone to those who enter until it goes to rest.
func (c *Archives) forget(ctx context.Context, room string) {
	at, err := jid.Parse(room)
	if err == nil && c.Forget != nil {
		err = c.Forget(ctx, at)
	}
	if err != nil && c.Log != nil {
		c.Log.Warn("a room keeps its history in memory for a while", "room", room, "err", err)
	}
}

// written is a Work that removes from the archives of others what somebody has written.
type written struct {
	c        *Archives
	author   jid.JID
	before   storage.MessageID
	kinds    []storage.RefKind // that are left, the first is under way
	page     []string          // owners that are left of the page
	after    string            // the last owner of the page
	last     bool              // the page is the last of its kind
	at       storage.MessageID // what of the first owner has been looked at
	touched  bool              // something of hers was in the archive of the first owner
	rooms    []string          // from which something was taken
	taken    int               // by the slice under way
	counts   map[storage.RefKind]int
	all      int
	progress func(n int)
}

const (
	ownersPerPage  = 200
	ownersPerSlice = 50
	eraseSlice     = 100
)

// Next implements journal.Work.
func (w *written) Next(ctx context.Context, _ time.Duration, failed error) (*journal.Unit, error) {
	if failed != nil {
		return nil, failed
	}
	if w.taken > 0 {
		w.all += w.taken
		w.counts[w.kinds[0]] += w.taken
		w.taken = 0
		w.progress(w.all)
	}
	u := journal.NewUnit(journal.Lane{Kind: journal.LaneServer, Key: "erase"})
	for range ownersPerSlice {
		if ok, err := w.owner(ctx); err != nil || !ok {
			return nil, err
		}
		more, err := w.slice(ctx, u)
		if err != nil {
			return nil, err
		}
		if w.taken > 0 {
			w.touched = true
		}
		if !u.Empty() || more {
			return u, nil
		}
		w.done()
	}
	return u, nil
}

// owner makes sure that the first of the page is the next archive that is not hers; false at the end.
func (w *written) owner(ctx context.Context) (ok bool, err error) {
	for {
		switch {
		case len(w.kinds) == 0:
			return false, nil
		case len(w.page) > 0 && w.page[0] == w.author.String():
			w.page = w.page[1:]
		case len(w.page) > 0:
			return true, nil
		case w.last:
			w.kinds, w.after, w.last = w.kinds[1:], "", false
		default:
			if w.page, err = w.c.Messages.Owners(ctx, w.kinds[0], storage.Page{After: w.after, Limit: ownersPerPage}); err != nil {
				return false, err
			}
			w.last = len(w.page) < ownersPerPage
			if len(w.page) > 0 {
				w.after = w.page[len(w.page)-1]
			}
		}
	}
}

// slice takes the next of her messages out of the archive that has its turn; more tells that there may be others.
func (w *written) slice(ctx context.Context, u *journal.Unit) (more bool, err error) {
	kind, owner := w.kinds[0], w.page[0]
	list, more, err := w.c.Messages.List(ctx, kind, owner, storage.Range{Peer: w.author.String(), After: w.at, Before: w.before, Limit: eraseSlice})
	if err != nil {
		return false, err
	}
	for _, s := range list {
		w.at = s.ID
		if kind == storage.Archive && !w.hers(s.Body) {
			continue
		}
		u.Add(storage.DeleteRef{Kind: kind, Owner: owner, ID: s.ID})
		w.taken++
	}
	return more, nil
}

// hers tells whether she has sent a message of a conversation with her.
func (w *written) hers(body []byte) bool {
	st, err := stanza.Unmarshal(body)
	return err == nil && st.From.Bare() == w.author
}

// done leaves an archive.
func (w *written) done() {
	if w.touched && w.kinds[0] == storage.Room {
		w.rooms = append(w.rooms, w.page[0])
	}
	w.page, w.at, w.touched = w.page[1:], 0, false
}

// wait gives a work to the journal and waits for its end.
func (c *Archives) wait(ctx context.Context, work journal.Work) error {
	w := &waited{ctx: ctx, end: make(chan error, 1), Work: work}
	c.Journal.Background(w)
	select {
	case err := <-w.end:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// errPanicked: what was waited for has ended in a way of its own; the journal has logged it.
var errPanicked = errors.New("the work panicked; the log says where")

// waited is a Work whose end is told, and that ends when nobody waits any more.
type waited struct {
	journal.Work
	ctx context.Context
	end chan error
}

// Next implements journal.Work.
func (w *waited) Next(ctx context.Context, budget time.Duration, failed error) (u *journal.Unit, err error) {
	if w.ctx.Err() != nil {
		return nil, nil
	}
	err = errPanicked
	defer func() {
		if u == nil || err != nil {
			w.end <- err
		}
	}()
	return w.Work.Next(ctx, budget, failed)
}

// parseWhen reads a day or a time.
func parseWhen(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, strings.TrimSpace(s)); err == nil {
			return at, nil
		}
	}
	return time.Time{}, Usagef("%q is not a time; write 2026-11-20 or 2026-11-20T12:00:00Z", s)
}
