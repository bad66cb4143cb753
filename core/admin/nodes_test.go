package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
)

// nodes is publish-subscribe in memory: owners by node, and how many items each has.
type nodes struct {
	owner map[string]string
	items map[string]int
}

var errNoNode = errors.New("there is no such node")

func (n *nodes) Nodes(_ context.Context, service, owner jid.JID, fn func(name, title, kind, access string, items, subs int, created time.Time) bool) error {
	if service.String() != "pubsub.a.org" {
		return fmt.Errorf("%s has no nodes", service)
	}
	names := []string{}
	for name, by := range n.owner {
		if owner.IsZero() || owner.String() == by {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if !fn(name, "Title of "+name, "leaf", "open", n.items[name], 2, noon) {
			return nil
		}
	}
	return nil
}

func (n *nodes) Node(_ context.Context, _ jid.JID, name string) (map[string]string, map[string][]string, error) {
	if n.owner[name] == "" {
		return nil, nil, errNoNode
	}
	return map[string]string{"title": "a\x1b[2Jb", "access_model": "open"}, map[string][]string{"owner": {n.owner[name]}}, nil
}

func (n *nodes) DeleteNode(_ context.Context, _ jid.JID, name string) error {
	if n.owner[name] == "" {
		return errNoNode
	}
	delete(n.owner, name)
	return nil
}

func (n *nodes) PurgeNode(_ context.Context, _ jid.JID, name string) error {
	if n.owner[name] == "" {
		return errNoNode
	}
	n.items[name] = 0
	return nil
}

func TestNodeCommands(t *testing.T) {
	keeper := &nodes{owner: map[string]string{"a": "bob@a.org", "b": "bob@a.org", "c": "eve@a.org", "d": "eve@a.org"}, items: map[string]int{"a": 3, "c": 5}}
	reg := &Registry{}
	if err := reg.Add((&Nodes{Keeper: keeper}).Commands()...); err != nil {
		t.Fatal(err)
	}
	yes := map[string]string{"yes": "true"}
	for _, tc := range []struct {
		name, args string
		flags      map[string]string
		want       string
		fails      bool
	}{
		{name: "node list", args: "pubsub.a.org", want: "c     Title of c  leaf  open    5      2              2026-11-20"},
		{name: "node list", args: "pubsub.a.org", flags: map[string]string{"owner": "nobody@a.org"}, want: "There are no nodes."},
		{name: "node list", args: "pubsub.b.org", want: "pubsub.b.org has no nodes", fails: true},
		{name: "node list", args: "pubsub.a.org/x", want: "is not the address of a service", fails: true},
		{name: "node list", args: "pubsub.a.org", flags: map[string]string{"owner": "a.org"}, want: "is not the address of a person", fails: true},
		{name: "node show", args: "pubsub.a.org c", want: "c of pubsub.a.org\n  access_model                     open\n  title                            a\uFFFD[2Jb\n  owner                            eve@a.org"},
		{name: "node show", args: "pubsub.a.org x", want: "x of pubsub.a.org: there is no such node", fails: true},
		{name: "node purge", args: "pubsub.a.org c", want: "1 nodes of pubsub.a.org would be purged for good; say --yes", fails: true},
		{name: "node purge", args: "pubsub.a.org c", flags: yes, want: "1 nodes of pubsub.a.org were purged."},
		{name: "node purge", args: "pubsub.a.org", flags: yes, want: "name nodes, or say", fails: true},
		{name: "node delete", args: "pubsub.a.org c x", flags: yes, want: "1 of 2 nodes were deleted: x: there is no such node", fails: true},
		{name: "node delete", args: "pubsub.a.org a", flags: map[string]string{"all": "true", "yes": "true"}, want: "name nodes, or say", fails: true},
		{name: "node delete", args: "pubsub.a.org", flags: map[string]string{"owner": "bob@a.org", "yes": "true"}, want: "2 nodes of pubsub.a.org were deleted."},
		{name: "node delete", args: "pubsub.a.org", flags: map[string]string{"all": "true"}, want: "1 nodes of pubsub.a.org would be deleted", fails: true},
		{name: "node delete", args: "pubsub.a.org", flags: map[string]string{"all": "true", "yes": "true"}, want: "1 nodes of pubsub.a.org were deleted."},
		{name: "node list", args: "pubsub.a.org", want: "There are no nodes."},
	} {
		t.Run(tc.name+" "+tc.args, func(t *testing.T) {
			res, err := reg.Execute(t.Context(), tc.name, &Request{Args: strings.Fields(tc.args), Flags: tc.flags})
			var b strings.Builder
			if err == nil {
				err = res.WriteText(&b)
			}
			got := b.String()
			if err != nil {
				got = err.Error()
			}
			if (err != nil) != tc.fails || !strings.Contains(got, tc.want) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	if keeper.items["c"] != 0 || keeper.items["a"] != 3 {
		t.Errorf("items: %v", keeper.items)
	}
}
