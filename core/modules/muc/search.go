package muc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/rsm"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// searchFeature: finding public rooms of the service by words (XEP-0433). There is no index: the list of public rooms is read in slices, in the
// asker's goroutine; nothing is remembered between pages.
func searchFeature(d *dispatch) {
	d.routes = append(d.routes, func(m *Module) module.IQRoute {
		return module.IQRoute{Scope: Scope, Type: stanza.TypeGet, Space: ns.ChannelSearch, Local: "search", Handle: m.search}
	})
}

// Bounds of one request.
const (
	searchPage  = 50
	searchMost  = 100
	searchScan  = 20000 // rooms that are looked at; a page may end before it is full
	searchSlice = 500
)

// search answers a request: with the form if it has none, with a page of rooms otherwise.
func (m *Module) search(ctx context.Context, req *module.Request) (*xmlstream.Node, error) {
	h := m.hosts[req.Target().Domain()]
	if h == nil || req.Target().HasLocal() || req.Target().IsFull() {
		return nil, notHere()
	}
	q := req.Query.Node()
	s, err := readSearch(q)
	switch {
	case err != nil:
		return nil, err
	case s == nil:
		return xmlstream.NewNode(ns.ChannelSearch, "search").Add(searchForm().Node()), nil
	}
	f := &finder{m: m, h: h, s: s, seats: m.occupied(h), left: searchScan}
	if err := f.find(ctx); err != nil {
		return nil, err
	}
	out := xmlstream.NewNode(ns.ChannelSearch, "result").Add(f.items...)
	return out.Add(rsm.Result{First: f.first, Last: f.last, Index: -1, Count: -1}.Node()), nil
}

// occupied returns how many are in the rooms of a host that are in memory and not empty. What is counted may be a moment old.
func (m *Module) occupied(h *host) map[jid.JID]int {
	out := map[jid.JID]int{}
	m.rooms.each(func(a *actor) {
		if n := int(a.seats.Load()); n > 0 && a.h == h {
			out[a.jid] = n
		}
	})
	return out
}

// census notes how many are in the room; it is called by the room's goroutine when it has done something.
func (a *actor) census() {
	n := 0
	if a.room != nil {
		n = a.room.Len()
	}
	a.seats.Store(int64(n))
}

// finder is one search.
type finder struct {
	m           *Module
	h           *host
	s           *search
	seats       map[jid.JID]int
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
	list := make([]jid.JID, 0, len(f.seats))
	for at := range f.seats {
		list = append(list, at)
	}
	order := func(a, b jid.JID) int {
		return cmp.Or(f.seats[b]-f.seats[a], strings.Compare(a.String(), b.String()))
	}
	slices.SortFunc(list, order)
	seats, at, err := seatsCursor(f.s.after)
	if err != nil {
		return err
	}
	for _, j := range list {
		if f.full() {
			return nil
		}
		if n := f.seats[j]; f.s.after != "" && (n > seats || n == seats && j.String() <= at) {
			continue
		}
		row, err := f.m.d.Store.Rooms().Get(ctx, j.String())
		if errors.Is(err, storage.ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("muc: search: %w", err)
		}
		if err := f.look(row, j, cursorSeats+strconv.Itoa(f.seats[j])+":"+j.String()); err != nil {
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
		rows, err := f.m.d.Store.Rooms().List(ctx, f.h.spec.Name, true, storage.Page{After: after, Limit: searchSlice})
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
			if empty && f.seats[j] > 0 {
				continue
			}
			if err := f.look(row, j, cursorAddress+row.JID); err != nil {
				return err
			}
		}
		if len(rows) < searchSlice {
			return nil
		}
	}
	return nil
}

// look adds a room to the page if it is what is looked for.
func (f *finder) look(row storage.RoomRow, at jid.JID, cursor string) error {
	f.left--
	n := f.seats[at]
	if row.Public && n >= f.s.minSeats {
		c, err := room.DecodeConfig(row.Config)
		if err != nil {
			return fmt.Errorf("muc: search: %w", err)
		}
		if f.s.matches(c, at) {
			f.items = append(f.items, searchItem(c, at, n))
			if f.first == "" {
				f.first = cursor
			}
			f.last = cursor
			return nil
		}
	}
	if f.left <= 0 { // the next request goes on here
		f.last = cursor
		if f.first == "" {
			f.first = cursor
		}
	}
	return nil
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
