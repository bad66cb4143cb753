package pubsub

import (
	"context"
	"errors"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// The root of a host's nodes (XEP-0248 §8.1) has no name. It is a collection that belongs to the service: all nodes that are in no collection are in
// it, everybody may subscribe to it, and nobody configures or deletes it. Its row, which is there once somebody has subscribed, has a place of its own.
const (
	rootKey = "root"
	rootID  = 0
)

func (s *service) rootOwner() string { return s.name + "/" }

// root reads the root of a host.
func (m *Module) root(ctx context.Context, svc *service) (*record, error) {
	b, err := m.t.node.Get(ctx, svc.rootOwner(), rootKey)
	if errors.Is(err, storage.ErrNotFound) {
		c := node.Service()
		c.Kind, c.Title = node.Collection, "All nodes"
		return &record{ID: rootID, Config: c}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("pubsub: read root: %w", err)
	}
	return decodeRecord("", b)
}

// tellRoot tells those who are subscribed to the root of what happens to a node with some collections above it.
func (t *telling) tellRoot(ctx context.Context, what string, above []ancestor) {
	some, err := t.m.t.sub.Range(ctx, t.svc.owner(rootID), "", "", 1, false)
	if err == nil && len(some) == 0 {
		return
	}
	depth := 1
	if err == nil && len(above) > 0 {
		depth, err = t.m.belowRoot(ctx, t.svc, above)
	}
	var r *record
	if err == nil {
		r, err = t.m.root(ctx, t.svc)
	}
	if err != nil {
		t.m.d.Log.Error("the root's subscriptions cannot be read", "service", t.svc.name, "err", err)
		return
	}
	t.subscribers(ctx, r, what, depth)
}

// belowRoot is how deep below the root a node is that has collections above it: by the shortest way.
func (m *Module) belowRoot(ctx context.Context, svc *service, above []ancestor) (int, error) {
	for _, a := range above { // the nearest first
		parents, err := m.edges(ctx, svc, a.name, linkParent)
		if err != nil {
			return 0, err
		}
		if len(parents) == 0 {
			return a.depth + 1, nil
		}
	}
	return maxDepth + 1, nil
}
