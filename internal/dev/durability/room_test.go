package durability

import (
	"context"
	"fmt"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/internal/dev/programtest"
)

const room = "wall@rooms." + domain

// enter has the writer enter the room, if she speaks in one, and waits until she is in it (XEP-0045 §7.2.2).
func (p *pair) enter(ctx context.Context, c *Client) error {
	if p.room == "" {
		return nil
	}
	me, in := p.room+"/"+p.writer, false
	c.Watch(func(n *xmlstream.Node) {
		in = in || n.Name.Local == "presence" && n.Attr("from") == me && n.Attr("type") == ""
	})
	defer c.Watch(nil)
	if err := c.Send("<presence to='"+me+"'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>", ""); err != nil {
		return err
	}
	return c.Wait(ctx, func() bool { return in })
}

// makeRoom makes the room one that stays (XEP-0045 §10.1.3).
func (s *services) makeRoom(ctx context.Context, srv *programtest.Server) {
	p := s.pairs[0]
	c := s.login(ctx, srv, p.writer)
	defer c.Close()
	if err := p.enter(ctx, c); err != nil {
		s.t.Fatal(err)
	}
	if _, err := c.Ask(ctx, "room", "<iq type='set' id='room' to='"+room+`'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>
<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>
<field var='muc#roomconfig_persistentroom'><value>1</value></field></x></query></iq>`); err != nil {
		s.t.Fatal(err)
	}
}

// kept is a message in the room's archive.
type kept struct{ id, nick, body string }

// archive reads the room's archive, page after page (XEP-0313 §3.3).
func (s *services) archive(ctx context.Context, c *Client) (all []kept) {
	s.t.Helper()
	var page []kept
	c.Watch(func(n *xmlstream.Node) {
		res := n.Child(ns.MAM, "result")
		if res == nil || n.Attr("from") != room {
			return
		}
		k := kept{id: res.Attr("id")}
		if f := res.Child(ns.Forward, "forwarded"); f != nil {
			if m := f.Child(ns.Client, "message"); m != nil {
				_, k.nick, _ = strings.Cut(m.Attr("from"), "/")
				if b := m.Child(ns.Client, "body"); b != nil {
					k.body = b.TextContent()
				}
			}
		}
		page = append(page, k)
	})
	defer c.Watch(nil)
	after := ""
	for i := 0; ; i++ {
		page = nil
		id := fmt.Sprintf("page-%d", i)
		n, err := c.Ask(ctx, id, "<iq type='set' id='"+id+"' to='"+room+"'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>100</max>"+after+"</set></query></iq>")
		if err != nil {
			s.t.Fatal(err)
		}
		fin := n.Child(ns.MAM, "fin")
		if fin == nil {
			s.t.Fatalf("an answer without an end: %s", n)
		}
		all = append(all, page...)
		if fin.Attr("complete") == "true" {
			return all
		}
		if len(page) == 0 {
			s.t.Fatalf("an empty page that is not the last one: %s", n)
		}
		after = "<after>" + page[len(page)-1].id + "</after>"
	}
}

// judgeRoom has the writers say the rest, and compares what was acknowledged with what the room has kept.
func (s *services) judgeRoom(ctx context.Context, srv *programtest.Server) {
	final := map[string]bool{}
	var all []kept
	for i, p := range s.pairs {
		c, b := s.rest(ctx, srv, p)
		final[b] = true
		if i == len(s.pairs)-1 {
			all = s.archive(ctx, c)
		}
		c.Close()
		for id := range p.refused {
			s.t.Errorf("%s came back as an error", id)
		}
	}
	bodies, ids, newest := map[string]bool{}, map[string]bool{}, map[string]string{}
	for _, k := range all {
		if bodies[k.body] || ids[k.id] {
			s.t.Errorf("doubled: %v", k)
		}
		bodies[k.body], ids[k.id] = true, true
		if final[k.body] {
			continue
		}
		if who, _, _ := strings.Cut(k.body, "-"); who != k.nick {
			s.t.Errorf("%v is from somebody else", k)
		}
		if k.body <= newest[k.nick] {
			s.t.Errorf("order: %s stands after %s", k.body, newest[k.nick])
		}
		newest[k.nick] = k.body
	}
	acked := 0
	for _, p := range s.pairs {
		acked += len(p.acked)
		for _, b := range p.acked {
			if !bodies[b] {
				s.t.Errorf("lost: %s was acknowledged and is not in the archive", b)
			}
		}
	}
	for b := range final {
		if !bodies[b] {
			s.t.Errorf("lost: %s", b)
		}
	}
	s.t.Logf("room: %d messages acknowledged, %d kept", acked+len(final), len(all))
}
