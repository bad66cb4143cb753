package muc

import (
	"net/url"
	"slices"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/delay"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/payload/forward"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// mentionsFeature: a member who is mentioned while she is not in the room is told (XEP-0452), if the owner has said so.
func mentionsFeature(d *dispatch) {
	d.said = append(d.said, (*actor).forwardMentions)
	d.info = append(d.info, func(a *actor, _ jid.JID, _ *form.Form) []string {
		if a.room.Config.ForwardMentions {
			return []string{ns.MUCMentions}
		}
		return nil
	})
}

// maxMentions bounds who is told of one message.
const maxMentions = 10

// forwardMentions: XEP-0452 §3.2. What is sent has a hint to keep it: it is for somebody who may not be there.
func (a *actor) forwardMentions(m *event.RoomMessage) {
	if !m.Live || !a.room.Config.ForwardMentions {
		return
	}
	var forwarded *xmlstream.Node
	for _, who := range a.mentioned(m) {
		if forwarded == nil {
			st := m.Stanza.With(m.Stanza.From, a.jid)
			if m.Stored() {
				st.Payload = st.Payload.With(a.stanzaIDNode(int64(m.ID)))
			}
			forwarded = forward.Node(st, delay.Node(jid.JID{}, m.At, ""))
		}
		st := stanza.NewMessage("", xmlstream.NewNode(ns.MUCMentions, "mentions").Add(forwarded), xmlstream.NewNode(ns.Hints, "store"))
		st.ID = a.m.newID()
		a.m.d.Router.Send(a.ctx, st.With(a.jid, who))
	}
}

// mentioned returns the absent members that a message mentions.
func (a *actor) mentioned(m *event.RoomMessage) []jid.JID {
	var out []jid.JID
	add := func(who jid.JID) {
		who = who.Bare()
		if who.IsZero() || len(out) == maxMentions || slices.Contains(out, who) || len(a.room.ByBare(who)) > 0 || a.room.Affiliation(who) < room.Member {
			return
		}
		out = append(out, who)
	}
	for c := range m.Stanza.Payload.All() {
		switch {
		case c.Is(ns.Reference, "reference") && c.Attr("type") == "mention": // XEP-0372 §3.2
			add(a.referred(c.Attr("uri")))
		case c.Is(ns.Mentions, "mention") && c.Attr("mentions") == "": // XEP-0513 §4.1
			if id := c.Attr("occupantid"); id != "" {
				add(a.byOccupantID(id))
			} else if who, err := jid.Parse(c.Attr("jid")); err == nil {
				add(who)
			}
		}
	}
	return out
}

// referred reads the URI of a reference: a person's address, or a nick that somebody has reserved in this room.
func (a *actor) referred(uri string) jid.JID {
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
	if who.Bare() != a.jid {
		return who
	}
	owner, err := jid.Parse(a.room.ReservedBy(who.Resource()))
	if err != nil {
		return jid.JID{}
	}
	return owner
}

// occupantIDs are the ids of those who have an affiliation, made when one is first asked for and again after the lists have changed.
type occupantIDs struct {
	version int64
	who     map[string]string // occupant id -> bare JID
}

func (a *actor) byOccupantID(id string) jid.JID {
	c := &a.extra.occupants
	if c.who == nil || c.version != a.room.Version {
		*c = occupantIDs{version: a.room.Version, who: map[string]string{}}
		for _, af := range []room.Affiliation{room.Member, room.Admin, room.Owner} {
			for _, bare := range a.room.JIDs(af) {
				c.who[room.OccupantID(a.room.Secret, bare)] = bare
			}
		}
	}
	who, err := jid.Parse(c.who[id])
	if err != nil {
		return jid.JID{}
	}
	return who
}
