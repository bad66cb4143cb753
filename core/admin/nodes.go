package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
)

// NodeKeeper is what the commands need of publish-subscribe in a running server. A service is one of its hosts, or an account.
type NodeKeeper interface {
	// Nodes calls fn for the nodes of a service until it returns false; with an owner for those that she owns.
	Nodes(ctx context.Context, service, owner jid.JID,
		fn func(name, title, kind, access string, items, subscriptions int, created time.Time) bool) error
	// Node returns the configuration of a node, and who is what to it.
	Node(ctx context.Context, service jid.JID, name string) (config map[string]string, affiliations map[string][]string, err error)
	// DeleteNode deletes a node, PurgeNode its items; they return when it is durable.
	DeleteNode(ctx context.Context, service jid.JID, name string) error
	PurgeNode(ctx context.Context, service jid.JID, name string) error
}

// Nodes are the commands "node …".
type Nodes struct{ Keeper NodeKeeper }

// Commands returns the commands.
func (c *Nodes) Commands() []*Command {
	owner := Flag{Name: "owner", Value: "JID", Doc: "the nodes that this person owns there"}
	all := Flag{Name: "all", Doc: "all nodes there"}
	yes := Flag{Name: "yes", Doc: "do not ask"}
	const service = "SERVICE is a host of publish-subscribe, such as pubsub.example.org, or an account with its own nodes."
	return []*Command{
		{Name: "node list", Args: "SERVICE", Min: 1, Max: 1, Run: c.list, Short: "list the nodes of a service or an account", Flags: []Flag{owner},
			Long: service + " No more than " + strconv.Itoa(maxListed) + " are shown."},
		{Name: "node show", Args: "SERVICE NODE", Min: 2, Max: 2, Run: c.show, Short: "show a node, its configuration and lists", Long: service},
		{Name: "node delete", Args: "SERVICE [NODE...]", Min: 1, Max: -1, Run: c.delete, Short: "delete nodes; their subscribers are told",
			Flags: []Flag{owner, all, yes}, Long: service},
		{Name: "node purge", Args: "SERVICE [NODE...]", Min: 1, Max: -1, Run: c.purge, Short: "delete the items of nodes", Flags: []Flag{owner, all, yes}, Long: service},
	}
}

func nodeService(s string) (jid.JID, error) {
	j, err := jid.Parse(s)
	if err != nil || !j.IsBare() {
		return jid.JID{}, Usagef("%q is not the address of a service or an account; write pubsub.example.org or bob@example.org", s)
	}
	return j, nil
}

func nodeOwner(r *Request) (jid.JID, error) {
	s := r.Flag("owner")
	if s == "" {
		return jid.JID{}, nil
	}
	j, err := jid.Parse(s)
	if err != nil || !j.IsBare() || !j.HasLocal() {
		return jid.JID{}, Usagef("%q is not the address of a person", s)
	}
	return j, nil
}

type nodeInfo struct {
	Name          string    `json:"name"`
	Title         string    `json:"title,omitempty"`
	Type          string    `json:"type"`
	Access        string    `json:"access"`
	Items         int       `json:"items"`
	Subscriptions int       `json:"subscriptions"`
	Created       time.Time `json:"created"`
}

func (c *Nodes) list(ctx context.Context, r *Request) (Result, error) {
	service, err := nodeService(r.Args[0])
	if err != nil {
		return Result{}, err
	}
	owner, err := nodeOwner(r)
	if err != nil {
		return Result{}, err
	}
	infos := []nodeInfo{}
	t := &Table{Columns: []string{"node", "title", "type", "access", "items", "subscriptions", "created"}, Empty: "There are no nodes."}
	err = c.Keeper.Nodes(ctx, service, owner, func(name, title, kind, access string, items, subscriptions int, created time.Time) bool {
		infos = append(infos, nodeInfo{name, title, kind, access, items, subscriptions, created})
		t.Rows = append(t.Rows, []string{name, title, kind, access, strconv.Itoa(items), strconv.Itoa(subscriptions), created.Format(time.DateOnly)})
		return len(infos) < maxListed
	})
	if err != nil {
		return Result{}, err
	}
	return Result{Data: infos, Table: t}, nil
}

func (c *Nodes) show(ctx context.Context, r *Request) (Result, error) {
	service, err := nodeService(r.Args[0])
	if err != nil {
		return Result{}, err
	}
	config, lists, err := c.Keeper.Node(ctx, service, r.Args[1])
	if err != nil {
		return Result{}, fmt.Errorf("%s of %s: %w", printable(r.Args[1]), service, err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s of %s\n", printable(r.Args[1]), service)
	for _, k := range slices.Sorted(maps.Keys(config)) {
		fmt.Fprintf(&b, "  %-32s %s\n", k, printable(config[k]))
	}
	for _, a := range slices.Sorted(maps.Keys(lists)) {
		fmt.Fprintf(&b, "  %-32s %s\n", a, shorten(lists[a]))
	}
	data := map[string]any{"service": service.String(), "node": r.Args[1], "config": config, "affiliations": lists}
	return Result{Data: data, Text: b.String()}, nil
}

func (c *Nodes) delete(ctx context.Context, r *Request) (Result, error) {
	return c.each(ctx, r, "deleted", c.Keeper.DeleteNode)
}

func (c *Nodes) purge(ctx context.Context, r *Request) (Result, error) {
	return c.each(ctx, r, "purged", c.Keeper.PurgeNode)
}

// each does something with the nodes that a request names. It goes on where one fails, and says which did.
func (c *Nodes) each(ctx context.Context, r *Request, done string, do func(context.Context, jid.JID, string) error) (Result, error) {
	service, err := nodeService(r.Args[0])
	if err != nil {
		return Result{}, err
	}
	names, err := c.chosen(ctx, r, service)
	if err != nil {
		return Result{}, err
	}
	if !r.Is("yes") {
		return Result{}, Usagef("%d nodes of %s would be %s for good; say --yes", len(names), service, done)
	}
	good := []string{}
	var failed error
	for i, name := range names {
		if err := do(ctx, service, name); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", printable(name), err))
			continue
		}
		good = append(good, name)
		r.Progress(int64(i+1), int64(len(names)), "nodes")
	}
	if failed != nil {
		return Result{}, fmt.Errorf("%d of %d nodes were %s: %w", len(good), len(names), done, failed)
	}
	return Result{Data: map[string]any{"service": service.String(), done: good}, Text: fmt.Sprintf("%d nodes of %s were %s.", len(good), service, done)}, nil
}

func (c *Nodes) chosen(ctx context.Context, r *Request, service jid.JID) ([]string, error) {
	owner, err := nodeOwner(r)
	if err != nil {
		return nil, err
	}
	names := r.Args[1:]
	ways := 0
	for _, given := range []bool{len(names) > 0, !owner.IsZero(), r.Is("all")} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		return nil, Usagef("name nodes, or say --owner JID or --all")
	}
	if len(names) > 0 {
		return names, nil
	}
	err = c.Keeper.Nodes(ctx, service, owner, func(name, _, _, _ string, _, _ int, _ time.Time) bool {
		names = append(names, name)
		return true
	})
	return names, err
}
