package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// Links as commands of a bridge's host, for those whom `allow.link` names: the owner of a room links it with a room of this network.

// mayLinkRoom refuses who may not link, or not this room: owners may, and administrators; whoever makes a room owns it.
func (b *Bridge) mayLinkRoom(ctx context.Context, asker, room jid.JID) error {
	if !b.m.MayLink(b.spec.Name, asker) {
		return stanza.NewError(stanza.Forbidden, "You may not link rooms with "+b.title()+". Ask the administrator of "+b.spec.Domain+".")
	}
	if b.m.o.IsAdmin != nil && b.m.o.IsAdmin(asker.Bare()) {
		return nil
	}
	rooms := b.m.d.Store.Rooms()
	if _, err := rooms.Get(ctx, room.String()); errors.Is(err, storage.ErrNotFound) {
		return nil
	} else if err != nil {
		return fmt.Errorf("gateway: room %s: %w", room, err)
	}
	a, err := rooms.AffiliationOf(ctx, room.String(), asker.Bare().String())
	if err == nil && a.Affiliation == "owner" {
		return nil
	}
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("gateway: room %s: %w", room, err)
	}
	return stanza.NewError(stanza.Forbidden, "Only an owner of "+room.String()+" may do this.")
}

// linkArgs reads "room-here room-there".
func linkArgs(args string) (room jid.JID, remote string, err error) {
	here, there, _ := strings.Cut(strings.TrimSpace(args), " ")
	room, err = jid.Parse(here)
	if err != nil || !room.IsBare() || !room.HasLocal() || len(there) > maxTyped {
		return room, "", stanza.NewError(stanza.BadRequest, "Say which room here and which there, such as: ops@rooms.example.org #ops")
	}
	return room, strings.TrimSpace(there), nil
}

func verbLink(ctx context.Context, b *Bridge, asker jid.JID, args string) (string, error) {
	room, remote, err := linkArgs(args)
	if err == nil && remote == "" {
		err = stanza.NewError(stanza.BadRequest, "Say also with which room on "+b.title()+".")
	}
	if err == nil {
		err = b.mayLinkRoom(ctx, asker, room)
	}
	if err != nil {
		return "", err
	}
	got, err := b.m.AddLink(ctx, room, []RemoteName{{b.spec.Name, remote}}, asker)
	if err == nil {
		err = got[0].Err
	}
	if err != nil {
		return "", stanza.NewError(stanza.NotAcceptable, err.Error())
	}
	return fmt.Sprintf("%s is linked with %s. xmpp:%s?join", room, remote, room), nil
}

func verbUnlink(ctx context.Context, b *Bridge, asker jid.JID, args string) (string, error) {
	room, remote, err := linkArgs(args)
	if err == nil {
		err = b.mayLinkRoom(ctx, asker, room)
	}
	if err != nil {
		return "", err
	}
	l, err := b.m.linkOf(room)
	if err != nil {
		return "", stanza.NewError(stanza.ItemNotFound, err.Error())
	}
	var names []RemoteName
	for _, r := range l.snapshot().Remotes {
		if r.Bridge == b.spec.Name && (remote == "" || r.Room == remote) {
			names = append(names, RemoteName{r.Bridge, r.Room})
		}
	}
	if len(names) == 0 {
		return "", stanza.NewError(stanza.ItemNotFound, room.String()+" is not linked with that on "+b.title()+".")
	}
	got, err := b.m.RemoveLink(ctx, room, names)
	if err != nil {
		return "", stanza.NewError(stanza.NotAcceptable, err.Error())
	}
	var lines []string
	for _, r := range got {
		if r.Err != nil {
			return "", stanza.NewError(stanza.NotAllowed, r.Remote.Room+": "+r.Err.Error())
		}
		lines = append(lines, strings.TrimSuffix(r.Remote.Room+" is no longer linked. "+r.Note, " "))
	}
	return strings.Join(lines, "\n"), nil
}

// verbLinks lists the links with this network: to those who may link, and of the others those of public rooms.
func verbLinks(ctx context.Context, b *Bridge, asker jid.JID, _ string) (string, error) {
	may := b.m.MayLink(b.spec.Name, asker)
	var lines []string
	for _, s := range b.m.Links(ctx) {
		row, err := b.m.d.Store.Rooms().Get(ctx, s.Room.String())
		if !may && (err != nil || !row.Public) {
			continue
		}
		for _, r := range s.Remotes {
			if r.Remote.Bridge == b.spec.Name {
				lines = append(lines, fmt.Sprintf("%s: %s, %s", s.Room, r.Remote.Room, r.State))
			}
		}
	}
	if len(lines) == 0 {
		return "No room is linked with " + b.title() + ".", nil
	}
	return strings.Join(lines, "\n"), nil
}
