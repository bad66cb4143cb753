package ns

// Group chat.

// Multi-user chat.
const (
	MUC                   = "http://jabber.org/protocol/muc"                        // XEP-0045
	MUCUser               = "http://jabber.org/protocol/muc#user"                   // XEP-0045
	MUCAdmin              = "http://jabber.org/protocol/muc#admin"                  // XEP-0045
	MUCOwner              = "http://jabber.org/protocol/muc#owner"                  // XEP-0045
	MUCRoomConfig         = "http://jabber.org/protocol/muc#roomconfig"             // XEP-0045, form type
	MUCRoomInfo           = "http://jabber.org/protocol/muc#roominfo"               // XEP-0045, form type
	MUCRegister           = "http://jabber.org/protocol/muc#register"               // XEP-0045, form type
	MUCRequest            = "http://jabber.org/protocol/muc#request"                // XEP-0045, form type
	MUCStableID           = "http://jabber.org/protocol/muc#stable_id"              // XEP-0045, feature
	MUCRooms              = "http://jabber.org/protocol/muc#rooms"                  // XEP-0045, disco node
	MUCTraffic            = "http://jabber.org/protocol/muc#traffic"                // XEP-0045, disco node
	MUCUnique             = "http://jabber.org/protocol/muc#unique"                 // XEP-0307
	MUCSelfPing           = "http://jabber.org/protocol/muc#self-ping-optimization" // XEP-0410
	GroupChat             = "gc-1.0"                                                // the protocol before XEP-0045, a feature
	Conference            = "jabber:x:conference"                                   // XEP-0249, direct invitations
	OccupantID            = "urn:xmpp:occupant-id:0"                                // XEP-0421
	Hats                  = "urn:xmpp:hats:0"                                       // XEP-0317
	HatsOld               = "xmpp:prosody.im/protocol/hats:1"                       // XEP-0317 as Prosody had it before
	MUCAffiliations       = "urn:xmpp:muc:affiliations:1"                           // XEP-0463
	MUCPresenceVersioning = "urn:xmpp:muc-presence-versioning:0"                    // XEP-0436
	MUCActivity           = "urn:xmpp:muc-activity"                                 // XEP-0502
	RoomActivity          = "urn:xmpp:rai:0"                                        // XEP-0437
	MUCMentions           = "urn:xmpp:mmn:0"                                        // XEP-0452
	MUCTokenInvite        = "urn:xmpp:muc-token-invite:0"                           // XEP-0488
	Muji                  = "urn:xmpp:jingle:muji:0"                                // XEP-0272
)

// Bookmarks and what belongs to them.
const (
	Bookmarks            = "urn:xmpp:bookmarks:1"             // XEP-0402
	BookmarksCompat      = "urn:xmpp:bookmarks:1#compat"      // XEP-0402, feature
	BookmarksCompatPEP   = "urn:xmpp:bookmarks:1#compat-pep"  // XEP-0402, feature
	BookmarksPinning     = "urn:xmpp:bookmarks-pinning:0"     // XEP-0469
	BookmarksConversion  = "urn:xmpp:bookmarks-conversion:0"  // XEP-0411
	BookmarksStorage     = "storage:bookmarks"                // XEP-0048
	NotificationSettings = "urn:xmpp:notification-settings:1" // XEP-0492
	MDS                  = "urn:xmpp:mds:displayed:0"         // XEP-0490
	MDSServerAssist      = "urn:xmpp:mds:server-assist:0"     // XEP-0490
	Spaces               = "urn:xmpp:spaces:0"                // XEP-0503
	Forums               = "urn:xmpp:forums:0"                // XEP-0508
)

// Mediated information exchange, recognised and not served.
const (
	MIX    = "urn:xmpp:mix:core:1" // XEP-0369
	MIXPAM = "urn:xmpp:mix:pam:2"  // XEP-0405
)

// Gateways.
const (
	Gateway = "jabber:iq:gateway" // XEP-0100
)
