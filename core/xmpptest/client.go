package xmpptest

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/sasl"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Client is a logged in client.
type Client struct {
	*Conn
	JID      jid.JID
	Features *xmlstream.Node // of the stream after login

	s    *Server
	vars Vars
	sm   sm
	ids  int
}

// sm is the client's side of stream management (XEP-0198).
type sm struct {
	on     atomic.Bool
	acks   atomic.Bool // answer <r/>
	in     atomic.Uint32
	id     string
	resume bool
}

// Login connects an account that is made if it does not exist, and binds the resource ("": the server's choice).
func (s *Server) Login(t testing.TB, who string) *Client {
	t.Helper()
	j, err := jid.Parse(who)
	if err != nil {
		t.Fatal(err)
	}
	s.AddUser(t, j.Bare())
	c := s.Authenticate(t, j, Password)
	c.Bind(j.Resource())
	return c
}

// Authenticate connects and logs in, and binds nothing yet.
func (s *Server) Authenticate(t testing.TB, who jid.JID, password string) *Client {
	t.Helper()
	c := &Client{Conn: s.Dial(t, who.Domain()), s: s, JID: who, vars: Vars{}}
	c.logIn(t, password)
	return c
}

// logIn opens the stream and authenticates.
func (c *Client) logIn(t testing.TB, password string) {
	t.Helper()
	who := c.JID
	c.sm.acks.Store(true)
	offered := c.Open(who.Domain())
	names, bindings := offers(offered) // the server signs what it has offered (XEP-0474)
	if len(names) == 0 {
		t.Fatalf("no mechanisms are offered: %s", offered)
	}
	name, x, err := sasl.NewClient(sasl.ClientConfig{Username: who.Local(), Password: password, Offered: names, OfferedBindings: bindings,
		Mechanisms: []sasl.Name{sasl.ScramSHA256, sasl.ScramSHA1}, Channel: sasl.Channel{Secure: true}})
	if err != nil {
		t.Fatal("log in:", err)
	}
	if err := c.exchange(string(name), x); err != nil {
		t.Fatalf("log in as %s: %v", who, err)
	}
	c.Features = c.Open(who.Domain())
	c.vars.bind("domain", who.Domain())
}

func (c *Client) exchange(name string, x sasl.Client) error {
	out, err := x.Start()
	if err != nil {
		return err
	}
	c.Write(fmt.Sprintf("<auth xmlns='%s' mechanism='%s'>%s</auth>", ns.SASL, name, base64.StdEncoding.EncodeToString(out)))
	for {
		n := c.Next()
		data, err := base64.StdEncoding.DecodeString(n.TextContent())
		switch {
		case n.Name.Local == "success":
			if err != nil {
				return err
			}
			_, err = x.Next(data, true)
			return err
		case n.Name.Local != "challenge" || err != nil:
			return fmt.Errorf("the server says %s", n)
		}
		if out, err = x.Next(data, false); err != nil {
			return err
		}
		c.Write(fmt.Sprintf("<response xmlns='%s'>%s</response>", ns.SASL, base64.StdEncoding.EncodeToString(out)))
	}
}

// Bind binds a resource (RFC 6120 §7).
func (c *Client) Bind(resource string) {
	c.t.Helper()
	ask := ""
	if resource != "" {
		ask = "<resource>" + string(xmlstream.AppendEscapedText(nil, resource)) + "</resource>"
	}
	c.Write("<iq type='set' id='bind'><bind xmlns='" + ns.Bind + "'>" + ask + "</bind></iq>")
	n := c.NextNamed(ns.Client, "iq")
	bind := n.Child(ns.Bind, "bind")
	if n.Attr("type") != stanza.TypeResult || bind == nil {
		c.t.Fatalf("bind: %s", n)
	}
	j, err := jid.Parse(bind.Child(ns.Bind, "jid").TextContent())
	if err != nil {
		c.t.Fatal("bind:", err)
	}
	c.JID = j
	c.count()
}

