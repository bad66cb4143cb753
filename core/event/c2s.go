package event

import (
	"crypto/tls"
	"net/netip"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// C2S are the points of client streams. They run in the goroutine of the session that reads.
type C2S struct {
	Features Point[StreamFeatures] // the <stream:features/> are put together
	PreAuth  Point[PreAuthIQ]      // an iq before authentication (in-band registration)
	Nonza    Point[Nonza]          // an element of an authenticated stream that is no stanza and that the stream itself does not know
	Bound    Point[SessionBound]   // a resource was bound
	Resumed  Point[SessionBound]   // a session was resumed on a new connection
	Inbound  Point[Inbound]        // a stanza of a bound client, "from" already stamped
	// Closed: a session is over for good. It runs in the session's queue, once what its client has not acknowledged is in the account's
	// offline list, and before the same full JID can be bound again.
	Closed Point[SessionClosed]
	// Unseen: a message is in the ring of a session whose client does not look: it has no connection (XEP-0198 §5), or has said so (XEP-0352). Messages
	// that were not acknowledged when the connection was lost are told of then. It runs in the goroutine that delivers; handlers return at once.
	Unseen Point[Unseen]
	// Saving: the server stops and keeps a session with stream management; record handlers put what they know of it into Parts.
	Saving Point[SessionState]
	// Restored: a kept session is there again after a start, without a connection; it runs before the first client can come.
	Restored Point[SessionState]
}

func (p *C2S) register(c *Catalogue) {
	add(c, &p.Features, "c2s.features")
	add(c, &p.PreAuth, "c2s.preauth")
	add(c, &p.Nonza, "c2s.nonza")
	add(c, &p.Bound, "c2s.bound")
	add(c, &p.Resumed, "c2s.resumed")
	add(c, &p.Inbound, "c2s.inbound")
	add(c, &p.Closed, "c2s.closed")
	add(c, &p.Unseen, "c2s.unseen")
	add(c, &p.Saving, "c2s.saving")
	add(c, &p.Restored, "c2s.restored")
}

// StreamInfo says what is known of a client's stream before or after authentication.
type StreamInfo struct {
	ID     string // stream id; also the connection id in logs
	Domain string // the local domain it is for
	Remote netip.AddrPort
	TLS    *tls.ConnectionState // nil: not encrypted
	User   jid.JID              // zero before authentication
	Bound  bool
}

// StreamFeatures collects the children of <stream:features/>.
type StreamFeatures struct {
	Stream   StreamInfo
	Features []*xmlstream.Node
}

// PreAuthIQ is an iq on a stream that is not authenticated. Who answers it sets Reply or adds to Unit and sets Reply, which is then sent after
// the commit.
type PreAuthIQ struct {
	Stream StreamInfo
	IQ     *stanza.Stanza
	Unit   *journal.Unit
	Reply  *stanza.Stanza
	// After, if set, is called in the stream's goroutine with the unit's outcome before Reply is sent; it may replace Reply.
	After func(err error)
}

// Nonza is an element that is not a stanza. A handler that knows it returns Stop.
type Nonza struct {
	Session Session
	Element *xmlstream.Element
}

// SessionBound says that a session has its resource.
type SessionBound struct {
	Stream  StreamInfo
	Session Session
}

// SessionClosed says that a session is over and will not be resumed. Presence is what it had broadcast last, nil if nothing.
type SessionClosed struct {
	Session Session
	Info    SessionInfo // as it was at the end
	Reason  string
}

// Unseen is a message that waits in a session's ring.
type Unseen struct {
	Session Session
	Wire    stanza.Wire
	To      jid.JID
}

// SessionState is what modules keep of a session across a stop of the server, each under its own name in an encoding of its own with a
// version in it.
type SessionState struct {
	Session Session
	Parts   map[string][]byte
}

// Inbound is a stanza from a client. Guards refuse it, rewriters change Stanza (by replacing it, never in place).
type Inbound struct {
	Session Session
	Stanza  *stanza.Stanza
	Unit    *journal.Unit
}
