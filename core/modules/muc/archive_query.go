package muc

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/payload/stanzaid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// ArchiveAccess tells whether somebody may read the archive of a room now, and of which messages she is shown who is behind the nick; ids are
// the room's. It is asked by core/modules/mam, which answers the question.
func (m *Module) ArchiveAccess(ctx context.Context, at, asker jid.JID) (shown event.AuthorsShown, ids *stanzaid.Codec, err error) {
	h := m.hosts[at.Domain()]
	if h == nil || !at.IsBare() || !at.HasLocal() {
		return event.NoAuthors, nil, notHere()
	}
	type access struct {
		shown event.AuthorsShown
		ids   *stanzaid.Codec
	}
	found := make(chan access, 1)
	err = m.query(ctx, h, asker, at, func(a *actor) error {
		shown, err := a.mayRead(asker)
		if err == nil {
			found <- access{shown, a.ids}
		}
		return err
	})
	if err != nil {
		return event.NoAuthors, nil, err
	}
	got := <-found
	return got.shown, got.ids, nil
}

// mayRead: whoever may enter now may read (XEP-0313 §5.1.3) if the room says that it is logged, admins and owners in any case. Who is shown real
// addresses in the room finds them in its archive: moderators all, others those that everybody was shown when the message was said.
func (a *actor) mayRead(asker jid.JID) (shown event.AuthorsShown, err error) {
	c, af, here := a.room.Config, a.room.Affiliation(asker), a.room.ByBare(asker.Bare())
	switch {
	case af == room.Outcast:
		return shown, stanza.NewError(stanza.Forbidden, "you are banned from this room")
	case c.Locked && af != room.Owner:
		return shown, stanza.NewError(stanza.ItemNotFound, "there is no such room")
	case !c.Logging && af < room.Admin: // XEP-0045 §10.2.1: status 171 has promised it
		return shown, stanza.NewError(stanza.Forbidden, "what is said in this room is shown to nobody afterwards")
	case c.MembersOnly && af < room.Member:
		return shown, stanza.NewError(stanza.Forbidden, "only members may read what is kept of this room")
	case c.Password != "" && af != room.Owner && len(here) == 0:
		return shown, stanza.NewError(stanza.Forbidden, "enter the room to read what is kept of it: it has a password")
	}
	if af >= room.Admin { // who would be a moderator
		return event.AllAuthors, nil
	}
	for _, o := range here {
		if o.Role == room.Moderator {
			return event.AllAuthors, nil
		}
	}
	if c.NonAnonymous {
		return event.AuthorsKnown, nil
	}
	return event.NoAuthors, nil
}

// archive keeps a message in the room's archive. The real sender stands beside it: for filters, and for those who may know her.
func (a *actor) archive(m *event.RoomMessage, peer string) {
	if !a.m.o.NoArchive {
		m.Ref(storage.Room, a.jid.String(), peer, m.Occupant.ArchiveNote(a.room.Config.NonAnonymous))
	}
}

// ForgetHistory has a room read the newest messages anew: some were taken out of its archive.
func (m *Module) ForgetHistory(ctx context.Context, at jid.JID) error {
	return m.call(ctx, at, immediate, func(a *actor, _ *inbound, done func(error)) {
		defer done(nil)
		a.forgetPast()
	})
}