// count counts stanzas for stream management, and answers requests for acks.
func (c *Client) count() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.filter = func(n *xmlstream.Node) bool {
		if !c.sm.on.Load() {
			return false
		}
		if n.Name.Space == ns.SM {
			if n.Name.Local == "r" && c.sm.acks.Load() {
				c.ack()
			}
			return n.Name.Local == "r" || n.Name.Local == "a"
		}
		if n.Name.Space == ns.Client { // XEP-0198 §4: stanzas, not a stream error
			c.sm.in.Add(1)
		}
		return false
	}
}

// ack may run in the reader: it must not fail the test.
func (c *Client) ack() {
	_, _ = fmt.Fprintf(c.nc, "<a xmlns='%s' h='%d'/>", ns.SM, c.sm.in.Load())
}

// EnableSM switches stream management on (XEP-0198 §3), resumable.
func (c *Client) EnableSM() {
	c.t.Helper()
	c.Write("<enable xmlns='" + ns.SM + "' resume='true'/>")
	n := c.NextNamed(ns.SM, "enabled")
	c.sm.id, c.sm.resume = n.Attr("id"), true
	c.counting()
}

// counting begins to count stanzas; what has come behind the element that was read last counts, too.
func (c *Client) counting() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sm.on.Store(true)
	c.in = slices.DeleteFunc(c.in, c.filter)
}

// HoldAcks makes the client silent when it is asked what it has got.
func (c *Client) HoldAcks() { c.sm.acks.Store(false) }

// Resume logs in again and resumes the session (XEP-0198 §5). It returns what the server answers.
func (c *Client) Resume() *xmlstream.Node {
	c.t.Helper()
	n := c.s.Authenticate(c.t, c.JID, Password)
	c.Conn, c.Features = n.Conn, n.Features
	h := c.sm.in.Load()
	c.sm.on.Store(false)
	c.count()
	c.Write("<resume xmlns='" + ns.SM + "' previd='" + c.sm.id + "' h='" + strconv.FormatUint(uint64(h), 10) + "'/>")
	answer := c.Next()
	if answer.Name.Local == "resumed" {
		c.counting()
	}
	return answer
}

// Send sends XML in which variables are replaced.
func (c *Client) Send(xml string) {
	c.t.Helper()
	s, err := c.vars.fill(xml)
	if err != nil {
		c.t.Fatal("send:", err)
	}
	c.Write(s)
}

// Expect waits for the next element and compares it with a pattern.
func (c *Client) Expect(pattern string) *xmlstream.Node {
	c.t.Helper()
	want, err := parsePattern(pattern)
	if err != nil {
		c.t.Fatal("expect:", err)
	}
	got, err := c.next()
	if err != nil {
		c.t.Fatalf("%s: expected %s: %v", c.JID, pattern, err)
	}
	if err := c.vars.match(want, got); err != nil {
		c.t.Fatalf("%s: %v\n received: %s\n expected: %s", c.JID, err, got, pattern)
	}
	return got
}

// Request sends an iq of the given type with the payload to an address ("": none) and returns the answer, which must be the next element.
func (c *Client) Request(typ, to, payload string) *xmlstream.Node {
	c.t.Helper()
	c.ids++
	id := "q" + strconv.Itoa(c.ids)
	address := ""
	if to != "" {
		address = " to='" + string(xmlstream.AppendEscapedAttr(nil, to)) + "'"
	}
	c.Write("<iq type='" + typ + "' id='" + id + "'" + address + ">" + payload + "</iq>")
	n := c.NextNamed(ns.Client, "iq")
	if n.Attr("id") != id {
		c.t.Fatalf("expected the answer to %s, received %s", id, n)
	}
	return n
}

// Online asks for the roster and becomes available. The client's own presence, which comes back, is taken; what else comes stays.
func (c *Client) Online() {
	c.t.Helper()
	c.Request(stanza.TypeGet, "", "<query xmlns='"+ns.Roster+"'/>")
	c.Write("<presence/>")
	own := func(n *xmlstream.Node) bool { return n.Name.Local == "presence" && n.Attr("from") == c.JID.String() }
	if err := c.pick(own); err != nil {
		c.t.Fatalf("%s: its own presence does not come back: %v", c.JID, err)
	}
}

// Close ends the stream in good order.
func (c *Client) Close() {
	c.t.Helper()
	c.Write("</stream:stream>")
	c.Closed()
	c.Drop()
}
