package node

import (
	"encoding/json"
	"fmt"
)

// AccessModel says who may subscribe and retrieve (XEP-0060 §4.5).
type AccessModel string

// The access models.
const (
	Open      AccessModel = "open"
	Presence  AccessModel = "presence"
	Roster    AccessModel = "roster"
	Authorize AccessModel = "authorize"
	Whitelist AccessModel = "whitelist"
)

// PublishModel says who may publish beside owners and publishers.
type PublishModel string

// The publish models.
const (
	ByPublishers  PublishModel = "publishers"
	BySubscribers PublishModel = "subscribers"
	ByAnyone      PublishModel = "open"
)

// Values of other fields that code asks for.
const (
	Leaf       = "leaf"
	Collection = "collection"

	SendNever    = "never"
	SendOnSub    = "on_sub"
	SendPresence = "on_sub_and_presence"

	FullRetract = "retract-oldest"
	FullDiscard = "discard-oldest"
	FullReject  = "reject"

	ReplyPublisher = "publisher"

	ChildrenOwner     = "owners"
	ChildrenAll       = "all"
	ChildrenWhitelist = "whitelist"
)

// Max is the value "max" of a number: as many as the service allows.
const Max = -1

// Config is the configuration of a node.
type Config struct {
	Title       string   `json:",omitempty"`
	Description string   `json:",omitempty"`
	Language    string   `json:",omitempty"`
	Type        string   `json:",omitempty"` // of payloads: a namespace, or what the node is for (XEP-0503)
	Contact     []string `json:",omitempty"`
	Kind        string   // leaf or collection

	Access  AccessModel
	Groups  []string `json:",omitempty"` // of the roster model
	Publish PublishModel

	MaxItems   int // Max: the service's bound
	Persist    bool
	MaxPayload int // bytes; 0: the service's bound
	Expire     int // seconds; 0: never
	Full       string

	Deliver       bool
	Present       bool `json:",omitempty"` // only to who is there
	Temporary     bool `json:",omitempty"` // subscriptions end with the subscriber's presence
	Payloads      bool
	NotifyConfig  bool
	NotifyDelete  bool
	NotifyRetract bool
	NotifySub     bool
	SendLast      string
	Message       string // type of notifications
	ItemReply     string
	Subscribe     bool

	ChildrenMax       int      `json:",omitempty"` // Max: the service's bound
	ChildrenPolicy    string   `json:",omitempty"`
	ChildrenWhitelist []string `json:",omitempty"`
}

// Service returns the configuration of a node that is made on a host without further words.
func Service() Config {
	return Config{
		Kind: Leaf, Access: Open, Publish: ByPublishers, MaxItems: 100, Persist: true, Full: FullRetract, Deliver: true, Payloads: true,
		NotifyDelete: true, NotifyRetract: true, SendLast: SendNever, Message: "headline", ItemReply: "owner", Subscribe: true,
		ChildrenMax: Max, ChildrenPolicy: ChildrenOwner,
	}
}

// Account returns the same for a node of an account (XEP-0163 §5).
func Account() Config {
	c := Service()
	c.Access, c.MaxItems, c.SendLast = Presence, 1, SendPresence
	return c
}

// Encode returns the form in which a configuration is stored.
func (c *Config) Encode() ([]byte, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("pubsub: encode configuration: %w", err)
	}
	return b, nil
}

// Limits are what a service allows.
type Limits struct {
	MaxItems   int
	MaxPayload int
}

// Items is how many items the node keeps.
func (c *Config) Items(l Limits) int {
	if c.MaxItems == Max || c.MaxItems > l.MaxItems {
		return l.MaxItems
	}
	return c.MaxItems
}

// Payload is how large a payload may be.
func (c *Config) Payload(l Limits) int {
	if c.MaxPayload <= 0 || c.MaxPayload > l.MaxPayload {
		return l.MaxPayload
	}
	return c.MaxPayload
}
