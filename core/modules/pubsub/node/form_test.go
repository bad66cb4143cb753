package node_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

var limits = node.Limits{MaxItems: 1000, MaxPayload: 1 << 16}

// A form that is sent back as it came changes nothing; nor does the stored form.
func TestRoundTrip(t *testing.T) {
	for name, c := range map[string]node.Config{"service": node.Service(), "account": node.Account(), "collection": {Kind: node.Collection, Access: node.Roster,
		Groups: []string{"a", "b"}, Publish: node.ByAnyone, Full: node.FullReject, SendLast: node.SendOnSub, Message: "normal", ItemReply: node.ReplyPublisher,
		ChildrenMax: 7, ChildrenPolicy: node.ChildrenWhitelist, ChildrenWhitelist: []string{"a@b.example"}, Title: "t", Contact: []string{"c@d.example"}}} {
		f := c.Form(form.TypeForm)
		f.Type = form.TypeSubmit
		got, err := c.Submit(f, limits)
		if err != nil {
			t.Fatal(name, err)
		}
		b, err := c.Encode()
		if err != nil {
			t.Fatal(name, err)
		}
		var back node.Config
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatal(name, err)
		}
		for what, g := range map[string]node.Config{"form": got, "stored": back} {
			// An empty list and none are the same.
			want, have := must(t, c), must(t, g)
			if want != have {
				t.Errorf("%s, %s:\n%s\nwant\n%s", name, what, have, want)
			}
		}
	}
}

func must(t testing.TB, c node.Config) string {
	t.Helper()
	b, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSubmit(t *testing.T) {
	for _, c := range []struct {
		name, value, err string
		check            func(node.Config) bool
	}{
		{"title", "Blog", "", func(c node.Config) bool { return c.Title == "Blog" }},
		{"max_items", "max", "", func(c node.Config) bool { return c.Items(limits) == 1000 }},
		{"max_items", "12", "", func(c node.Config) bool { return c.Items(limits) == 12 }},
		{"max_items", "1001", "not-acceptable", nil},
		{"max_items", "-1", "not-acceptable", nil},
		{"max_items", "x", "not-acceptable", nil},
		{"max_payload_size", "100", "", func(c node.Config) bool { return c.Payload(limits) == 100 }},
		{"max_payload_size", "100000000", "not-acceptable", nil},
		{"item_expire", "max", "", func(c node.Config) bool { return c.Expire == 0 }},
		{"item_expire", "60", "", func(c node.Config) bool { return c.Expire == 60 }},
		{"persist_items", "false", "", func(c node.Config) bool { return !c.Persist }},
		{"persist_items", "perhaps", "not-acceptable", nil},
		{"access_model", "whitelist", "", func(c node.Config) bool { return c.Access == node.Whitelist }},
		{"access_model", "friends", "not-acceptable", nil},
		{"purge_offline", "0", "", func(node.Config) bool { return true }},
		{"purge_offline", "1", "not-acceptable", nil},
		{"contact", "not an@address@", "not-acceptable", nil},
		{"unheard_of", "x", "", func(c node.Config) bool { return reflect.DeepEqual(c, node.Service()) }},
	} {
		cfg := node.Service()
		f := form.New(form.TypeSubmit, ns.PubSubNodeConfig).Text("pubsub#"+c.name, c.value)
		got, err := cfg.Submit(f, limits)
		if said(err) != c.err {
			t.Errorf("%s=%s: %q, want %q", c.name, c.value, said(err), c.err)
		}
		if err == nil && !c.check(got) {
			t.Errorf("%s=%s: %+v", c.name, c.value, got)
		}
		if err != nil && !reflect.DeepEqual(got, cfg) {
			t.Errorf("%s=%s changed something: %+v", c.name, c.value, got)
		}
	}
}

// XEP-0060 §7.1.5.
func TestPreconditions(t *testing.T) {
	cfg := node.Account()
	for _, c := range []struct{ name, value, err string }{
		{"access_model", "presence", ""},
		{"access_model", "open", "conflict precondition-not-met"},
		{"persist_items", "true", ""},
		{"persist_items", "1", ""},
		{"persist_items", "0", "conflict precondition-not-met"},
		{"max_items", "1", ""},
		{"max_items", "max", "conflict precondition-not-met"},
		{"item_expire", "max", ""},
		{"unheard_of", "1", "bad-request invalid-options"},
		{"max_items", "many", "not-acceptable"},
		{"purge_offline", "0", ""},
	} {
		f := form.New(form.TypeSubmit, ns.PubSubPublishOptions).Text("pubsub#"+c.name, c.value)
		if got := said(cfg.Met(f)); got != c.err {
			t.Errorf("%s=%s: %q, want %q", c.name, c.value, got, c.err)
		}
	}
	if said(node.Known(form.New(form.TypeSubmit, "").Text("pubsub#unheard_of", "1"))) == "" {
		t.Error("an unknown option was taken")
	}
}

// Whatever comes in a form, what is stored can be shown as a form that is accepted.
func FuzzSubmit(f *testing.F) {
	for _, s := range []string{
		"<x xmlns='jabber:x:data' type='submit'><field var='pubsub#title'><value>t</value></field><field var='pubsub#max_items'><value>max</value></field></x>",
		"<x xmlns='jabber:x:data' type='submit'><field var='pubsub#contact'><value>a@b</value><value/></field><field var='pubsub#item_expire'><value>max</value></field></x>",
		"<x xmlns='jabber:x:data' type='submit'><field var='pubsub#roster_groups_allowed'/><field var='pubsub#node_type'><value>collection</value></field></x>",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		frag, err := xmlstream.ParseFragment([]byte(s))
		if err != nil || frag.NumChildren() != 1 {
			return
		}
		in, err := form.Parse(frag.At(0).Node())
		if err != nil {
			return
		}
		cfg := node.Service()
		got, err := cfg.Submit(in, limits)
		if err != nil {
			return
		}
		again, err := got.Submit(got.Form(form.TypeSubmit), limits)
		if err != nil {
			t.Fatalf("what was accepted is not: %v", err)
		}
		if must(t, again) != must(t, got) {
			t.Errorf("%s\nis not\n%s", must(t, again), must(t, got))
		}
	})
}
