package node_test

import (
	"errors"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// said is what an error tells: its condition, and the one of publish-subscribe.
func said(err error) string {
	if err == nil {
		return ""
	}
	var se *stanza.Error
	if !errors.As(err, &se) {
		return err.Error()
	}
	s := string(se.Condition)
	if se.App != nil {
		s += " " + se.App.Name.Local
	}
	return s
}

// XEP-0060 §4.5, §6.1.3, §6.5.9: each access model, for whom it is and for whom it is not.
func TestAccessModels(t *testing.T) {
	stranger := node.Relation{Affiliation: node.None}
	contact := node.Relation{Affiliation: node.None, Presence: true, Groups: []string{"work"}}
	friend := node.Relation{Affiliation: node.None, Presence: true, Groups: []string{"work", "friends"}}
	grouped := node.Relation{Affiliation: node.None, Groups: []string{"friends"}} // in the group, but not subscribed
	subscriber := node.Relation{Affiliation: node.None, Subscribed: true}
	const notContact, notGroup, closed = "not-authorized presence-subscription-required", "not-authorized not-in-roster-group", "not-allowed closed-node"
	for _, c := range []struct {
		name      string
		access    node.AccessModel
		who       node.Relation
		subscribe string // the error
		pending   bool
		retrieve  string
	}{
		{"open to all", node.Open, stranger, "", false, ""},
		{"presence, stranger", node.Presence, stranger, notContact, false, notContact},
		{"presence, contact", node.Presence, contact, "", false, ""},
		{"roster, stranger", node.Roster, stranger, notGroup, false, notGroup},
		{"roster, another group", node.Roster, contact, notGroup, false, notGroup},
		{"roster, the group", node.Roster, friend, "", false, ""},
		{"roster, the group without subscription", node.Roster, grouped, notGroup, false, notGroup},
		{"authorize, stranger", node.Authorize, stranger, "", true, "not-authorized not-subscribed"},
		{"authorize, approved", node.Authorize, subscriber, "", true, ""},
		{"whitelist, stranger", node.Whitelist, stranger, closed, false, closed},
		{"whitelist, old subscriber", node.Whitelist, subscriber, closed, false, closed},
		{"whitelist, member", node.Whitelist, node.Relation{Affiliation: node.Member}, "", false, ""},
		{"authorize, member", node.Authorize, node.Relation{Affiliation: node.Member}, "", false, ""},
		{"open, outcast", node.Open, node.Relation{Affiliation: node.Outcast, Presence: true}, "forbidden", false, "forbidden"},
		{"open, who only publishes", node.Open, node.Relation{Affiliation: node.PublishOnly}, "forbidden", false, "forbidden"},
		{"whitelist, owner", node.Whitelist, node.Relation{Affiliation: node.Owner}, "", false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := node.Service()
			cfg.Access, cfg.Groups = c.access, []string{"friends"}
			pending, err := cfg.MaySubscribe(c.who)
			if said(err) != c.subscribe || pending != c.pending {
				t.Errorf("subscribe: %q, pending %t; want %q, %t", said(err), pending, c.subscribe, c.pending)
			}
			if got := said(cfg.MayRetrieve(c.who)); got != c.retrieve {
				t.Errorf("retrieve: %q, want %q", got, c.retrieve)
			}
		})
	}
}

func TestNoSubscriptions(t *testing.T) {
	cfg := node.Service()
	cfg.Subscribe = false
	for a, want := range map[node.Affiliation]string{node.None: "feature-not-implemented unsupported", node.Member: "feature-not-implemented unsupported", node.Owner: ""} {
		if _, err := cfg.MaySubscribe(node.Relation{Affiliation: a}); said(err) != want {
			t.Errorf("%s: %q, want %q", a, said(err), want)
		}
	}
}

