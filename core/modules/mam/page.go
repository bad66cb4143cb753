package mam

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/payload/rsm"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// A page fits several times into what waits for a client, so that one that asks for the archives of its rooms at once is not cut off.
const (
	maxPage      = 100
	maxPageBytes = 256 << 10
	// maxScan bounds how many messages are read for one page where the stanzas decide; the page is then shorter than it could be.
	maxScan = 5000
	// maxCount bounds what is counted without being asked for.
	maxCount = 1000
)

// hit is a message of a page.
type hit struct {
	storage.Stored
	st *stanza.Stanza
}

// answer is a page.
type answer struct {
	hits     []hit
	more     bool // there are others in the direction of reading
	unstable bool // the index was behind
	// stop is the last id that was looked at if the scan was cut off: where the next page begins.
	stop  storage.MessageID
	count int // -1: not known
	index int // of the first hit among all that match; -1: not known
}

// answer reads the page of a question.
func (m *Module) answer(ctx context.Context, src *source, q *question) (*answer, error) {
	a := &answer{count: -1, index: -1}
	b := q.bounds()
	if q.nothing || b.Before != 0 && b.After+1 >= b.Before {
		return a, m.count(ctx, src, q, a)
	}
	var err error
	switch {
	case q.ids != nil:
		err = m.byIDs(ctx, src, q, b, a)
	case b.Limit == 0: // XEP-0059 §2.7: only the count
		a.more = true
	default:
		err = m.scan(ctx, src, q, b, a)
	}
	if err != nil {
		return nil, err
	}
	a.fit(q.page.Backward)
	if err := m.count(ctx, src, q, a); err != nil {
		return nil, err
	}
	return a, m.place(ctx, src, q, a)
}

// list reads the next messages of a range, by words if there are any.
func (m *Module) list(ctx context.Context, src *source, q *question, b storage.Range) ([]storage.Stored, bool, error) {
	if q.words != "" {
		return m.finder.Search(ctx, src.kind, src.owner.String(), q.words, b)
	}
	return m.d.Store.Messages().List(ctx, src.kind, src.owner.String(), b)
}

// scan reads until the page is full, the range is at its end, or enough was looked at.
func (m *Module) scan(ctx context.Context, src *source, q *question, b storage.Range, a *answer) error {
	want := b.Limit
	if q.picks() {
		b.Limit = maxPage // what does not fit is left out
	}
	for looked := 0; ; {
		list, more, err := m.list(ctx, src, q, b)
		if err != nil {
			return fmt.Errorf("mam: read page: %w", err)
		}
		if b.Backward {
			slices.Reverse(list)
		}
		full, err := a.take(q, list, want)
		if err != nil {
			return err
		}
		if full || !more || len(list) == 0 {
			a.more = full
			break
		}
		if len(a.hits) == want && !q.picks() {
			a.more = true
			break
		}
		last := list[len(list)-1].ID
		if looked += len(list); looked >= maxScan {
			a.more, a.stop = true, last
			break
		}
		if b.Backward {
			b.Before = last
		} else {
			b.After = last
		}
	}
	if b.Backward {
		slices.Reverse(a.hits)
	}
	return nil
}

// take adds those of a list that fit; full tells that there is one more than wanted.
func (a *answer) take(q *question, list []storage.Stored, want int) (full bool, err error) {
	for _, s := range list {
		h, ok, err := q.fits(s)
		if err != nil {
			return false, err
		}
		if !ok {
			continue
		}
		if len(a.hits) == want {
			return true, nil
		}
		a.hits = append(a.hits, h)
	}
	return false, nil
}

// byIDs reads the messages that were asked for by their ids; they are few, so those outside the page are counted, too.
func (m *Module) byIDs(ctx context.Context, src *source, q *question, b storage.Range, a *answer) error {
	var page []hit
	a.count, a.index = 0, 0
	for _, id := range q.ids {
		if !within(id, q.match) {
			continue
		}
		s, err := m.d.Store.Messages().Get(ctx, src.kind, src.owner.String(), id)
		if errors.Is(err, storage.ErrNotFound) { // removed since the question was read
			return notThere()
		}
		if err != nil {
			return fmt.Errorf("mam: read message: %w", err)
		}
		if b.Peer != "" && s.Peer != b.Peer {
			continue
		}
		h, ok, err := q.fits(s)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		a.count++
		switch {
		case within(id, b):
			page = append(page, h)
		case len(page) == 0:
			a.index++
		}
	}
	out := max(len(page)-b.Limit, 0)
	a.more = out > 0
	if b.Backward {
		a.index += out
		page = page[out:]
	} else {
		page = page[:len(page)-out]
	}
	a.hits = page
	return nil
}

