package durability

import (
	"context"
	"fmt"
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/internal/dev/programtest"
)

const (
	node = "urn:example:ticks"
	// unanswered is how many publications may be under way at once.
	unanswered = 8
)

// publisher publishes two items at a time, and never again what was not confirmed: either both are there after a kill or none is.
type publisher struct {
	name  string
	to    string // "": her own account (XEP-0163)
	next  int
	acked []int
}

func (p *publisher) addressed() string {
	if p.to == "" {
		return ""
	}
	return " to='" + p.to + "'"
}

// items are the ids of a publication, which are also its texts.
func (p *publisher) items(n int) [2]string {
	b := body(p.name, n)
	return [2]string{b + "-a", b + "-b"}
}

func (p *publisher) request(n int) (id, xml string) {
	id = body("publish-"+p.name, n)
	options := ""
	if p.to == "" { // the node is made by the first publication (XEP-0060 §7.1.5)
		options = `<publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field>` +
			`<field var='pubsub#persist_items'><value>true</value></field><field var='pubsub#max_items'><value>max</value></field></x></publish-options>`
	}
	it := p.items(n)
	return id, fmt.Sprintf(`<iq type='set' id='%s'%s><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='%s'><item id='%s'><e xmlns='urn:example:tick'>%s</e></item><item id='%s'><e xmlns='urn:example:tick'>%s</e></item></publish>%s</pubsub></iq>`,
		id, p.addressed(), node, it[0], it[0], it[1], it[1], options)
}

// makeNode makes the node of the service; that of the account makes itself.
func (s *services) makeNode(ctx context.Context, srv *programtest.Server) {
	p := s.publishers[0]
	c := s.login(ctx, srv, p.name)
	defer c.Close()
	if _, err := c.Ask(ctx, "node", "<iq type='set' id='node'"+p.addressed()+"><pubsub xmlns='http://jabber.org/protocol/pubsub'><create node='"+node+`'/><configure><x xmlns='jabber:x:data' type='submit'>
<field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#node_config</value></field><field var='pubsub#max_items'><value>max</value></field></x></configure></pubsub></iq>`); err != nil {
		s.t.Fatal(err)
	}
}

// publish publishes until the connection ends.
func (s *services) publish(p *publisher, addr string, progress func()) {
	c, _, err := Dial(s.ctx, addr, p.name, domain, password, "p", "", 0)
	if err != nil {
		return // killed while logging in
	}
	first := p.next
	defer func() {
		c.Ended(s.ctx)
		for n := first; n < p.next; n++ {
			id, _ := p.request(n)
			switch c.results[id] {
			case "result":
				p.acked = append(p.acked, n)
			case "error":
				s.t.Errorf("%s was refused", id)
			}
		}
	}()
	counted := 0
	for {
		_, xml := p.request(p.next)
		p.next++
		if c.Send(xml) != nil {
			return
		}
		done := 0
		err := c.Wait(s.ctx, func() bool { done = len(c.results); return p.next-first-done < unanswered })
		s.published.Add(int64(done - counted))
		counted = done
		progress()
		if err != nil {
			return
		}
	}
}

// stored reads all items of a node, page after page, and returns them with the oldest first, and how many the service says there are (XEP-0060 §6.5.4).
func (s *services) stored(ctx context.Context, c *Client, p *publisher) (ids []string, count string) {
	s.t.Helper()
	after := ""
	for i := 0; ; i++ {
		id := fmt.Sprintf("items-%s-%d", p.name, i)
		n, err := c.Ask(ctx, id, "<iq type='get' id='"+id+"'"+p.addressed()+"><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='"+node+
			"'/><set xmlns='http://jabber.org/protocol/rsm'><max>100</max>"+after+"</set></pubsub></iq>")
		if err != nil {
			s.t.Fatal(err)
		}
		answer := n.Child(ns.PubSub, "pubsub")
		if answer == nil || answer.Child(ns.PubSub, "items") == nil {
			s.t.Fatalf("an answer without items: %s", n)
		}
		if set := answer.Child(ns.RSM, "set"); set != nil && set.Child(ns.RSM, "count") != nil {
			count = set.Child(ns.RSM, "count").TextContent()
		}
		had := len(ids)
		for it := range answer.Child(ns.PubSub, "items").Children(ns.PubSub, "item") {
			if e := it.Child("urn:example:tick", "e"); e == nil || e.TextContent() != it.Attr("id") {
				s.t.Errorf("an item has not what was published: %s", it)
			}
			ids = append(ids, it.Attr("id"))
		}
		if len(ids) == had {
			slices.Reverse(ids) // they come with the newest first
			return ids, count
		}
		after = "<after>" + ids[len(ids)-1] + "</after>"
	}
}

// judgeNode compares what was confirmed with what the node has.
func (s *services) judgeNode(ctx context.Context, srv *programtest.Server, p *publisher) {
	c := s.login(ctx, srv, p.name)
	defer c.Close()
	ids, count := s.stored(ctx, c, p)
	there := map[string]bool{}
	for i, id := range ids {
		if there[id] {
			s.t.Errorf("doubled: %s", id)
		}
		there[id] = true
		if i > 0 && id < ids[i-1] {
			s.t.Errorf("order: %s stands after %s", id, ids[i-1])
		}
	}
	for _, n := range p.acked {
		if it := p.items(n); !there[it[0]] || !there[it[1]] {
			s.t.Errorf("lost: %v was confirmed and is not there", it)
		}
	}
	for n := range p.next {
		if it := p.items(n); there[it[0]] != there[it[1]] {
			s.t.Errorf("half: of %v one is there", it)
		}
	}
	if count != fmt.Sprint(len(ids)) {
		s.t.Errorf("%s: the service counts %s items and has %d", p.name, count, len(ids))
	}
	s.t.Logf("node of %s: %d publications sent, %d confirmed, %d items kept", p.name, p.next, len(p.acked), len(ids))
}
