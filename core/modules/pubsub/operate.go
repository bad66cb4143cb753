package pubsub

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// What administrators do; see core/admin.

var errNoNode = errors.New("there is no such node")

func (m *Module) operated(service jid.JID) (*service, error) {
	if svc := m.at(service); svc != nil {
		return svc, nil
	}
	return nil, fmt.Errorf("%s has no nodes: it is neither an account of this server nor one of its hosts of publish-subscribe", service)
}

// Nodes calls fn for the nodes of a service, an account or a host, in the order of their names until it returns false; with an owner for those that
// she owns.
func (m *Module) Nodes(ctx context.Context, service, owner jid.JID,
	fn func(name, title, kind, access string, items, subscriptions int, created time.Time) bool,
) error {
	svc, err := m.operated(service)
	if err != nil {
		return err
	}
	tell := func(r *record) bool {
		return fn(r.Name, r.Config.Title, r.Config.Kind, string(r.Config.Access), r.Count, r.Subs, time.Unix(r.Created, 0).UTC())
	}
	if !owner.IsZero() && !(svc.account && owner.Bare() == svc.jid) {
		return m.ownedBy(ctx, svc, owner, tell)
	}
	for from := ""; ; {
		rows, err := m.t.node.Range(ctx, svc.name, from, "", maxPage, false)
		if err != nil {
			return fmt.Errorf("pubsub: list nodes: %w", err)
		}
		for _, row := range rows {
			from = row.Key + "\x01"
			r, err := decodeRecord(row.Key, row.Value)
			if err != nil {
				return err
			}
			if !tell(r) {
				return nil
			}
		}
		if len(rows) < maxPage {
			return nil
		}
	}
}

// ownedBy calls fn for the nodes of a host that a person owns.
func (m *Module) ownedBy(ctx context.Context, svc *service, owner jid.JID, fn func(*record) bool) error {
	var names []string
	err := m.ofPerson(ctx, svc, owner, ofAffil(""), "a"+sepAfter, func(r storage.Row) {
		if _, what := parseOf(r.Value); node.Affiliation(what) == node.Owner {
			names = append(names, nodeOf(r.Key))
		}
	})
	if err != nil {
		return fmt.Errorf("pubsub: list nodes: %w", err)
	}
	for _, name := range names {
		r, err := m.find(ctx, svc, name)
		if err != nil {
			return err
		}
		if r != nil && !fn(r) {
			return nil
		}
	}
	return nil
}

// Node returns what is to be known of a node: its configuration by the names of the form's fields, and who is what to it.
func (m *Module) Node(ctx context.Context, service jid.JID, name string) (config map[string]string, affiliations map[string][]string, err error) {
	svc, err := m.operated(service)
	if err != nil {
		return nil, nil, err
	}
	r, err := m.find(ctx, svc, name)
	if err != nil {
		return nil, nil, err
	}
	if r == nil || name == "" {
		return nil, nil, errNoNode
	}
	config = map[string]string{}
	for _, fd := range r.Config.Form(form.TypeResult).Fields {
		if v := strings.Join(fd.Values, ", "); v != "" && fd.Var != "FORM_TYPE" {
			config[strings.TrimPrefix(fd.Var, "pubsub#")] = v
		}
	}
	affiliations = map[string][]string{}
	if svc.account {
		affiliations[string(node.Owner)] = []string{svc.name}
	}
	for from := ""; ; {
		rows, err := m.t.affil.Range(ctx, svc.owner(r.ID), from, "", maxPage, false)
		if err != nil {
			return nil, nil, fmt.Errorf("pubsub: read affiliations: %w", err)
		}
		for _, row := range rows {
			from = row.Key + "\x01"
			affiliations[string(row.Value)] = append(affiliations[string(row.Value)], row.Key)
		}
		if len(rows) < maxPage {
			return config, affiliations, nil
		}
	}
}

// DeleteNode deletes a node; its subscribers are told as if an owner had deleted it.
func (m *Module) DeleteNode(ctx context.Context, service jid.JID, name string) error {
	return m.operate(ctx, service, name, func(o *op) error { return o.removeAndTell(o.deletion()) })
}

// PurgeNode deletes the items of a node.
func (m *Module) PurgeNode(ctx context.Context, service jid.JID, name string) error {
	return m.operate(ctx, service, name, (*op).purgeItems)
}

// operate does something with a node in its place among the node's changes, and returns when it is durable.
func (m *Module) operate(ctx context.Context, service jid.JID, name string, fn func(*op) error) error {
	svc, err := m.operated(service)
	if err != nil {
		return err
	}
	if !xmlName(name) {
		return errNoNode
	}
	o := &op{m: m, ctx: context.WithoutCancel(ctx), svc: svc, from: svc.jid, name: name, verb: xmlstream.NewNode("", "operate"),
		u: journal.NewUnit(journal.Lane{Kind: journal.LaneServer, Key: "pubsub"})}
	run := func(o *op) (_ *xmlstream.Node, err error) {
		if o.rec, err = o.m.find(o.ctx, o.svc, o.name); err != nil {
			return nil, err
		}
		if o.rec == nil {
			return nil, errNoNode
		}
		return nil, fn(o)
	}
	done := make(chan error, 1)
	m.queue(svc.key(name)).Post(func() {
		o.start(verb{run: run, graph: always}, func(_ *xmlstream.Node, err error) { done <- err })
	})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("pubsub: %w", ctx.Err())
	}
}
