package ns

// Files, media and calls.

// Files.
const (
	Upload            = "urn:xmpp:http:upload:0"               // XEP-0363
	UploadPurpose     = "urn:xmpp:http:upload:purpose:0"       // XEP-0363
	OOBMessage        = "jabber:x:oob"                         // XEP-0066
	OOBQuery          = "jabber:iq:oob"                        // XEP-0066
	BoB               = "urn:xmpp:bob"                         // XEP-0231, bits of binary
	Hashes            = "urn:xmpp:hashes:2"                    // XEP-0300
	HashNames         = "urn:xmpp:hash-function-text-names"    // XEP-0300, prefix of features
	Thumbs            = "urn:xmpp:thumbs:1"                    // XEP-0264
	FileMetadata      = "urn:xmpp:file:metadata:0"             // XEP-0446
	SFS               = "urn:xmpp:sfs:0"                       // XEP-0447, stateless file sharing
	ESFS              = "urn:xmpp:esfs:0"                      // XEP-0448
	SIMS              = "urn:xmpp:sims:1"                      // XEP-0385
	Stickers          = "urn:xmpp:stickers:0"                  // XEP-0449
	URLData           = "http://jabber.org/protocol/url-data"  // XEP-0103
	JinglePub         = "urn:xmpp:jinglepub:1"                 // XEP-0358
	PubSubFileSharing = "urn:xmpp:pubsub-file-sharing:0"       // XEP-0498
	HTTP              = "urn:xmpp:http"                        // XEP-0332
	HTTPAuth          = "http://jabber.org/protocol/http-auth" // XEP-0070
)

// Streams of bytes.
const (
	IBB            = "http://jabber.org/protocol/ibb"                      // XEP-0047
	Bytestreams    = "http://jabber.org/protocol/bytestreams"              // XEP-0065, SOCKS5
	SI             = "http://jabber.org/protocol/si"                       // XEP-0095
	SIFileTransfer = "http://jabber.org/protocol/si/profile/file-transfer" // XEP-0096
	FeatureNeg     = "http://jabber.org/protocol/feature-neg"              // XEP-0020
)

// Calls.
const (
	Jingle             = "urn:xmpp:jingle:1"                               // XEP-0166
	JingleErrors       = "urn:xmpp:jingle:errors:1"                        // XEP-0166
	JingleMessage      = "urn:xmpp:jingle-message:0"                       // XEP-0353
	JingleRTP          = "urn:xmpp:jingle:apps:rtp:1"                      // XEP-0167
	JingleRTPAudio     = "urn:xmpp:jingle:apps:rtp:audio"                  // XEP-0167, feature
	JingleRTPVideo     = "urn:xmpp:jingle:apps:rtp:video"                  // XEP-0167, feature
	JingleRTPFeedback  = "urn:xmpp:jingle:apps:rtp:rtcp-fb:0"              // XEP-0293
	JingleRTPHeaders   = "urn:xmpp:jingle:apps:rtp:rtp-hdrext:0"           // XEP-0294
	JingleSSMA         = "urn:xmpp:jingle:apps:rtp:ssma:0"                 // XEP-0339
	JingleDTLS         = "urn:xmpp:jingle:apps:dtls:0"                     // XEP-0320
	JingleGrouping     = "urn:xmpp:jingle:apps:grouping:0"                 // XEP-0338
	JingleFileTransfer = "urn:xmpp:jingle:apps:file-transfer:5"            // XEP-0234
	JingleICEUDP       = "urn:xmpp:jingle:transports:ice-udp:1"            // XEP-0176
	JingleICE          = "urn:xmpp:jingle:transports:ice:0"                // XEP-0371
	JingleRawUDP       = "urn:xmpp:jingle:transports:raw-udp:1"            // XEP-0177
	JingleS5B          = "urn:xmpp:jingle:transports:s5b:1"                // XEP-0260
	JingleIBB          = "urn:xmpp:jingle:transports:ibb:1"                // XEP-0261
	JingleWebRTC       = "urn:xmpp:jingle:transports:webrtc-datachannel:0" // XEP-0343
	CallInvites        = "urn:xmpp:call-invites:0"                         // XEP-0482
	OnlineMeetings     = "urn:xmpp:http:online-meetings:0"                 // XEP-0483
	Coin               = "urn:xmpp:coin:1"                                 // XEP-0298
)
