package muc

import (
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// inbound is a stanza for a room with its unit.
type inbound struct {
	u  *journal.Unit
	st *stanza.Stanza
	h  *host
	// failed, if set, is told of a refusal instead of the stanza's sender.
	failed func(error)
	call   bool         // a call of the rooms service; st is nil, and the unit is its own
	mark   journal.Mark // the unit as it came
}

// query returns the child of an iq request, read.
func (in *inbound) query() *xmlstream.Node {
	q, _ := in.st.Query()
	return q.Node()
}

// handler handles one stanza in the room's goroutine. It sees to it that the unit is submitted.
type handler func(a *actor, in *inbound)

// class says how a task is ordered among the others of its room.
type class uint8

const (
	exclusive class = iota // waits until nothing of the room is under way, and holds up what comes behind it until its commit
	pipelined              // a message: many may be under way
	immediate              // reads only, or goes elsewhere: does not wait
)

type iqKey struct {
	typ  string
	name xmlstream.Name
}

type stanzaKey struct {
	kind     stanza.Kind
	occupant bool // addressed to room/nick
	typ      string
}

type entry struct {
	class class
	run   handler
}

// dispatch is the table of what a room answers. Every feature file adds its part; nothing else decides on types and names.
type dispatch struct {
	stanzas  map[stanzaKey]entry
	iq       map[iqKey]entry          // requests to a room
	messages map[xmlstream.Name]entry // messages to a room that are not groupchat, by a child
	service  map[iqKey]func(*host) *xmlstream.Node
	// refine decides between the meanings of one kind and type of stanza; ok false leaves it to stanzas.
	refine map[stanzaKey]func(*stanza.Stanza) (e entry, ok bool)
	hooks
}

// features are what a room can do, one file each.
var features = []func(*dispatch){
	presenceFeature, groupchatFeature, privateFeature, inviteFeature, adminFeature, ownerFeature,
	relayFeature, avatarFeature, moderateFeature, uniqueFeature, bounceFeature, registerFeature, formsFeature,
}

func newDispatch() *dispatch {
	d := &dispatch{stanzas: map[stanzaKey]entry{}, iq: map[iqKey]entry{}, messages: map[xmlstream.Name]entry{},
		service: map[iqKey]func(*host) *xmlstream.Node{}, refine: map[stanzaKey]func(*stanza.Stanza) (entry, bool){}}
	d.personTables = []string{tableRequests, tableVoices}
	d.items = map[string]func(*actor, jid.JID) []module.DiscoItem{}
	for _, f := range slices.Concat(features, moreFeatures) {
		f(d)
	}
	return d
}

// on adds a handler of a kind and type of stanza.
func (d *dispatch) on(k stanza.Kind, occupant bool, typ string, c class, run handler) {
	d.stanzas[stanzaKey{k, occupant, typ}] = entry{c, run}
}

// onIQ adds a handler of a request to a room.
func (d *dispatch) onIQ(typ, space, local string, c class, run handler) {
	d.iq[iqKey{typ, xmlstream.Name{Space: space, Local: local}}] = entry{c, run}
}

// find returns who handles a stanza; nil drops it.
func (d *dispatch) find(st *stanza.Stanza) (handler, class) {
	occupant := st.To.IsFull()
	switch {
	case st.IsRequest() && !occupant:
		return d.findIQ(st)
	case st.Kind == stanza.Message && !occupant && (st.Type == "" || st.Type == stanza.TypeNormal):
		for c := range st.Payload.All() {
			if e, ok := d.messages[c.Name()]; ok {
				return e.run, e.class
			}
		}
	}
	key := stanzaKey{st.Kind, occupant, st.Type}
	if refine := d.refine[key]; refine != nil {
		if e, ok := refine(st); ok {
			return e.run, e.class
		}
	}
	e := d.stanzas[key]
	return e.run, e.class
}

func (d *dispatch) findIQ(st *stanza.Stanza) (handler, class) {
	q, ok := st.Query()
	if !ok {
		return refuseWith(stanza.NewError(stanza.BadRequest, "a request has exactly one child")), immediate
	}
	if e, ok := d.iq[iqKey{st.Type, q.Name()}]; ok {
		return e.run, e.class
	}
	return refuseWith(notHere()), immediate
}

// refuseWith returns a handler that only refuses.
func refuseWith(err error) handler { return func(a *actor, in *inbound) { a.refuse(in, err) } }
