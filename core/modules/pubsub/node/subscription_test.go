package node_test

import (
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
)

// XEP-0060 §6.3.6, §12.5, §12.19: what the options of a subscription can be, and that the form says what was submitted.
func TestSubscriptionOptions(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name   string
		field  string
		values []string
		shown  []string // what the form says then; nil: it is refused
	}{
		{"off", "pubsub#deliver", []string{"false"}, []string{"0"}},
		{"neither on nor off", "pubsub#deliver", []string{"perhaps"}, nil},
		{"when available and away", "pubsub#show-values", []string{"online", "away", "away"}, []string{"online", "away"}},
		{"when invisible", "pubsub#show-values", []string{"invisible"}, nil},
		{"until tomorrow", "pubsub#expire", []string{"2026-11-21T14:00:00+02:00"}, []string{"2026-11-21T12:00:00Z"}},
		{"until now", "pubsub#expire", []string{"2026-11-20T12:00:00Z"}, nil},
		{"until some time", "pubsub#expire", []string{"tomorrow"}, nil},
		{"while present", "pubsub#expire", []string{"presence"}, []string{"presence"}},
		{"for good", "pubsub#expire", []string{""}, []string{}},
		{"all levels", "pubsub#subscription_depth", []string{"all"}, []string{"all"}},
		{"no level", "pubsub#subscription_depth", []string{"deep"}, nil},
		{"items", "pubsub#subscription_type", []string{"items"}, []string{"items"}},
		{"gossip", "pubsub#subscription_type", []string{"gossip"}, nil},
		{"digests, which there are not", "pubsub#digest", []string{"1"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := node.NewSubscription("a@b", "1", node.Subscribed)
			f := form.New(form.TypeSubmit, ns.PubSubSubscribeOptions)
			f.Add(form.Field{Var: c.field, Values: c.values})
			err := s.Submit(f, now)
			if (err != nil) != (c.shown == nil) {
				t.Fatalf("error %v", err)
			}
			if err != nil {
				return
			}
			fd, ok := s.Form(true).Field(c.field)
			if !ok || len(fd.Values) != len(c.shown) {
				t.Fatalf("the form says %q", fd.Values)
			}
			for i := range c.shown {
				if fd.Values[i] != c.shown[i] {
					t.Errorf("the form says %q", fd.Values)
				}
			}
		})
	}
}

// XEP-0248 §6.1.3.
func TestOverlaps(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{node.ForItems, node.ForNodes, false},
		{node.ForItems, node.ForItems, true},
		{node.ForAll, node.ForNodes, true},
		{node.ForItems, node.ForAll, true},
	} {
		if got := (&node.Subscription{For: c.a}).Overlaps(&node.Subscription{For: c.b}); got != c.want {
			t.Errorf("%s and %s: %t", c.a, c.b, got)
		}
	}
}
