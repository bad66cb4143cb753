package ns

// Discovery, forms, commands and what describes an entity.

// Discovery.
const (
	DiscoInfo      = "http://jabber.org/protocol/disco#info"    // XEP-0030
	DiscoItems     = "http://jabber.org/protocol/disco#items"   // XEP-0030
	Caps           = "http://jabber.org/protocol/caps"          // XEP-0115
	CapsOptimize   = "http://jabber.org/protocol/caps#optimize" // XEP-0115
	Caps2          = "urn:xmpp:caps"                            // XEP-0390
	Caps2Optimize  = "urn:xmpp:caps:optimize"                   // XEP-0390
	SoftwareInfo   = "urn:xmpp:dataforms:softwareinfo"          // XEP-0232, form type
	ServerInfoForm = "http://jabber.org/network/serverinfo"     // XEP-0157, form type
	ServerInfo     = "urn:xmpp:serverinfo:0"                    // XEP-0485
	ExtDisco       = "urn:xmpp:extdisco:2"                      // XEP-0215, external services
	ExtDisco1      = "urn:xmpp:extdisco:1"                      // XEP-0215 before 0.6
	DataPolicy     = "urn:xmpp:data-policy:0"                   // XEP-0504
	ServiceOutage  = "urn:xmpp:sos:0"                           // XEP-0455
)

// Forms and paging.
const (
	Form               = "jabber:x:data"                             // XEP-0004
	FormValidate       = "http://jabber.org/protocol/xdata-validate" // XEP-0122
	FormLayout         = "http://jabber.org/protocol/xdata-layout"   // XEP-0141
	FormMedia          = "urn:xmpp:media-element"                    // XEP-0221
	FormFile           = "urn:xmpp:file-input:0"                     // XEP-0505
	RSM                = "http://jabber.org/protocol/rsm"            // XEP-0059
	OrderBy            = "urn:xmpp:order-by:1"                       // XEP-0413
	Search             = "jabber:iq:search"                          // XEP-0055
	ChannelSearch      = "urn:xmpp:channel-search:0:search"          // XEP-0433
	ChannelSearchOrder = "urn:xmpp:channel-search:0:order"           // XEP-0433, prefix of sort keys
	ChannelSearchError = "urn:xmpp:channel-search:0:error"           // XEP-0433
	ChannelSearchForm  = "urn:xmpp:channel-search:0:search-params"   // XEP-0433, form type
)

// Commands and administration.
const (
	Commands         = "http://jabber.org/protocol/commands" // XEP-0050
	Admin            = "http://jabber.org/protocol/admin"    // XEP-0133, form type and prefix of nodes
	RosterManagement = "urn:xmpp:tmp:roster-management:0"    // XEP-0321
	JIDPrep          = "urn:xmpp:jidprep:1"                  // XEP-0328
	ServerIPCheck    = "urn:xmpp:sic:1"                      // XEP-0279
)

// Small queries.
const (
	Ping         = "urn:xmpp:ping"     // XEP-0199
	Version      = "jabber:iq:version" // XEP-0092
	Time         = "urn:xmpp:time"     // XEP-0202
	LastActivity = "jabber:iq:last"    // XEP-0012 and XEP-0256
	Idle         = "urn:xmpp:idle:1"   // XEP-0319, last user interaction
)

// People.
const (
	VCard               = "vcard-temp"                          // XEP-0054
	VCardUpdate         = "vcard-temp:x:update"                 // XEP-0153
	VCard4Node          = "urn:xmpp:vcard4"                     // XEP-0292
	AvatarData          = "urn:xmpp:avatar:data"                // XEP-0084
	AvatarMetadata      = "urn:xmpp:avatar:metadata"            // XEP-0084
	PEPVCardConversion  = "urn:xmpp:pep-vcard-conversion:0"     // XEP-0398
	Nick                = "http://jabber.org/protocol/nick"     // XEP-0172
	Mood                = "http://jabber.org/protocol/mood"     // XEP-0107
	Activity            = "http://jabber.org/protocol/activity" // XEP-0108
	Tune                = "http://jabber.org/protocol/tune"     // XEP-0118
	Geoloc              = "http://jabber.org/protocol/geoloc"   // XEP-0080
	Reach               = "urn:xmpp:reach:0"                    // XEP-0152
	Moved               = "urn:xmpp:moved:1"                    // XEP-0283
	AccountAffiliations = "urn:xmpp:raa:0"                      // XEP-0489
	ContactsMetadata    = "urn:xmpp:contacts:0"                 // XEP-0510
	RosterNotes         = "storage:rosternotes"                 // XEP-0145
	RosterExchange      = "http://jabber.org/protocol/rosterx"  // XEP-0144
	Private             = "jabber:iq:private"                   // XEP-0049
	Portable            = "urn:xmpp:pie:0"                      // XEP-0227, import and export
	PortableSCRAM       = "urn:xmpp:pie:0#scram"                // XEP-0227
	PortableMAM         = "urn:xmpp:pie:0#mam"                  // XEP-0227
)

// Keeping people out.
const (
	Blocking       = "urn:xmpp:blocking"        // XEP-0191
	BlockingErrors = "urn:xmpp:blocking:errors" // XEP-0191
	Reporting      = "urn:xmpp:reporting:1"     // XEP-0377
	ReportingSpam  = "urn:xmpp:reporting:spam"  // XEP-0377, a reason
	ReportingAbuse = "urn:xmpp:reporting:abuse" // XEP-0377, a reason
	NoReply        = "urn:xmpp:noreply:0"       // XEP-0506
)
