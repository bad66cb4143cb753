package ns

// Streams, stanzas and instant messaging: RFC 6120, 6121, 7395 and what every stream may carry.

// RFC 6120 §4.8, streams and their content.
const (
	Stream       = "http://etherx.jabber.org/streams"    // the stream element, features and error
	Client       = "jabber:client"                       // content of client streams; inside the server, of every stream
	Server       = "jabber:server"                       // content of server streams
	StreamErrors = "urn:ietf:params:xml:ns:xmpp-streams" // RFC 6120 §4.9, conditions
	Stanzas      = "urn:ietf:params:xml:ns:xmpp-stanzas" // RFC 6120 §8.3, error conditions
	TLS          = "urn:ietf:params:xml:ns:xmpp-tls"     // RFC 6120 §5, STARTTLS
	SASL         = "urn:ietf:params:xml:ns:xmpp-sasl"    // RFC 6120 §6
	Bind         = "urn:ietf:params:xml:ns:xmpp-bind"    // RFC 6120 §7, resource binding
	Session      = "urn:ietf:params:xml:ns:xmpp-session" // RFC 3921 §3, optional since
)

// Bound by XML itself (Namespaces in XML 1.0 §3).
const (
	XML   = "http://www.w3.org/XML/1998/namespace" // the prefix xml
	XMLNS = "http://www.w3.org/2000/xmlns/"        // the prefix xmlns
)

// RFC 6121, instant messaging.
const (
	Roster      = "jabber:iq:roster"               // §2
	RosterVer   = "urn:xmpp:features:rosterver"    // §2.6, stream feature
	PreApproval = "urn:xmpp:features:pre-approval" // §3.4, stream feature
)

// Other bindings of XMPP to a transport.
const (
	Framing       = "urn:ietf:params:xml:ns:xmpp-framing"        // RFC 7395, WebSocket
	FramingServer = "urn:ietf:params:xml:ns:xmpp-framing-server" // XEP-0468, WebSocket between servers
	HTTPBind      = "http://jabber.org/protocol/httpbind"        // XEP-0124, BOSH
	XBOSH         = "urn:xmpp:xbosh"                             // XEP-0206, XMPP over BOSH
)

// Formats of others that stanzas carry.
const (
	VCard4         = "urn:ietf:params:xml:ns:vcard-4.0"          // RFC 6351, in XEP-0292
	Atom           = "http://www.w3.org/2005/Atom"               // RFC 4287, in XEP-0277 and XEP-0472
	XHTML          = "http://www.w3.org/1999/xhtml"              // in XEP-0071
	ConferenceInfo = "urn:ietf:params:xml:ns:conference-info"    // RFC 4575, in XEP-0298
	XRD            = "http://docs.oasis-open.org/ns/xri/xrd-1.0" // RFC 6415 host-meta, in XEP-0156
)
