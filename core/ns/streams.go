package ns

// Stream features and negotiation beyond RFC 6120.

// Stream management and limits.
const (
	SM              = "urn:xmpp:sm:3"                       // XEP-0198, stream management
	StreamLimits    = "urn:xmpp:stream-limits:0"            // XEP-0478, stream limits advertisement
	CSI             = "urn:xmpp:csi:0"                      // XEP-0352, client state indication
	Pipelining      = "urn:xmpp:features:pipelining"        // XEP-0305, quickstart
	Compress        = "http://jabber.org/protocol/compress" // XEP-0138, never offered
	FeatureCompress = "http://jabber.org/features/compress" // XEP-0138, never offered
	IAP             = "urn:xmpp:iap:0"                      // XEP-0509, initial authentication pipelining
)

// Authentication.
const (
	SASL2              = "urn:xmpp:sasl:2"                    // XEP-0388, extensible SASL profile
	Bind2              = "urn:xmpp:bind:0"                    // XEP-0386
	FAST               = "urn:xmpp:fast:0"                    // XEP-0484, fast authentication streamlining tokens
	SASLChannelBinding = "urn:xmpp:sasl-cb:0"                 // XEP-0440, channel-binding types
	SASLUpgrade        = "urn:xmpp:sasl:upgrade:0"            // XEP-0480, upgrade tasks
	SCRAMUpgrade       = "urn:xmpp:scram-upgrade:0"           // XEP-0480, the SCRAM task
	ClientAccess       = "urn:xmpp:cam:0"                     // XEP-0494, client access management
	SASLCerts          = "urn:xmpp:saslcert:1"                // XEP-0257, client certificate management
	LegacyAuth         = "jabber:iq:auth"                     // XEP-0078, never offered
	FeatureLegacyAuth  = "http://jabber.org/features/iq-auth" // XEP-0078, never offered
)

// Registration and invitations.
const (
	Register            = "jabber:iq:register"                     // XEP-0077, in-band registration
	FeatureRegister     = "http://jabber.org/features/iq-register" // XEP-0077, stream feature
	RegisterExtensible  = "urn:xmpp:register:0"                    // XEP-0389, extensible in-band registration
	IBRToken            = "urn:xmpp:ibr-token:0"                   // XEP-0445, pre-authenticated registration
	Invite              = "urn:xmpp:invite"                        // XEP-0401, prefix of its nodes
	InviteCreateAccount = "urn:xmpp:invite#create-account"         // XEP-0401
	InviteInvite        = "urn:xmpp:invite#invite"                 // XEP-0401
	PARS                = "urn:xmpp:pars:0"                        // XEP-0379, pre-authenticated roster subscription
	Captcha             = "urn:xmpp:captcha"                       // XEP-0158
)

// Servers and components.
const (
	Dialback                = "jabber:server:dialback"             // XEP-0220
	FeatureDialback         = "urn:xmpp:features:dialback"         // XEP-0220, stream feature
	DialbackErrors          = "urn:xmpp:dialback:errors"           // XEP-0220
	Bidi                    = "urn:xmpp:bidi"                      // XEP-0288, bidirectional server streams
	FeatureBidi             = "urn:xmpp:features:bidi"             // XEP-0288, stream feature
	ComponentAccept         = "jabber:component:accept"            // XEP-0114
	ComponentConnect        = "jabber:component:connect"           // XEP-0114
	Component               = "urn:xmpp:component:0"               // XEP-0225
	Delegation              = "urn:xmpp:delegation:2"              // XEP-0355, namespace delegation
	Privilege               = "urn:xmpp:privilege:2"               // XEP-0356, privileged entity
	PrivilegeOld            = "urn:xmpp:privilege:1"               // XEP-0356 before 0.4, many gateways still
	AltConnections          = "urn:xmpp:alt-connections"           // XEP-0156, prefix of its link relations
	AltConnectionsWebSocket = "urn:xmpp:alt-connections:websocket" // XEP-0156
	AltConnectionsBOSH      = "urn:xmpp:alt-connections:xbosh"     // XEP-0156
	AltConnectionsTLS       = "urn:xmpp:alt-connections:tls"       // XEP-0487
	AltConnectionsS2STLS    = "urn:xmpp:alt-connections:s2s-tls"   // XEP-0487
)
