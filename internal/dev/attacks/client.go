package attacks

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Domain is the domain of every server of these tests.
const Domain = "v.test"

// Header opens a stream to Domain.
const Header = "<stream:stream to='" + Domain + "' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"

// patience is after how long a client that waits for something gives up. Nothing is measured by it.
const patience = time.Minute

// ErrEnd is the graceful end of the server's stream.
var ErrEnd = errors.New("attacks: the stream was closed")

// Client is an XMPP client that says what it is told to, also what no client would say. It is for one goroutine.
type Client struct {
	JID  string // after Login
	Conn net.Conn
	dec  *xmlstream.Decoder
	ids  int
}

// Dial connects, with TLS from the first byte if direct.
func Dial(ctx context.Context, addr string, direct bool) (*Client, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	c := &Client{}
	c.use(nc)
	if direct {
		if err := c.secure(ctx); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *Client) use(nc net.Conn) {
	c.Conn, c.dec = nc, xmlstream.NewDecoder(xmlstream.Maximum)
}

func (c *Client) secure(ctx context.Context) error {
	t := tls.Client(c.Conn, &tls.Config{ServerName: Domain, NextProtos: []string{"xmpp-client"}, InsecureSkipVerify: true}) //nolint:gosec // a certificate of the test's own server
	if err := t.HandshakeContext(ctx); err != nil {
		return errors.Join(fmt.Errorf("handshake: %w", err), c.Conn.Close())
	}
	c.use(t)
	return nil
}

// StartTLS opens a stream in the clear and switches.
func (c *Client) StartTLS(ctx context.Context) error {
	if _, err := c.Say(Header); err != nil {
		return err
	}
	n, err := c.Say("<starttls xmlns='" + ns.TLS + "'/>")
	if err != nil || n.Name.Local != "proceed" {
		return fmt.Errorf("starttls: %v %w", n, err)
	}
	return c.secure(ctx)
}

// Send writes.
func (c *Client) Send(xml string) error {
	_ = c.Conn.SetWriteDeadline(time.Now().Add(patience))
	_, err := c.Conn.Write([]byte(xml))
	return err
}

// Next returns the next element of the stream: ErrEnd at its end, io.EOF at that of the connection.
func (c *Client) Next() (*xmlstream.Node, error) {
	for {
		kind, err := c.dec.Next()
		if err != nil {
			return nil, err
		}
		switch kind {
		case xmlstream.StanzaElement:
			var el xmlstream.Element
			c.dec.Element(&el)
			return el.Node(), nil
		case xmlstream.StreamEnd:
			return nil, ErrEnd
		case xmlstream.NeedMore:
			_ = c.Conn.SetReadDeadline(time.Now().Add(patience))
			if _, err := c.dec.Fill(c.Conn); err != nil {
				return nil, err
			}
		}
	}
}

// Say sends and returns the next element.
func (c *Client) Say(xml string) (*xmlstream.Node, error) {
	if err := c.Send(xml); err != nil {
		return nil, err
	}
	return c.Next()
}

// Plain is the text of a login with PLAIN.
func Plain(authzid, user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(authzid + "\x00" + user + "\x00" + password))
}

// Auth opens a stream and logs in with PLAIN; what the server answers if it is not success is an error with its condition.
func (c *Client) Auth(authzid, user, password string) error {
	if _, err := c.Say(Header); err != nil {
		return fmt.Errorf("open stream: %w", err)
	}
	return c.AuthAgain(authzid, user, password)
}

// AuthAgain logs in on a stream that is open.
func (c *Client) AuthAgain(authzid, user, password string) error {
	n, err := c.Say("<auth xmlns='" + ns.SASL + "' mechanism='PLAIN'>" + Plain(authzid, user, password) + "</auth>")
	switch {
	case err != nil:
		return fmt.Errorf("log in: %w", err)
	case n.Name.Local != "success":
		return fmt.Errorf("log in: %s", Condition(n))
	}
	c.dec.Reset()
	return nil
}

// Login logs in and binds the resource ("": one of the server's choice).
func (c *Client) Login(user, password, resource string) error {
	if err := c.Auth("", user, password); err != nil {
		return err
	}
	if _, err := c.Say(Header); err != nil {
		return fmt.Errorf("open stream: %w", err)
	}
	if resource != "" {
		resource = "<resource>" + resource + "</resource>"
	}
	n, err := c.Say("<iq type='set' id='bind'><bind xmlns='" + ns.Bind + "'>" + resource + "</bind></iq>")
	if err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	bound := n.Child(ns.Bind, "bind")
	if bound == nil || bound.Child(ns.Bind, "jid") == nil {
		return fmt.Errorf("bind: %s", n)
	}
	c.JID = bound.Child(ns.Bind, "jid").TextContent()
	return nil
}

// ID returns a new id.
func (c *Client) ID() string {
	c.ids++
	return "x" + strconv.Itoa(c.ids)
}

// Sync pings the server and returns what comes before the answer: everything that the server has sent because of what this client said to the
// server itself.
func (c *Client) Sync() ([]*xmlstream.Node, error) {
	id := c.ID()
	if err := c.Send("<iq type='get' to='" + Domain + "' id='" + id + "'><ping xmlns='urn:xmpp:ping'/></iq>"); err != nil {
		return nil, err
	}
	return c.Until(func(n *xmlstream.Node) bool { return n.Name.Local == "iq" && n.Attr("id") == id })
}

// Until returns what comes up to and without the element that is looked for.
func (c *Client) Until(found func(*xmlstream.Node) bool) ([]*xmlstream.Node, error) {
	var before []*xmlstream.Node
	for {
		n, err := c.Next()
		if err != nil || found(n) {
			return before, err
		}
		before = append(before, n)
	}
}

// Ask sends an iq and returns its answer; what comes before is dropped.
func (c *Client) Ask(typ, to, payload string) (*xmlstream.Node, error) {
	id := c.ID()
	if to != "" {
		to = " to='" + to + "'"
	}
	if err := c.Send("<iq type='" + typ + "'" + to + " id='" + id + "'>" + payload + "</iq>"); err != nil {
		return nil, err
	}
	var answer *xmlstream.Node
	_, err := c.Until(func(n *xmlstream.Node) bool {
		answer = n
		return n.Name.Local == "iq" && n.Attr("id") == id && n.Attr("type") != "set" && n.Attr("type") != "get"
	})
	return answer, err
}

// Condition returns the condition of a stanza, stream or SASL error, "" of what is none.
func Condition(n *xmlstream.Node) string {
	e := n
	switch n.Name.Local {
	case "message", "presence", "iq":
		if e = n.Child(ns.Client, "error"); e == nil {
			return ""
		}
	case "error", "failure", "failed":
	default:
		return ""
	}
	for c := range e.Elements() {
		if c.Name.Local != "text" {
			return c.Name.Local
		}
	}
	return "?"
}

// End reads to the end of the connection and returns the stream error on the way, "" if there was none.
func (c *Client) End() string {
	condition := ""
	for {
		n, err := c.Next()
		switch {
		case errors.Is(err, ErrEnd):
			var rest [1]byte
			_ = c.Conn.SetReadDeadline(time.Now().Add(patience))
			_, _ = c.Conn.Read(rest[:])
			return condition
		case err != nil:
			return condition
		case n.Name.Local == "error" && strings.HasPrefix(n.Name.Space, "http://etherx"):
			condition = Condition(n)
		}
	}
}

// Close breaks the connection.
func (c *Client) Close() { _ = c.Conn.Close() }
