package gateway

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/mappings"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// invitation reads an invitation of a remote person into a room: mediated by the room (XEP-0045 §7.8.2) or direct (XEP-0249 §2).
func invitation(st *stanza.Stanza) (by, room jid.JID, reason string, ok bool) {
	if c, found := st.Child(ns.MUCUser, "x"); found {
		if inv := c.Node().Child(ns.MUCUser, "invite"); inv != nil {
			from, err := jid.Parse(inv.Attr("from"))
			if r := inv.Child(ns.MUCUser, "reason"); r != nil {
				reason = r.TextContent()
			}
			return from, st.From.Bare(), reason, err == nil && !from.IsZero()
		}
	}
	if c, found := st.Child(ns.Conference, "x"); found {
		at, err := jid.Parse(c.Attr("jid"))
		return st.From, at.Bare(), c.Attr("reason"), err == nil
	}
	return by, room, "", false
}

// invitePuppet passes an invitation on to the network, if the room is one of its own.
func (b *Bridge) invitePuppet(ctx context.Context, u unit, st *stanza.Stanza, by, room jid.JID, reason string) error {
	p, err := b.portals.byRoom(ctx, room)
	if err != nil {
		return err
	}
	switch {
	case p == nil:
		return stanza.NewError(stanza.NotAcceptable, "People on "+b.title()+" can only be invited to rooms of "+b.title()+".")
	case !b.mayUse(by):
		return b.notAllowed()
	case !b.can(sdk.AbilityInvite) || p.caps().Invite == sdk.LevelNone:
		return stanza.NewError(stanza.ServiceUnavailable, "Nobody can be invited on "+b.title()+" from here.")
	}
	user, err := b.userAt(ctx, st.To)
	if err != nil {
		return err
	}
	n := note{Op: opInvite, Bare: by.Bare().String(), Full: by.String(), Nick: by.Local(), User: user, Reason: mappings.Cut(reason, 500, 2000)}
	if err := p.record(event.NewMessageRecord(u, b.m.d.IDs.Next(), st), n); err != nil {
		return err
	}
	u.After(direct{}, func(err error) { b.directStored(ctx, p, st, err) })
	b.m.d.Journal.Submit(u)
	return nil
}
