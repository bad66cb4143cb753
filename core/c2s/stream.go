package c2s

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/session"
	"github.com/viaduct-xmpp/viaduct/core/stream"
	"github.com/viaduct-xmpp/viaduct/core/transport"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// stage is how far a stream has come. The table of elements says in which stages each may come.
type stage uint8

const (
	stageTLS   stage = 1 << iota // nothing but STARTTLS and what needs no secret
	stageAuth                    // encrypted, not authenticated
	stageBind                    // authenticated, no resource yet
	stageBound                   // stanzas
)

const unauthenticated = stageTLS | stageAuth

// client is one stream. Its fields belong to the goroutine that reads, but for out, lastIn and sess, which others use through their own
// locks.
type client struct {
	srv    *Server
	conn   *transport.Conn
	writer *transport.Writer
	id     string // of the connection, in logs, and of its first stream
	log    *slog.Logger
	ctx    context.Context // carries the session once there is one
	cancel context.CancelFunc

	stage  stage
	dec    *xmlstream.Decoder
	domain string
	lang   string
	user   jid.JID
	neg    *negotiation // nil once a resource is bound
	sess   *session.Session
	el     xmlstream.Element
	rate   bucket
	next   func() // what goes on when the loop that reads was paused

	out  output
	life life
}

// info is the stream as events see it.
func (c *client) info() event.StreamInfo {
	i := event.StreamInfo{ID: c.id, Domain: c.domain, Remote: c.remote(), User: c.user, Bound: c.stage == stageBound}
	if state, ok := c.conn.ConnectionState(); ok {
		i.TLS = &state
	}
	return i
}

// remote is where the client is. A listener for both families gives IPv4 addresses within IPv6: they are shown and counted as what they are.
func (c *client) remote() netip.AddrPort {
	if a, ok := c.conn.RemoteAddr().(*net.TCPAddr); ok {
		at := a.AddrPort()
		return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	}
	return netip.AddrPort{}
}

// feed takes bytes from the connection. idle means that nothing partial is held.
func (c *client) feed(p []byte) (idle bool, err error) {
	if c.out.closing() {
		return true, nil // we have said our last word; what still comes is not read
	}
	c.life.sign(c.srv.o.Clock.Now())
	if err := c.srv.o.Journal.Admit(c.ctx); err != nil {
		return true, err
	}
	_, _ = c.dec.Write(p)
	return c.drain()
}

// drain handles what the decoder has.
func (c *client) drain() (idle bool, err error) {
	for {
		kind, err := c.dec.Next()
		if err != nil {
			c.fail(stream.AsError(err))
			return true, nil
		}
		if kind == xmlstream.NeedMore {
			if c.dec.Idle() {
				c.dec.Release()
				c.el = xmlstream.Element{} // it holds the bytes of the last stanza
				return true, nil
			}
			return false, nil
		}
		switch err := c.take(kind); {
		case errors.Is(err, transport.ErrPause):
			return true, err
		case err != nil:
			c.fail(err)
			return true, nil
		case c.out.closing():
			return true, nil
		}
	}
}

func (c *client) take(kind xmlstream.Kind) error {
	switch kind {
	case xmlstream.StreamStart:
		return c.open(c.dec.Start())
	case xmlstream.StanzaElement:
		c.dec.Element(&c.el)
		return c.element(&c.el)
	}
	c.peerClosed()
	return nil
}

// maxLang bounds the language of a stream, which is stamped on every stanza (RFC 5646 §4.4.1 knows none longer than 35 characters): a longer one
// would make large stanzas of small ones.
const maxLang = 64

// open answers a stream header (RFC 6120 §4.7).
func (c *client) open(h *xmlstream.Header) error {
	domain, known := c.srv.domain(h.To)
	from := domain
	if !known {
		from = c.srv.defaultDomain()
	}
	c.sendHeader(from, peerAddress(h.From))
	if len(h.Lang) <= maxLang {
		c.lang = h.Lang
	}
	switch {
	case h.Name != xmlstream.Name{Space: ns.Stream, Local: "stream"} || h.ContentNS != ns.Client:
		return stream.NewError(stream.InvalidNamespace, "This is a stream for clients: jabber:client in the streams namespace.")
	case !known: // RFC 6120 §4.9.3.6
		return stream.NewError(stream.HostUnknown, "This server does not serve that domain.")
	case !stream.AtLeast1(h.Version): // RFC 6120 §4.7.5: without features nobody can log in here
		return stream.NewError(stream.UnsupportedVersion, "XMPP 1.0 is required.")
	case !c.user.IsZero() && domain != c.user.Domain():
		return stream.NewError(stream.HostUnknown, "The domain cannot change within a connection.")
	}
	c.domain = domain
	c.sendFeatures()
	return nil
}

// peerAddress is the "to" of our header (RFC 6120 §4.7.2): what the client says it is, if that is an address.
func peerAddress(from string) string {
	if from == "" {
		return ""
	}
	j, err := jid.Parse(from)
	if err != nil {
		return ""
	}
	return j.Bare().String()
}

// element dispatches a first-level element.
func (c *client) element(el *xmlstream.Element) error {
	if c.stage == stageBound && el.Name.Space == ns.Client {
		return c.stanza(el)
	}
	step, ok := c.srv.steps[el.Name]
	switch {
	case ok && step.stages&c.stage != 0:
		return step.handle(c, el)
	case ok && step.otherwise != nil:
		return step.otherwise(c, el)
	case c.stage == stageBound:
		return c.nonza(el)
	case el.Name.Space == ns.Client:
		return errLoginFirst
	}
	return stream.NewError(stream.UnsupportedStanzaType, "This element is not expected here.")
}

// nonza asks the modules about an element that the stream itself does not know.
func (c *client) nonza(el *xmlstream.Element) error {
	n := event.Nonza{Session: c.sess, Element: el}
	if err := c.srv.o.Events.C2S.Nonza.Fire(c.ctx, &n); errors.Is(err, event.Stop) {
		return nil
	}
	return stream.NewError(stream.UnsupportedStanzaType, "This element is not known here.")
}

// restart begins a new stream on the same connection (RFC 6120 §4.3.3).
func (c *client) restart(next stage) {
	c.stage = next
	c.out.restart()
	c.dec.Reset()
}

// fail ends the stream with an error.
func (c *client) fail(err error) {
	e := stream.AsError(err)
	if e.Condition == stream.InternalServerError {
		c.log.Error("c2s: stream failed", "error", err)
	} else {
		c.log.Debug("c2s: stream refused", "condition", string(e.Condition), "error", err)
	}
	c.srv.stats.streamErrors.Add(1)
	c.finish(c.srv.framing.AppendEnd(c.srv.framing.AppendError(nil, e))) // before the session says goodbye in its own way
	c.leave()
}

// peerClosed answers the end of the client's stream (RFC 6120 §4.4): its session is over, also with stream management (XEP-0198 §7).
func (c *client) peerClosed() {
	if c.sess != nil {
		c.sess.End(c) // it calls our End, behind what it has for its client
	}
	c.finish(c.srv.framing.AppendEnd(nil))
}

// leave takes the session off this connection.
func (c *client) leave() {
	if c.sess != nil {
		c.sess.Detach(c)
	}
}