// XEP-0060 §4.1, §7.1.3.1, §7.2.3.1.
func TestPublishing(t *testing.T) {
	for _, c := range []struct {
		model               node.PublishModel
		who                 node.Relation
		publish             bool
		retract, retractOwn bool
	}{
		{node.ByPublishers, node.Relation{Affiliation: node.Owner}, true, true, true},
		{node.ByPublishers, node.Relation{Affiliation: node.Publisher}, true, true, true},
		{node.ByPublishers, node.Relation{Affiliation: node.PublishOnly}, true, false, true},
		{node.ByPublishers, node.Relation{Affiliation: node.Member}, false, false, false},
		{node.ByPublishers, node.Relation{Affiliation: node.None, Subscribed: true}, false, false, false},
		{node.BySubscribers, node.Relation{Affiliation: node.None, Subscribed: true}, true, false, true},
		{node.BySubscribers, node.Relation{Affiliation: node.None}, false, false, false},
		{node.ByAnyone, node.Relation{Affiliation: node.None}, true, false, true},
		{node.ByAnyone, node.Relation{Affiliation: node.Outcast}, false, false, false},
	} {
		cfg := node.Service()
		cfg.Publish = c.model
		if p, r, o := cfg.MayPublish(c.who), cfg.MayRetract(c.who, false), cfg.MayRetract(c.who, true); p != c.publish || r != c.retract || o != c.retractOwn {
			t.Errorf("%s, %+v: %t %t %t, want %t %t %t", c.model, c.who, p, r, o, c.publish, c.retract, c.retractOwn)
		}
	}
}

// XEP-0248 §7.2: children_association_policy.
func TestAssociation(t *testing.T) {
	for _, c := range []struct {
		policy string
		a      node.Affiliation
		want   bool
	}{
		{node.ChildrenOwner, node.Owner, true},
		{node.ChildrenOwner, node.Publisher, false},
		{node.ChildrenAll, node.None, true},
		{node.ChildrenAll, node.Outcast, false},
		{node.ChildrenWhitelist, node.None, true},
	} {
		cfg := node.Config{ChildrenPolicy: c.policy, ChildrenWhitelist: []string{"a@b"}}
		if got := cfg.MayAssociate(c.a, "a@b"); got != c.want {
			t.Errorf("%s, %s: %t", c.policy, c.a, got)
		}
	}
	if (&node.Config{ChildrenPolicy: node.ChildrenWhitelist}).MayAssociate(node.None, "a@b") {
		t.Error("who is not on the list may")
	}
}

// XEP-0248 §6.1.
func TestWants(t *testing.T) {
	for _, c := range []struct {
		what  string
		depth int
		s     node.Subscription
		want  bool
	}{
		{node.ForItems, 0, node.NewSubscription("a", "1", node.Subscribed), true},
		{node.ForItems, 0, node.NewSubscription("a", "1", node.Pending), false},
		{node.ForItems, 0, node.Subscription{State: node.Subscribed}, false}, // does not want any
		{node.ForItems, 1, node.NewSubscription("a", "1", node.Subscribed), false},
		{node.ForNodes, 1, node.NewSubscription("a", "1", node.Subscribed), true},
		{node.ForNodes, 2, node.NewSubscription("a", "1", node.Subscribed), false},
		{node.ForItems, 3, node.Subscription{State: node.Subscribed, Deliver: true, For: node.ForItems, Depth: node.Max}, true},
		{node.ForItems, 3, node.Subscription{State: node.Subscribed, Deliver: true, For: node.ForAll, Depth: 2}, false},
		{node.ForItems, 0, node.Subscription{State: node.Subscribed, Deliver: true, Until: 1001}, true},
		{node.ForItems, 0, node.Subscription{State: node.Subscribed, Deliver: true, Until: 1000}, false}, // its time has come
	} {
		if got := c.s.Wants(c.what, c.depth, time.Unix(1000, 0)); got != c.want {
			t.Errorf("%+v, %s at %d: %t", c.s, c.what, c.depth, got)
		}
	}
}
