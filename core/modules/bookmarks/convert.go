package bookmarks

import (
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// bookmark is one room, in neither form.
type bookmark struct {
	room       string // bare JID, the item's id
	name       string
	autojoin   bool
	nick       string
	password   string
	extensions []*xmlstream.Node // children of <extensions/>: other namespaces' (XEP-0402 §2)
}

// same tells whether two say the same. A list without extensions says nothing about them: clients of XEP-0048 do not know them.
func (b *bookmark) same(o *bookmark) bool {
	return b.room == o.room && b.name == o.name && b.autojoin == o.autojoin && b.nick == o.nick && b.password == o.password &&
		slices.EqualFunc(b.extensions, o.extensions, func(x, y *xmlstream.Node) bool { return x.String() == y.String() })
}

// readConference reads a <conference/> of either namespace.
func readConference(room string, n *xmlstream.Node) *bookmark {
	b := &bookmark{room: room, name: n.Attr("name")}
	if on, err := form.ParseBool(n.Attr("autojoin")); err == nil { // the same lexical forms of xs:boolean
		b.autojoin = on
	}
	for c := range n.Elements() {
		if c.Name.Space != n.Name.Space {
			continue
		}
		switch c.Name.Local {
		case "nick":
			b.nick = c.TextContent()
		case "password":
			b.password = c.TextContent()
		case "extensions":
			b.extensions = slices.Collect(c.Elements())
		}
	}
	return b
}

// node writes the <conference/> in one of the two namespaces; the older one names the room (XEP-0402 §5.3.1).
func (b *bookmark) node(space string) *xmlstream.Node {
	n := xmlstream.NewNode(space, "conference")
	if space == ns.BookmarksStorage {
		n.SetAttr("jid", b.room)
	}
	if b.name != "" {
		n.SetAttr("name", b.name)
	}
	if b.autojoin {
		n.SetAttr("autojoin", "true")
	}
	if b.nick != "" {
		n.AddNew("nick").SetText(b.nick)
	}
	if b.password != "" {
		n.AddNew("password").SetText(b.password)
	}
	if len(b.extensions) > 0 {
		e := n.AddNew("extensions")
		for _, x := range b.extensions {
			e.Add(x.Clone())
		}
	}
	return n
}

// item writes the <item/> of XEP-0402.
func (b *bookmark) item() *xmlstream.Node {
	return xmlstream.NewNode(ns.PubSub, "item", "id", b.room).Add(b.node(ns.Bookmarks))
}

// roomOf returns the canonical address of a room, "" if it is none.
func roomOf(s string) string {
	j, err := jid.Parse(s)
	if err != nil || !j.HasLocal() {
		return ""
	}
	return j.Bare().String()
}

// readItems reads the items of the node of XEP-0402, which come newest first; the list is in the order in which they were made.
func readItems(items []*xmlstream.Node) []*bookmark {
	var out []*bookmark
	for i := len(items) - 1; i >= 0; i-- {
		c := items[i].Child(ns.Bookmarks, "conference")
		if room := items[i].Attr("id"); c != nil && roomOf(room) != "" {
			out = append(out, readConference(room, c))
		}
	}
	return out
}

// readStorage reads a list of XEP-0048: the rooms, and everything else that is in it (bookmarks of web pages).
func readStorage(storage *xmlstream.Node) (list []*bookmark, rest []*xmlstream.Node) {
	at := map[string]int{}
	for c := range storage.Elements() {
		room := ""
		if c.Name.Space == ns.BookmarksStorage && c.Name.Local == "conference" {
			room = roomOf(c.Attr("jid"))
		}
		if room == "" {
			rest = append(rest, c)
			continue
		}
		b := readConference(room, c)
		if i, twice := at[room]; twice {
			list[i] = b // one room, one bookmark
			continue
		}
		at[room] = len(list)
		list = append(list, b)
	}
	return list, rest
}

// writeStorage makes a list of XEP-0048.
func writeStorage(list []*bookmark, rest []*xmlstream.Node) *xmlstream.Node {
	n := xmlstream.NewNode(ns.BookmarksStorage, "storage")
	for _, b := range list {
		n.Add(b.node(ns.BookmarksStorage))
	}
	for _, r := range rest {
		n.Add(r.Clone())
	}
	return n
}

// difference is what turns one list into another.
type difference struct {
	publish []*xmlstream.Node // items
	retract []string
}

// diff compares the bookmarks that there are with those that a client of XEP-0048 wants. Unchanged ones are left alone (XEP-0402 §5.3.2). There may be
// thousands, and others wait: each is looked at once.
func diff(have, want []*bookmark) difference {
	var d difference
	had, wanted := make(map[string]*bookmark, len(have)), make(map[string]bool, len(want))
	rooms := make([]string, len(have))
	for i, h := range have {
		if rooms[i] = roomOf(h.room); had[rooms[i]] == nil {
			had[rooms[i]] = h
		}
	}
	for _, w := range want {
		wanted[w.room] = true
		h := had[w.room]
		if h == nil {
			d.publish = append(d.publish, w.item())
			continue
		}
		next := *w
		next.room = h.room // the id as it was given
		if len(next.extensions) == 0 {
			next.extensions = h.extensions
		}
		if !next.same(h) {
			d.publish = append(d.publish, next.item())
		}
	}
	for i, h := range have {
		if !wanted[rooms[i]] {
			d.retract = append(d.retract, h.room)
		}
	}
	return d
}