func within(id storage.MessageID, r storage.Range) bool {
	return id > r.After && (r.Before == 0 || id < r.Before)
}

// fits reads a stored message and looks whether its addresses match (§3.1.1).
func (q *question) fits(s storage.Stored) (hit, bool, error) {
	if q.known != "" && (s.Peer != q.known || !event.KnownAuthor(s.Note)) {
		return hit{}, false, nil
	}
	st, err := stanza.Unmarshal(s.Body)
	if err != nil {
		return hit{}, false, fmt.Errorf("mam: read message: %w", err)
	}
	return hit{s, st}, q.with.IsZero() || st.From == q.with || st.To == q.with, nil
}

// fit cuts the page to what a client's queue takes; at least one message stays.
func (a *answer) fit(backward bool) {
	size := 0
	for i := range a.hits {
		at := i
		if backward {
			at = len(a.hits) - 1 - i
		}
		if size += len(a.hits[at].Body); size <= maxPageBytes || i == 0 {
			continue
		}
		a.more, a.stop = true, 0
		if backward {
			a.hits = a.hits[at+1:]
		} else {
			a.hits = a.hits[:at]
		}
		return
	}
}

// count finds how many messages match, if that is cheap or all that was asked for (XEP-0059 §2.2, §2.7).
func (m *Module) count(ctx context.Context, src *source, q *question, a *answer) error {
	whole := !a.more && q.after == 0 && q.before == 0
	switch {
	case a.count >= 0:
		return nil
	case q.nothing:
		a.count = 0
		return nil
	case whole:
		a.count = len(a.hits)
		return nil
	case !q.plain(), q.match.Peer != "" && q.page.Max != 0: // a person's messages are found by looking at all
		return nil
	}
	r := q.match
	r.Limit = maxCount + 1
	if q.page.Max == 0 {
		r.Limit = 0
	}
	n, err := m.d.Store.Messages().CountRange(ctx, src.kind, src.owner.String(), r)
	if err != nil {
		return fmt.Errorf("mam: count: %w", err)
	}
	if q.page.Max == 0 {
		a.more = n > 0
	}
	if r.Limit == 0 || n <= maxCount {
		a.count = n
	}
	return nil
}

// place finds the position of the page, if it takes no more than counting did (XEP-0059 §2.6 leaves it out where it would).
func (m *Module) place(ctx context.Context, src *source, q *question, a *answer) error {
	switch {
	case len(a.hits) == 0 || q.ids != nil:
	case !q.page.Backward && q.after == 0:
		a.index = 0
	case a.count < 0:
	case q.page.Backward && q.before == 0:
		a.index = a.count - len(a.hits)
	case q.plain() && q.match.Peer == "":
		r := q.match
		r.Before = a.hits[0].ID
		n, err := m.d.Store.Messages().CountRange(ctx, src.kind, src.owner.String(), r)
		if err != nil {
			return fmt.Errorf("mam: count: %w", err)
		}
		a.index = n
	}
	return nil
}

// result describes the page (XEP-0059 §2.2). The first is the oldest, also of a flipped page.
func (a *answer) result(src *source, q *question) rsm.Result {
	r := rsm.Result{Index: a.index, Count: a.count}
	if len(a.hits) == 0 {
		r.Index = -1
		if a.stop != 0 { // what was looked at without finding anything: the next page goes on behind it
			r.First = src.encode(a.stop)
			r.Last = r.First
		}
		return r
	}
	r.First, r.Last = src.encode(a.hits[0].ID), src.encode(a.hits[len(a.hits)-1].ID)
	if a.stop != 0 && q.page.Backward {
		r.First = src.encode(a.stop)
	} else if a.stop != 0 {
		r.Last = src.encode(a.stop)
	}
	return r
}
