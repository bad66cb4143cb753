package gateway

import (
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// permits tells whether a list of the configuration names somebody. An empty one is the accounts of this server.
func (m *Module) permits(list []string, who jid.JID) bool {
	if len(list) == 0 {
		return m.d.Hosts.IsAccountDomain(who.Domain())
	}
	return slices.ContainsFunc(list, func(entry string) bool {
		switch entry {
		case "*", who.Domain(), who.Bare().String():
			return true
		case "admins":
			return m.o.IsAdmin != nil && m.o.IsAdmin(who.Bare())
		}
		return false
	})
}

func (b *Bridge) mayUse(who jid.JID) bool { return b.m.permits(b.allow.Load().Use, who) }

func (b *Bridge) mayCreate(who jid.JID) bool {
	return b.mayUse(who) && b.m.permits(b.allow.Load().CreateRooms, who)
}

// MayLink tells whether somebody may link rooms with a bridge; admins may if nobody is named.
func (m *Module) MayLink(bridge string, who jid.JID) bool {
	b := m.byName[bridge]
	if b == nil {
		return false
	}
	list := b.allow.Load().Link
	if len(list) == 0 {
		list = []string{"admins"}
	}
	return m.permits(list, who)
}

// SetAllow changes who may do what with a bridge. Whoever is in a room stays.
func (m *Module) SetAllow(bridge string, a Allow) error {
	b := m.byName[bridge]
	if b == nil {
		return errNoBridge
	}
	b.allow.Store(&a)
	return nil
}

func (b *Bridge) notAllowed() error {
	return stanza.NewError(stanza.Forbidden, "You may not use the bridge to "+b.title()+". Ask the administrator of "+b.spec.Domain+".")
}
