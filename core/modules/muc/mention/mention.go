// Package mention tells a member of a room who is mentioned while she is not in it (XEP-0452), if the owner has said so.
//
// It is a feature of the rooms of core/modules/muc (see package plug). What it is not: who is in the room is told by her client, which sees the message.
//
// Goroutines: none; see package plug.
//
//	features := []func() plug.Hooks{mention.Feature}
package mention

import (
	"net/url"
	"slices"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/plug"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/delay"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/payload/forward"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Feature is the feature.
func Feature() plug.Hooks { return plug.Hooks{Said: tell, Info: info} }

func info(r plug.Room, _ *form.Form) []string {
	if r.State().Config.ForwardMentions {
		return []string{ns.MUCMentions}
	}
	return nil
}

// maxMentions bounds who is told of one message.
const maxMentions = 10

// tell: XEP-0452 §3.2. What is sent has a hint to keep it: it is for somebody who may not be there.
func tell(r plug.Room, m *event.RoomMessage) {
	if !m.Live || !r.State().Config.ForwardMentions {
		return
	}
	var forwarded *xmlstream.Node
	for _, who := range mentioned(r, m) {
		if forwarded == nil {
			st := m.Stanza.With(m.Stanza.From, r.JID())
			if m.Stored() {
				st.Payload = st.Payload.With(r.StanzaID(m.ID))
			}
			forwarded = forward.Node(st, delay.Node(jid.JID{}, m.At, ""))
		}
		st := stanza.NewMessage("", xmlstream.NewNode(ns.MUCMentions, "mentions").Add(forwarded), xmlstream.NewNode(ns.Hints, "store"))
		st.ID = r.NewID()
		r.Send(st, who)
	}
}

// mentioned returns the absent members that a message mentions.
func mentioned(r plug.Room, m *event.RoomMessage) []jid.JID {
	var out []jid.JID
	add := func(who jid.JID) {
		who = who.Bare()
		if who.IsZero() || len(out) == maxMentions || slices.Contains(out, who) || len(r.State().ByBare(who)) > 0 || r.State().Affiliation(who) < room.Member {
			return
		}
		out = append(out, who)
	}
	for c := range m.Stanza.Payload.All() {
		switch {
		case c.Is(ns.Reference, "reference") && c.Attr("type") == "mention": // XEP-0372 §3.2
			add(referred(r, c.Attr("uri")))
		case c.Is(ns.Mentions, "mention") && c.Attr("mentions") == "": // XEP-0513 §4.1
			if id := c.Attr("occupantid"); id != "" {
				add(byOccupantID(r, id))
			} else if who, err := jid.Parse(c.Attr("jid")); err == nil {
				add(who)
			}
		}
	}
	return out
}

// referred reads the URI of a reference: a person's address, or a nick that somebody has reserved in this room.
func referred(r plug.Room, uri string) jid.JID {
	text, ok := strings.CutPrefix(uri, "xmpp:")
	text, _, _ = strings.Cut(text, "?")
	text, err := url.PathUnescape(text)
	if !ok || err != nil {
		return jid.JID{}
	}
	who, err := jid.Parse(text)
	if err != nil {
		return jid.JID{}
	}
	if who.Bare() != r.JID() {
		return who
	}
	owner, err := jid.Parse(r.State().ReservedBy(who.Resource()))
	if err != nil {
		return jid.JID{}
	}
	return owner
}

type idsKey struct{}

// occupantIDs are the ids of those who have an affiliation, made when one is first asked for and again after the lists have changed.
type occupantIDs struct {
	version int64
	who     map[string]string // occupant id -> bare JID
}

func byOccupantID(r plug.Room, id string) jid.JID {
	c := r.Memory(idsKey{}, func() any { return &occupantIDs{} }).(*occupantIDs) //nolint:forcetypeassert // made here
	if c.who == nil || c.version != r.State().Version {
		*c = occupantIDs{version: r.State().Version, who: map[string]string{}}
		for _, af := range []room.Affiliation{room.Member, room.Admin, room.Owner} {
			for _, bare := range r.State().JIDs(af) {
				c.who[room.OccupantID(r.State().Secret, bare)] = bare
			}
		}
	}
	who, err := jid.Parse(c.who[id])
	if err != nil {
		return jid.JID{}
	}
	return who
}
