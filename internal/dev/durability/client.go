package durability

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Got is a message that arrived.
type Got struct {
	From, Body string
	StanzaID   string
	Delayed    bool
}

// Client is an XMPP client with stream management that takes the loss of its connection as a fact, not as a failure.
type Client struct {
	nc  net.Conn
	dec *xmlstream.Decoder

	mu      sync.Mutex
	sent    []string // bodies sent since SM was enabled, in order
	acked   int      // how many of them are acknowledged
	in      uint32   // stanzas handled
	got     []Got
	refused map[string]bool   // ids of messages that came back as errors
	results map[string]string // iq id -> type
	ackedAt map[string]time.Time
	changed chan struct{} // closed and replaced at each change
	err     error         // why the connection ended

	watch   func(*xmlstream.Node)      // is shown each element, with the lock held
	answers map[string]*xmlstream.Node // of the requests of Ask; nil until they come

	presenceErrors int // rooms that could not be entered

	SMID string
}

var (
	errClosed  = errors.New("durability: the stream was closed")
	errRefused = errors.New("durability: the request was refused")
)

// Dial connects with direct TLS, logs in, and resumes the session prev if given (the answer must be a failure with h) before it binds and enables stream
// management. resumed is the h that the server answered, -1 if it gave none.
func Dial(ctx context.Context, addr, user, domain, password, resource, prev string, prevH uint32) (c *Client, resumed int64, err error) {
	d := tls.Dialer{Config: &tls.Config{ServerName: domain, NextProtos: []string{"xmpp-client"}, InsecureSkipVerify: true}} //nolint:gosec // a certificate of the test's own server
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, -1, fmt.Errorf("dial: %w", err)
	}
	c = &Client{nc: nc, dec: xmlstream.NewDecoder(xmlstream.C2S), refused: map[string]bool{}, results: map[string]string{}, ackedAt: map[string]time.Time{}, answers: map[string]*xmlstream.Node{}, changed: make(chan struct{})}
	if resumed, err = c.login(user, domain, password, resource, prev, prevH); err != nil {
		_ = nc.Close()
		return nil, resumed, err
	}
	go c.read()
	return c, resumed, nil
}

func (c *Client) login(user, domain, password, resource, prev string, prevH uint32) (resumed int64, err error) {
	resumed = -1
	open := "<stream:stream to='" + domain + "' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
	say := func(s string) *xmlstream.Node {
		if err != nil {
			return nil
		}
		if _, err = c.nc.Write([]byte(s)); err != nil {
			return nil
		}
		var n *xmlstream.Node
		n, err = c.next()
		return n
	}
	say(open)
	auth := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
	if n := say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + auth + "</auth>"); n != nil && n.Name.Local != "success" {
		return -1, fmt.Errorf("login of %s: %s", user, n.Name.Local)
	}
	c.dec.Reset()
	say(open)
	if prev != "" {
		n := say(fmt.Sprintf("<resume xmlns='urn:xmpp:sm:3' previd='%s' h='%d'/>", prev, prevH))
		if n != nil && n.Name.Local != "failed" {
			return -1, fmt.Errorf("resume of a session of a killed server: %s", n.Name.Local)
		}
		if n != nil && n.Attr("h") != "" {
			resumed, err = strconv.ParseInt(n.Attr("h"), 10, 64)
		}
	}
	say("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" + resource + "</resource></bind></iq>")
	if n := say("<enable xmlns='urn:xmpp:sm:3' resume='true'/>"); n != nil {
		if c.SMID = n.Attr("id"); n.Name.Local != "enabled" || c.SMID == "" {
			return resumed, fmt.Errorf("stream management: %s", n.Name.Local)
		}
	}
	return resumed, err
}

// next returns the next element while logging in.
func (c *Client) next() (*xmlstream.Node, error) {
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
			return nil, errClosed
		case xmlstream.NeedMore:
			if _, err := c.dec.Fill(c.nc); err != nil {
				return nil, err
			}
		}
	}
}

func (c *Client) read() {
	for {
		n, err := c.next()
		c.mu.Lock()
		if err != nil {
			c.err = err
		} else {
			c.take(n)
		}
		close(c.changed)
		c.changed = make(chan struct{})
		c.mu.Unlock()
		if err != nil {
			_ = c.nc.Close()
			return
		}
	}
}

// take handles one element, with the lock held.
func (c *Client) take(n *xmlstream.Node) {
	if c.watch != nil {
		c.watch(n)
	}
	switch n.Name.Local {
	case "a":
		h, _ := strconv.Atoi(n.Attr("h"))
		now := time.Now()
		for ; c.acked < h && c.acked < len(c.sent); c.acked++ {
			c.ackedAt[c.sent[c.acked]] = now
		}
	case "r":
		_, _ = fmt.Fprintf(c.nc, "<a xmlns='urn:xmpp:sm:3' h='%d'/>", c.in)
	case "message":
		c.in++
		if n.Attr("type") == "error" {
			c.refused[n.Attr("id")] = true
			return
		}
		c.got = append(c.got, gotOf(n))
	case "iq":
		c.in++
		c.results[n.Attr("id")] = n.Attr("type")
		c.ackedAt[n.Attr("id")] = time.Now()
		if _, ok := c.answers[n.Attr("id")]; ok {
			c.answers[n.Attr("id")] = n
		}
	case "presence":
		c.in++
		if n.Attr("type") == "error" {
			c.presenceErrors++
		}
	}
}

func gotOf(n *xmlstream.Node) Got {
	from, _, _ := strings.Cut(n.Attr("from"), "@")
	g := Got{From: from}
	if b := n.Child(ns.Client, "body"); b != nil {
		g.Body = b.TextContent()
	}
	if s := n.Child(ns.StanzaID, "stanza-id"); s != nil {
		g.StanzaID = s.Attr("id")
	}
	g.Delayed = n.Child(ns.Delay, "delay") != nil
	return g
}

// Send writes stanzas; bodies are what they are known by, in their order.
func (c *Client) Send(xml string, bodies ...string) error {
	c.mu.Lock()
	c.sent = append(c.sent, bodies...)
	c.mu.Unlock()
	_, err := c.nc.Write([]byte(xml))
	return err
}

// Wait waits until cond holds, the connection ends or ctx does.
func (c *Client) Wait(ctx context.Context, cond func() bool) error {
	for {
		c.mu.Lock()
		ok, err, ch := cond(), c.err, c.changed
		c.mu.Unlock()
		switch {
		case ok:
			return nil
		case err != nil:
			return err
		}
		select {
		case <-ch:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Watch has fn shown each element that comes from now on; nil ends it. The lock of the conditions of Wait is held.
func (c *Client) Watch(fn func(*xmlstream.Node)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watch = fn
}

// Ask sends a request with an id and returns its result.
func (c *Client) Ask(ctx context.Context, id, xml string) (*xmlstream.Node, error) {
	c.mu.Lock()
	c.answers[id] = nil
	c.mu.Unlock()
	if err := c.Send(xml); err != nil {
		return nil, err
	}
	if err := c.Wait(ctx, func() bool { return c.answers[id] != nil }); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.answers[id]
	delete(c.answers, id)
	if n.Attr("type") != "result" {
		return nil, fmt.Errorf("%w: %s", errRefused, n)
	}
	return n, nil
}

// Ended waits until the connection has ended.
func (c *Client) Ended(ctx context.Context) { _ = c.Wait(ctx, func() bool { return false }) }

// Close breaks the connection.
func (c *Client) Close() { _ = c.nc.Close() }
