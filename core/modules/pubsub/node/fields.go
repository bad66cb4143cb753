package node

import (
	"errors"
	"slices"
	"strconv"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
)

// prefix begins the name of every field.
const prefix = "pubsub#"

// field is one field of the configuration form (XEP-0060 §16.4.4, XEP-0248 §7.2).
type field struct {
	name    string // without prefix
	typ     form.FieldType
	label   string
	options []string
	kind    string // leaf or collection; "" both
	meta    bool   // shown in the metadata too (§5.4)
	get     func(*Config) []string
	set     func(*Config, []string) error
}

var (
	errValue  = errors.New("one of its values is wanted")
	errNumber = errors.New("a number is wanted")
	errJID    = errors.New("an address is wanted")
)

// maxText bounds one text of a configuration, maxList the entries of a list.
const (
	maxText = 1024
	maxList = 256
)

func text(name, label string, at func(*Config) *string) field {
	return field{name: name, typ: form.TextSingle, label: label,
		get: func(c *Config) []string { return []string{*at(c)} },
		set: func(c *Config, v []string) error {
			s := first(v)
			if len(s) > maxText {
				return errors.New("the text is too long")
			}
			*at(c) = s
			return nil
		}}
}

func flag(name, label string, at func(*Config) *bool) field {
	return field{name: name, typ: form.Boolean, label: label,
		get: func(c *Config) []string { return []string{form.FormatBool(*at(c))} },
		set: func(c *Config, v []string) (err error) {
			*at(c), err = form.ParseBool(first(v))
			return err
		}}
}

// fixed is a switch that cannot be switched: to say what it is already is accepted.
func fixed(name string, value bool) field {
	return field{name: name, typ: form.Hidden, get: func(*Config) []string { return []string{form.FormatBool(value)} },
		set: func(_ *Config, v []string) error {
			if on, err := form.ParseBool(first(v)); err != nil || on != value {
				return errors.New("this is not supported")
			}
			return nil
		}}
}

func choice[T ~string](name, label string, options []string, at func(*Config) *T) field {
	return field{name: name, typ: form.ListSingle, label: label, options: options,
		get: func(c *Config) []string { return []string{string(*at(c))} },
		set: func(c *Config, v []string) error {
			if !slices.Contains(options, first(v)) {
				return errValue
			}
			*at(c) = T(first(v))
			return nil
		}}
}

// number takes "max" as Max where that has a meaning.
func number(name, label string, withMax bool, at func(*Config) *int) field {
	return field{name: name, typ: form.TextSingle, label: label,
		get: func(c *Config) []string {
			if *at(c) == Max {
				return []string{"max"}
			}
			return []string{strconv.Itoa(*at(c))}
		},
		set: func(c *Config, v []string) error {
			if withMax && first(v) == "max" {
				*at(c) = Max
				return nil
			}
			n, err := strconv.ParseUint(first(v), 10, 31)
			if err != nil {
				return errNumber
			}
			*at(c) = int(n)
			return nil
		}}
}

func list(name, label string, typ form.FieldType, at func(*Config) *[]string) field {
	return field{name: name, typ: typ, label: label,
		get: func(c *Config) []string { return *at(c) },
		set: func(c *Config, v []string) error {
			if len(v) > maxList {
				return errors.New("the list is too long")
			}
			out := make([]string, 0, len(v))
			for _, s := range v {
				if typ == form.JIDMulti {
					j, err := jid.Parse(s)
					if err != nil {
						return errJID
					}
					s = j.Bare().String()
				}
				if len(s) > maxText {
					return errors.New("the text is too long")
				}
				if s != "" {
					out = append(out, s)
				}
			}
			*at(c) = out
			return nil
		}}
}

func first(v []string) string {
	if len(v) == 0 {
		return ""
	}
	return v[0]
}

func (f field) of(kind string) field { f.kind = kind; return f }
func (f field) shown() field         { f.meta = true; return f }

