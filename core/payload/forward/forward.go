// Package forward wraps a stanza into another one (XEP-0297): the common part of carbons, archive results and reports.
//
// What it is not: whether a forwarded stanza may be believed is the reader's decision (XEP-0297 §4); see the modules that use it.
//
// Goroutines: none.
//
//	result.Add(forward.Node(msg, delay.Node(jid.JID{}, id.Time(), "")))
package forward

import (
	"errors"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/delay"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// ErrNone says that an element is no <forwarded/> with exactly one stanza.
var ErrNone = errors.New("forward: not one forwarded stanza")

// Node returns <forwarded/> with the stanza; stamp (may be nil) stands before it.
func Node(st *stanza.Stanza, stamp *xmlstream.Node) *xmlstream.Node {
	n := xmlstream.NewNode(ns.Forward, "forwarded")
	if stamp != nil {
		n.Add(stamp)
	}
	return n.Add(st.Node())
}

// Parse returns what a <forwarded/> holds. at is the zero Stamp if it has none.
func Parse(n *xmlstream.Node) (st *stanza.Stanza, at delay.Stamp, err error) {
	if n == nil || n.Name.Space != ns.Forward || n.Name.Local != "forwarded" {
		return nil, at, ErrNone
	}
	inner := xmlstream.NewFragment(n.Nodes...)
	at, _ = delay.Of(inner, jid.JID{})
	for c := range inner.All() {
		if stanza.KindOf(c.Name().Local) == 0 || c.Name().Space != ns.Client {
			continue
		}
		if st != nil {
			return nil, at, ErrNone
		}
		if st, err = stanza.FromChild(c); err != nil {
			return nil, at, fmt.Errorf("forward: %w", err)
		}
	}
	if st == nil {
		return nil, at, ErrNone
	}
	return st, at, nil
}
