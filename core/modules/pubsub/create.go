package pubsub

import (
	"encoding/base32"
	"fmt"
	"io"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// newID returns a name that nobody has and nobody guesses: 80 random bits.
func (m *Module) newID() (string, error) {
	var b [10]byte
	if _, err := io.ReadFull(m.d.Rand, b[:]); err != nil {
		return "", fmt.Errorf("pubsub: make id: %w", err)
	}
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:])), nil
}

// submitted reads the form among the children of n; nil: there is none, which means the defaults. FORM_TYPE may be left out as clients do.
func submitted(n *xmlstream.Node, formType string) (*form.Form, error) {
	if n == nil {
		return nil, nil
	}
	x := form.Find(n)
	if x == nil {
		return nil, nil
	}
	f, err := form.Parse(x)
	if err != nil {
		return nil, stanza.NewError(stanza.BadRequest, "The form cannot be understood.")
	}
	if t := f.FormType(); t != "" && t != formType {
		return nil, stanza.NewError(stanza.BadRequest, "This is a form for something else.")
	}
	return f, nil
}

// create: XEP-0060 §8.1.
func (o *op) create() (*xmlstream.Node, error) {
	if err := o.mayCreate(); err != nil {
		return nil, err
	}
	r, err := o.m.find(o.ctx, o.svc, o.name)
	if err != nil {
		return nil, err
	}
	if r != nil {
		return nil, stanza.NewError(stanza.Conflict, "There is a node of this name already.") // §8.1.1
	}
	f, err := submitted(o.query.Child(ns.PubSub, "configure"), ns.PubSubNodeConfig)
	if err != nil {
		return nil, err
	}
	if err := o.make(f); err != nil {
		return nil, err
	}
	if err := o.save(); err != nil {
		return nil, err
	}
	// §8.1.2: always said, since the name may be the service's.
	return o.reply(xmlstream.NewNode(ns.PubSub, "create", "node", o.name)), nil
}

// mayCreate: XEP-0060 §8.1.1.
func (o *op) mayCreate() error {
	if o.svc.account {
		if o.from.Bare() != o.svc.jid {
			return node.Forbidden("Only the account itself makes nodes here.")
		}
		return nil
	}
	switch o.m.o.Create {
	case CreateAnyone:
		return nil
	case CreateLocal:
		if o.from.HasLocal() && o.m.d.Hosts.IsAccountDomain(o.from.Domain()) {
			return nil
		}
	}
	return node.Forbidden("You may not make nodes here.")
}

// roomForNode bounds what one person may have (attacks row 29).
func (o *op) roomForNode() error {
	var n int
	if o.svc.account {
		rows, err := o.m.t.node.Range(o.ctx, o.svc.name, "", "", o.m.o.Nodes, false)
		if err != nil {
			return fmt.Errorf("pubsub: count nodes: %w", err)
		}
		n = len(rows)
	} else {
		err := o.m.ofPerson(o.ctx, o.svc, o.from, ofAffil(""), "a"+sepAfter, func(r storage.Row) {
			if _, what := parseOf(r.Value); node.Affiliation(what) == node.Owner {
				n++
			}
		})
		if err != nil {
			return fmt.Errorf("pubsub: count nodes: %w", err)
		}
	}
	if n >= o.m.o.Nodes {
		return node.Refuse(stanza.NotAllowed, "", "max-nodes-exceeded", fmt.Sprintf("You have %d nodes already.", n))
	}
	return nil
}

// make prepares a new node with a configuration (XEP-0060 §8.1.3) as o.rec; the caller saves it.
func (o *op) make(f *form.Form) error {
	if err := o.roomForNode(); err != nil {
		return err
	}
	c := o.m.defaults(o.svc)
	if f != nil {
		var err error
		if c, err = c.Submit(f, o.m.limits()); err != nil {
			return err
		}
	}
	if c.Kind == node.Collection && o.svc.account {
		return node.Unsupported("collections", "An account has no collections.")
	}
	if err := o.isBack(); err != nil {
		return err
	}
	id := o.m.d.IDs.Next()
	o.rec = &record{Name: o.name, ID: int64(id), Gen: int64(id), Config: c, Creator: o.from.Bare().String(), Created: o.m.d.Clock.Now().Unix()}
	o.rel = node.Relation{Affiliation: node.Owner}
	if !o.svc.account {
		o.affiliate(o.from.Bare(), node.Owner)
	}
	if c.Expire > 0 {
		o.listExpiry()
	}
	if !o.svc.account { // XEP-0248 §5.3.1.2
		o.notify(node.ForNodes, xmlstream.NewNode(ns.PubSubEvent, "create", "node", o.name))
	}
	return o.setEdges(f)
}

// affiliate adds the rows of an affiliation, seen from both sides.
func (o *op) affiliate(who jid.JID, a node.Affiliation) {
	owner, key := o.svc.owner(o.rec.ID), who.Bare().String()
	if a == node.None {
		o.u.Add(storage.DeleteRow{Table: tableAffil, Owner: owner, Key: key},
			storage.DeleteRow{Table: tableOf, Owner: o.svc.person(who), Key: ofAffil(o.name)})
		return
	}
	o.listWhere(who)
	o.u.Add(storage.PutRow{Table: tableAffil, Owner: owner, Key: key, Value: []byte(a)},
		storage.PutRow{Table: tableOf, Owner: o.svc.person(who), Key: ofAffil(o.name), Value: ofValue(o.rec.ID, string(a))})
}

// listWhere notes that somebody here is something on another account's service, so that it is found when her account is deleted.
func (o *op) listWhere(who jid.JID) {
	if o.svc.account && o.m.d.Hosts.IsAccountDomain(who.Domain()) {
		o.u.Add(storage.PutRow{Table: tableOf, Owner: who.Bare().String(), Key: ofWhere + o.svc.name})
	}
}

func (m *Module) limits() node.Limits {
	return node.Limits{MaxItems: m.o.Items, MaxPayload: m.o.PayloadBytes}
}