// fields is the form, in its order. It is made anew for each use: packages have no state.
func fields() []field {
	return []field{
		text("title", "A short name", func(c *Config) *string { return &c.Title }).shown(),
		text("description", "What it is about", func(c *Config) *string { return &c.Description }).shown(),
		text("type", "The type of its payloads", func(c *Config) *string { return &c.Type }).shown(),
		text("language", "The language of its items", func(c *Config) *string { return &c.Language }).shown(),
		list("contact", "Whom to ask about it", form.JIDMulti, func(c *Config) *[]string { return &c.Contact }).shown(),
		choice("node_type", "Leaf or collection", []string{Leaf, Collection}, func(c *Config) *string { return &c.Kind }),
		choice("access_model", "Who may subscribe and read", []string{"open", "presence", "roster", "authorize", "whitelist"},
			func(c *Config) *AccessModel { return &c.Access }).shown(),
		list("roster_groups_allowed", "The roster groups that may", form.ListMulti, func(c *Config) *[]string { return &c.Groups }),
		choice("publish_model", "Who may publish", []string{"publishers", "subscribers", "open"},
			func(c *Config) *PublishModel { return &c.Publish }).shown(),
		number("max_items", "How many items are kept", true, func(c *Config) *int { return &c.MaxItems }).of(Leaf).shown(),
		choice("publish_node_full", "What happens when they are too many", []string{FullRetract, FullDiscard, FullReject},
			func(c *Config) *string { return &c.Full }).of(Leaf),
		flag("persist_items", "Whether items are kept", func(c *Config) *bool { return &c.Persist }).of(Leaf),
		number("item_expire", "Seconds after which an item is removed; 0 or max for never", true, func(c *Config) *int { return &c.Expire }).of(Leaf),
		number("max_payload_size", "The largest payload in bytes; 0 for the service's", false, func(c *Config) *int { return &c.MaxPayload }).of(Leaf),
		flag("deliver_notifications", "Whether subscribers are notified", func(c *Config) *bool { return &c.Deliver }),
		flag("deliver_payloads", "Whether notifications have the payload", func(c *Config) *bool { return &c.Payloads }).of(Leaf),
		flag("notify_config", "Whether a new configuration is told", func(c *Config) *bool { return &c.NotifyConfig }),
		flag("notify_delete", "Whether the node's deletion is told", func(c *Config) *bool { return &c.NotifyDelete }),
		flag("notify_retract", "Whether an item's deletion is told", func(c *Config) *bool { return &c.NotifyRetract }).of(Leaf),
		flag("notify_sub", "Whether owners are told of subscriptions", func(c *Config) *bool { return &c.NotifySub }),
		flag("presence_based_delivery", "Whether only who is there is notified", func(c *Config) *bool { return &c.Present }),
		flag("tempsub", "Whether subscriptions end when the subscriber goes", func(c *Config) *bool { return &c.Temporary }),
		choice("send_last_published_item", "When the last item is sent", []string{SendNever, SendOnSub, SendPresence},
			func(c *Config) *string { return &c.SendLast }).of(Leaf),
		choice("notification_type", "The type of notifications", []string{"normal", "headline", "chat"}, func(c *Config) *string { return &c.Message }),
		choice("itemreply", "Whom answers to an item go to", []string{"owner", "publisher", "none"}, func(c *Config) *string { return &c.ItemReply }).of(Leaf),
		flag("subscribe", "Whether subscriptions are taken", func(c *Config) *bool { return &c.Subscribe }),
		number("children_max", "How many nodes the collection may have", true, func(c *Config) *int { return &c.ChildrenMax }).of(Collection),
		choice("children_association_policy", "Who may put nodes into the collection", []string{ChildrenAll, ChildrenOwner, ChildrenWhitelist},
			func(c *Config) *string { return &c.ChildrenPolicy }).of(Collection),
		list("children_association_whitelist", "Who else may", form.JIDMulti, func(c *Config) *[]string { return &c.ChildrenWhitelist }).of(Collection),
		fixed("purge_offline", false),
	}
}
