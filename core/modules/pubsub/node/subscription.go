package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
)

// State is the state of a subscription (XEP-0060 §4.2).
type State string

// The states.
const (
	Subscribed   State = "subscribed"
	Pending      State = "pending"
	Unconfigured State = "unconfigured"
	NoState      State = "none"
)

// ParseState reads a state.
func ParseState(s string) (State, bool) {
	switch st := State(s); st {
	case Subscribed, Pending, Unconfigured, NoState:
		return st, true
	}
	return NoState, false
}

// What a subscription to a collection is for (XEP-0248 §6.1).
const (
	ForItems = "items"
	ForNodes = "nodes"
	ForAll   = "all"
)

// Subscription is one subscription with its options (XEP-0060 §6.3, XEP-0248 §6.1).
type Subscription struct {
	JID     string `json:"-"`
	ID      string `json:"-"`
	State   State
	Deliver bool
	Shows   []string `json:",omitempty"` // only while the subscriber is so; empty: always
	Until   int64    `json:",omitempty"` // seconds; 0: for good
	Temp    bool     `json:",omitempty"` // as long as the subscriber is there
	For     string   `json:",omitempty"` // of a collection: items, nodes, all
	Depth   int      `json:",omitempty"` // of a collection; Max: all
}

// Online is the presence of somebody who is available and says no more.
const Online = "online"

// Shows are the presences that a subscription can be for (XEP-0060 §16.4.2).
func Shows() []string { return []string{"away", "chat", "dnd", Online, "xa"} }

// whilePresent is the value of "pubsub#expire" for a temporary subscription (§12.5).
const whilePresent = "presence"

// Over tells whether a subscription has ended by its time (§12.19).
func (s *Subscription) Over(now time.Time) bool { return s.Until > 0 && s.Until <= now.Unix() }

// NewSubscription returns a subscription with the default options.
func NewSubscription(jid, id string, s State) Subscription {
	return Subscription{JID: jid, ID: id, State: s, Deliver: true, For: ForNodes, Depth: 1}
}

// Encode returns the form in which a subscription is stored.
func (s *Subscription) Encode() ([]byte, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("pubsub: encode subscription: %w", err)
	}
	return b, nil
}

// The fields of the options form.
const (
	optDeliver = "pubsub#deliver"
	optShows   = "pubsub#show-values"
	optExpire  = "pubsub#expire"
	optType    = "pubsub#subscription_type"
	optDepth   = "pubsub#subscription_depth"
)

// Form returns the options (XEP-0060 §6.3.3); collection adds those of XEP-0248.
func (s *Subscription) Form(collection bool) *form.Form {
	f := form.New(form.TypeForm, ns.PubSubSubscribeOptions)
	f.Add(form.Field{Var: optDeliver, Type: form.Boolean, Label: "Notifications", Values: []string{form.FormatBool(s.Deliver)}})
	shows := form.Field{Var: optShows, Type: form.ListMulti, Label: "When you are so; nothing for always", Values: s.Shows}
	for _, v := range Shows() {
		shows.Options = append(shows.Options, form.Option{Value: v})
	}
	expire := form.Field{Var: optExpire, Type: form.TextSingle, Label: "Until when; presence for as long as you are there"}
	switch {
	case s.Temp:
		expire.Values = []string{whilePresent}
	case s.Until > 0:
		expire.Values = []string{time.Unix(s.Until, 0).UTC().Format(time.RFC3339)}
	}
	f.Add(shows, expire)
	if !collection {
		return f
	}
	depth := strconv.Itoa(s.Depth)
	if s.Depth == Max {
		depth = "all"
	}
	return f.Add(
		form.Field{Var: optType, Type: form.ListSingle, Label: "What is told", Values: []string{s.For},
			Options: []form.Option{{Value: ForItems}, {Value: ForNodes}, {Value: ForAll}}},
		form.Field{Var: optDepth, Type: form.TextSingle, Label: "How deep; a number or all", Values: []string{depth}})
}

// Submit changes the options by a form (XEP-0060 §6.3.7.2).
func (s *Subscription) Submit(f *form.Form, now time.Time) error {
	for _, fd := range f.Fields {
		var err error
		switch fd.Var {
		case "FORM_TYPE":
		case optDeliver:
			s.Deliver, err = form.ParseBool(fd.Value())
		case optShows:
			s.Shows, err = showsOf(fd.Values)
		case optExpire:
			s.Until, s.Temp, err = untilOf(fd.Value(), now)
		case optType:
			if s.For = fd.Value(); s.For != ForItems && s.For != ForNodes && s.For != ForAll {
				err = errValue
			}
		case optDepth:
			s.Depth, err = depthOf(fd.Value())
		default:
			err = fmt.Errorf("there is no such option")
		}
		if err != nil {
			return InvalidOptions("The option " + fd.Var + " cannot be so: " + err.Error() + ".")
		}
	}
	return nil
}

func showsOf(values []string) ([]string, error) {
	var out []string
	for _, v := range values {
		if !slices.Contains(Shows(), v) {
			return nil, errValue
		}
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out, nil
}

// untilOf reads "pubsub#expire": a time to come (XEP-0082), or the word for a temporary subscription.
func untilOf(v string, now time.Time) (until int64, temp bool, err error) {
	switch v {
	case "":
		return 0, false, nil
	case whilePresent:
		return 0, true, nil
	}
	at, err := time.Parse(time.RFC3339, v)
	if err != nil || !at.After(now) || at.Year() > 9999 {
		return 0, false, errors.New("a time to come is wanted")
	}
	return at.Unix(), false, nil
}

func depthOf(v string) (int, error) {
	if v == "all" {
		return Max, nil
	}
	n, err := strconv.ParseUint(v, 10, 16)
	if err != nil {
		return 0, errNumber
	}
	return int(n), nil
}

// Overlaps tells whether two subscriptions to a collection are told of the same (XEP-0248 §6.1.3).
func (s *Subscription) Overlaps(other *Subscription) bool {
	return s.For == other.For || s.For == ForAll || other.For == ForAll
}

// Wants tells whether a subscription to the node itself (depth 0) or to a collection above it is told of something.
func (s *Subscription) Wants(what string, depth int, now time.Time) bool {
	if s.State != Subscribed || !s.Deliver || s.Over(now) {
		return false
	}
	if depth == 0 {
		return true
	}
	return (s.For == what || s.For == ForAll) && (s.Depth == Max || depth <= s.Depth)
}
