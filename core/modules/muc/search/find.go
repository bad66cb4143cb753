package search

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// finder is one search.
type finder struct {
	rooms       storage.Rooms
	host        string
	s           *search
	rank        *ranking
	seatsOf     func(jid.JID) int
	left        int // rooms that may still be looked at
	items       []*xmlstream.Node
	first, last string
}

// full tells whether the page has what it can have.
func (f *finder) full() bool { return len(f.items) >= f.s.limit || f.left <= 0 }

// Cursors say where a page ended: among the rooms with people in them, in the order of their number, or among all, by address.
const (
	cursorSeats   = "n:"
	cursorAddress = "a:"
)

// find fills the page.
func (f *finder) find(ctx context.Context) error {
	after, byAddress := strings.CutPrefix(f.s.after, cursorAddress)
	if !f.s.bySeats {
		if f.s.after != "" && !byAddress {
			return stanza.NewError(stanza.ItemNotFound, "this page is of another search") // XEP-0059 §2.2
		}
		return f.byAddress(ctx, after, false)
	}
	if !byAddress {
		if err := f.bySeats(ctx); err != nil || f.full() {
			return err
		}
		after = ""
	}
	if f.s.minSeats > 0 {
		return nil
	}
	return f.byAddress(ctx, after, true)
}

// bySeats looks at the rooms with people in them, those with most first.
func (f *finder) bySeats(ctx context.Context) error {
	seats, at, err := seatsCursor(f.s.after)
	if err != nil {
		return err
	}
	list := f.rank.list
	if f.s.after != "" {
		list = list[sort.Search(len(list), func(i int) bool { return list[i].order(ranked{seats: seats, text: at}) > 0 }):]
	}
	for _, r := range list {
		if f.full() {
			return nil
		}
		row, err := f.rooms.Get(ctx, r.text)
		if errors.Is(err, storage.ErrNotFound) {
			f.pass(cursorSeats + strconv.Itoa(r.seats) + ":" + r.text)
			continue
		}
		if err != nil {
			return fmt.Errorf("muc: search: read room: %w", err)
		}
		if err := f.look(row, r.at, cursorSeats+strconv.Itoa(r.seats)+":"+r.text); err != nil {
			return err
		}
	}
	return nil
}

// seatsCursor reads where a page by number of people ended.
func seatsCursor(s string) (seats int, at string, err error) {
	if s == "" {
		return 0, "", nil
	}
	text, ok := strings.CutPrefix(s, cursorSeats)
	number, at, ok2 := strings.Cut(text, ":")
	seats, err = strconv.Atoi(number)
	if !ok || !ok2 || err != nil {
		return 0, "", stanza.NewError(stanza.ItemNotFound, "there is no such page")
	}
	return seats, at, nil
}

// byAddress looks at all public rooms behind an address; empty leaves out those with people in them, which have been shown before.
func (f *finder) byAddress(ctx context.Context, after string, empty bool) error {
	for !f.full() {
		rows, err := f.rooms.List(ctx, f.host, true, storage.Page{After: after, Limit: slice})
		if err != nil {
			return fmt.Errorf("muc: search: %w", err)
		}
		for _, row := range rows {
			if f.full() {
				return nil
			}
			after = row.JID
			j, err := jid.Parse(row.JID)
			if err != nil {
				return fmt.Errorf("muc: search: stored room: %w", err)
			}
			if empty && f.rank.seats[j] > 0 {
				f.pass(cursorAddress + row.JID)
				continue
			}
			if err := f.look(row, j, cursorAddress+row.JID); err != nil {
				return err
			}
		}
		if len(rows) < slice {
			return nil
		}
	}
	return nil
}

// look adds a room to the page if it is what is looked for.
func (f *finder) look(row storage.RoomRow, at jid.JID, cursor string) error {
	n := f.seatsOf(at)
	if !row.Public || n < f.s.minSeats {
		f.pass(cursor)
		return nil
	}
	c, err := room.DecodeConfig(row.Config)
	if err != nil {
		return fmt.Errorf("muc: search: %w", err)
	}
	if !f.s.matches(c, at) {
		f.pass(cursor)
		return nil
	}
	f.left--
	f.items = append(f.items, searchItem(c, at, n))
	f.first, f.last = cmp.Or(f.first, cursor), cursor
	return nil
}

// pass counts a room that is not what is looked for. If it is the last one that this request may look at, the next one goes on behind it.
func (f *finder) pass(cursor string) {
	if f.left--; f.left <= 0 {
		f.first, f.last = cmp.Or(f.first, cursor), cursor
	}
}

// searchItem describes a room (XEP-0433 §6.2). An unused child is left out; is-open is never false, because clients look whether it is there.
func searchItem(c room.Config, at jid.JID, seats int) *xmlstream.Node {
	item := xmlstream.NewNode(ns.ChannelSearch, "item", "address", at.String())
	text := func(local, v string) {
		if v != "" {
			item.AddNew(local).SetText(v)
		}
	}
	text("name", cmp.Or(c.Name, at.Local()))
	text("description", c.Description)
	text("language", c.Lang)
	text("nusers", strconv.Itoa(seats))
	text("service-type", typeMUC)
	if !c.MembersOnly && c.Password == "" {
		text("is-open", "true")
	}
	if c.NonAnonymous {
		text("anonymity-mode", "{urn:xmpp:channel-search:0:anonymity}none")
	} else {
		text("anonymity-mode", "muc_semianonymous")
	}
	return item
}
