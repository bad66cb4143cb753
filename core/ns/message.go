package ns

// What messages and presences carry.

// Transport of messages.
const (
	Delay        = "urn:xmpp:delay"                        // XEP-0203
	DelayOld     = "jabber:x:delay"                        // XEP-0091, obsolete
	Forward      = "urn:xmpp:forward:0"                    // XEP-0297
	Carbons      = "urn:xmpp:carbons:2"                    // XEP-0280
	CarbonsRules = "urn:xmpp:carbons:rules:0"              // XEP-0280
	Hints        = "urn:xmpp:hints"                        // XEP-0334
	StanzaID     = "urn:xmpp:sid:0"                        // XEP-0359
	Address      = "http://jabber.org/protocol/address"    // XEP-0033
	Headers      = "http://jabber.org/protocol/shim"       // XEP-0131
	Offline      = "http://jabber.org/protocol/offline"    // XEP-0013
	Receipts     = "urn:xmpp:receipts"                     // XEP-0184
	Markers      = "urn:xmpp:chat-markers:0"               // XEP-0333
	ChatStates   = "http://jabber.org/protocol/chatstates" // XEP-0085
	RTT          = "urn:xmpp:rtt:0"                        // XEP-0301, in-band real-time text
	Attention    = "urn:xmpp:attention:0"                  // XEP-0224
	PSA          = "urn:xmpp:psa"                          // XEP-0310, presence state annotations
	Decloak      = "urn:xmpp:decloak:0"                    // XEP-0276
	XEvent       = "jabber:x:event"                        // XEP-0022, obsolete
	XEncrypted   = "jabber:x:encrypted"                    // XEP-0027, obsolete
	XSigned      = "jabber:x:signed"                       // XEP-0027, obsolete
)

// Referring to other messages.
const (
	Correct               = "urn:xmpp:message-correct:0"           // XEP-0308
	Retract               = "urn:xmpp:message-retract:1"           // XEP-0424
	RetractTombstone      = "urn:xmpp:message-retract:1#tombstone" // XEP-0424
	RetractOld            = "urn:xmpp:message-retract:0"           // XEP-0424 before 0.4
	Moderate              = "urn:xmpp:message-moderate:1"          // XEP-0425
	ModerateOld           = "urn:xmpp:message-moderate:0"          // XEP-0425 before 0.3
	Fasten                = "urn:xmpp:fasten:0"                    // XEP-0422
	Attach                = "urn:xmpp:message-attaching:1"         // XEP-0367
	Reply                 = "urn:xmpp:reply:0"                     // XEP-0461
	Reactions             = "urn:xmpp:reactions:0"                 // XEP-0444
	ReactionsRestrictions = "urn:xmpp:reactions:0:restrictions"    // XEP-0444
	Reference             = "urn:xmpp:reference:0"                 // XEP-0372
	Mentions              = "urn:xmpp:mentions:0"                  // XEP-0513
	Fallback              = "urn:xmpp:fallback:0"                  // XEP-0428
	QuickResponse         = "urn:xmpp:tmp:quick-response"          // XEP-0439
	Ephemeral             = "urn:xmpp:ephemeral:0"                 // XEP-0466
	Reminders             = "urn:xmpp:reminders:0"                 // XEP-0435
)

// Form of the text.
const (
	XHTMLIM       = "http://jabber.org/protocol/xhtml-im"         // XEP-0071
	Styling       = "urn:xmpp:styling:0"                          // XEP-0393
	Markup        = "urn:xmpp:markup:0"                           // XEP-0394
	EmojiMarkup   = "urn:xmpp:markup:emoji:0"                     // XEP-0514
	Spoiler       = "urn:xmpp:spoiler:0"                          // XEP-0382
	ContentRating = "urn:xmpp:crl:0"                              // XEP-0456
	ContentTypes  = "urn:xmpp:content"                            // XEP-0481
	JSON          = "urn:xmpp:json:0"                             // XEP-0335
	WebXDC        = "urn:xmpp:webxdc:0"                           // XEP-0491
	RDF           = "http://www.w3.org/1999/02/22-rdf-syntax-ns#" // XEP-0511, link metadata
	OpenGraph     = "https://ogp.me/ns#"                          // XEP-0511, link metadata
	SecurityLabel = "urn:xmpp:sec-label:0"                        // XEP-0258
)

// Archive.
const (
	MAM               = "urn:xmpp:mam:2"                 // XEP-0313
	MAMExtended       = "urn:xmpp:mam:2#extended"        // XEP-0313
	MAMFullText       = "urn:xmpp:fulltext:0"            // XEP-0431, form field
	MAMGroupchatField = "urn:xmpp:mam:2#groupchat-field" // XEP-0313
	Inbox             = "urn:xmpp:inbox:1"               // XEP-0430
)

// Encryption, of which a server knows the names only.
const (
	EME             = "urn:xmpp:eme:0"                            // XEP-0380
	OMEMO           = "urn:xmpp:omemo:2"                          // XEP-0384
	OMEMODevices    = "urn:xmpp:omemo:2:devices"                  // XEP-0384
	OMEMOBundles    = "urn:xmpp:omemo:2:bundles"                  // XEP-0384
	OMEMOOld        = "eu.siacs.conversations.axolotl"            // XEP-0384 before 0.4, what most clients use
	OMEMOOldDevices = "eu.siacs.conversations.axolotl.devicelist" // XEP-0384 before 0.4
	OMEMOOldBundles = "eu.siacs.conversations.axolotl.bundles"    // XEP-0384 before 0.4, prefix of nodes
	SCE             = "urn:xmpp:sce:1"                            // XEP-0420
	OpenPGP         = "urn:xmpp:openpgp:0"                        // XEP-0373
	OpenPGPKeys     = "urn:xmpp:openpgp:0:public-keys"            // XEP-0373
	OTR             = "urn:xmpp:otr:0"                            // XEP-0364
	TrustMessages   = "urn:xmpp:tm:1"                             // XEP-0434
)
