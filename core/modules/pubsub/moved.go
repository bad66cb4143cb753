package pubsub

import (
	"errors"
	"fmt"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// Where deleted nodes have gone (XEP-0060 §6.1.3.11, §8.4.2) is kept in table "pubsub_moved", by service and name, until a node of this name is made
// again: the address, and who has said so. Each person may leave as many behind as she may have nodes; they go with her account.
const tableMoved = "pubsub_moved"

func ofMoved(name string) string { return "m" + sep + name }

// leaveWord keeps the address of a deleted node's successor.
func (o *op) leaveWord(uri string) error {
	n := 0
	if err := o.m.ofPerson(o.ctx, o.svc, o.from, ofMoved(""), "m"+sepAfter, func(storage.Row) { n++ }); err != nil {
		return fmt.Errorf("pubsub: count moved nodes: %w", err)
	}
	if n >= o.m.o.Nodes {
		return nil // those who are subscribed are told all the same
	}
	o.u.Add(storage.PutRow{Table: tableMoved, Owner: o.svc.name, Key: o.name, Value: []byte(o.from.Bare().String() + sep + uri)},
		storage.PutRow{Table: tableOf, Owner: o.svc.person(o.from), Key: ofMoved(o.name)})
	return nil
}

// movedTo reads where a node has gone, and by whose word; "": nobody knows.
func (o *op) movedTo() (who, uri string, err error) {
	b, err := o.m.t.moved.Get(o.ctx, o.svc.name, o.name)
	if errors.Is(err, storage.ErrNotFound) {
		return "", "", nil
	}
	if err != nil {
		return "", "", fmt.Errorf("pubsub: read moved node: %w", err)
	}
	who, uri, _ = strings.Cut(string(b), sep)
	return who, uri, nil
}

// isBack forgets where the node of a name had gone.
func (o *op) isBack() error {
	who, _, err := o.movedTo()
	if err != nil || who == "" {
		return err
	}
	o.u.Add(storage.DeleteRow{Table: tableMoved, Owner: o.svc.name, Key: o.name})
	if j, err := jid.Parse(who); err == nil {
		o.u.Add(storage.DeleteRow{Table: tableOf, Owner: o.svc.person(j), Key: ofMoved(o.name)})
	}
	return nil
}

// elsewhere is the answer to who wants to subscribe to a node that is not there (§6.1.3.11, §6.1.3.12).
func (o *op) elsewhere(err error) error {
	if o.rec != nil || o.svc.account {
		return err // of an account's nodes strangers do not learn that they were there
	}
	_, uri, failed := o.movedTo()
	switch {
	case failed != nil:
		return failed
	case uri == "":
		return err
	}
	return &stanza.Error{Condition: stanza.Gone, URI: uri, Text: "The node has moved."}
}
