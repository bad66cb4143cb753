package ns

// Publish-subscribe and push.

// Publish-subscribe.
const (
	PubSub                       = "http://jabber.org/protocol/pubsub"                         // XEP-0060
	PubSubOwner                  = "http://jabber.org/protocol/pubsub#owner"                   // XEP-0060
	PubSubEvent                  = "http://jabber.org/protocol/pubsub#event"                   // XEP-0060
	PubSubErrors                 = "http://jabber.org/protocol/pubsub#errors"                  // XEP-0060
	PubSubNodeConfig             = "http://jabber.org/protocol/pubsub#node_config"             // XEP-0060, form type
	PubSubPublishOptions         = "http://jabber.org/protocol/pubsub#publish-options"         // XEP-0060, form type
	PubSubSubscribeOptions       = "http://jabber.org/protocol/pubsub#subscribe_options"       // XEP-0060, form type
	PubSubSubscribeAuthorization = "http://jabber.org/protocol/pubsub#subscribe_authorization" // XEP-0060, form type
	PubSubMetaData               = "http://jabber.org/protocol/pubsub#meta-data"               // XEP-0060, form type
	PubSubGetPending             = "http://jabber.org/protocol/pubsub#get-pending"             // XEP-0060, ad-hoc node
	PubSubCAP                    = "urn:xmpp:pubsub:cap:0"                                     // XEP-0395, compare and publish
	PubSubFilter                 = "urn:xmpp:pubsub-filter:0"                                  // XEP-0462
	PubSubCaching                = "urn:xmpp:pubsub-caching:0"                                 // XEP-0460
	PubSubAttachments            = "urn:xmpp:pubsub-attachments:1"                             // XEP-0470
	PubSubAttachmentsSummary     = "urn:xmpp:pubsub-attachments:summary:1"                     // XEP-0470
	PubSubRelationships          = "urn:xmpp:pubsub-relationships:0"                           // XEP-0496
	PubSubExtSub                 = "urn:xmpp:pubsub-ext-sub:0"                                 // XEP-0497
	PubSubExtDisco               = "urn:xmpp:pubsub-ext-disco:0"                               // XEP-0499
	PublicSubscriptions          = "urn:xmpp:pps:0"                                            // XEP-0465
	PubSubAccount                = "urn:xmpp:pam:0"                                            // XEP-0376
	FormDiscovery                = "urn:xmpp:fdp:0"                                            // XEP-0346
	Microblog                    = "urn:xmpp:microblog:0"                                      // XEP-0277
	SocialFeed                   = "urn:xmpp:pubsub-social-feed:1"                             // XEP-0472
	CalendarEvents               = "urn:xmpp:calendar-events:0"                                // XEP-0471
)

// Push.
const (
	Push        = "urn:xmpp:push:0"       // XEP-0357
	PushSummary = "urn:xmpp:push:summary" // XEP-0357, form type
)
