package muc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// SetOccupants makes puppets enter, change and leave, in the order of the list. It returns when everybody has been told.
func (m *Module) SetOccupants(ctx context.Context, at jid.JID, changes []event.OccupantChange) error {
	return m.call(ctx, at, exclusive, func(a *actor, in *inbound, done func(error)) {
		if a.room == nil {
			done(fmt.Errorf("%w: %s", ErrNoRoom, at))
			return
		}
		plan, err := a.planPuppets(in.u, changes)
		if err != nil {
			done(err)
			return
		}
		a.commit(in.u, func(err error) {
			if err == nil {
				for i := range plan {
					a.setPuppet(&plan[i])
				}
				a.vanish(&inbound{u: a.unit()})
			}
			done(err)
		})
	})
}

// puppetChange is a change with what was decided about it.
type puppetChange struct {
	event.OccupantChange
	nick  string
	role  room.Role
	lists []room.AffiliationChange
}

// planPuppets decides on nicks, roles and affiliations and adds the rows that are needed for them.
func (a *actor) planPuppets(u *journal.Unit, changes []event.OccupantChange) ([]puppetChange, error) {
	out := make([]puppetChange, 0, len(changes))
	taken := room.Nicks{}
	var lists []room.AffiliationChange
	for _, c := range changes {
		p, err := a.planPuppet(u, c, taken)
		if err != nil {
			return nil, fmt.Errorf("muc: set occupants: %s: %w", c.Puppet, err)
		}
		lists = append(lists, p.lists...)
		out = append(out, p)
	}
	if len(lists) > 0 {
		a.saveAffiliations(u, lists)
	}
	return out, nil
}

var errNoPuppet = errors.New("a puppet has a bare address, which is not one of the room's own host")

func (a *actor) planPuppet(u *journal.Unit, c event.OccupantChange, taken room.Nicks) (puppetChange, error) {
	p := puppetChange{OccupantChange: c}
	if !c.Puppet.IsBare() || c.Puppet.Domain() == a.jid.Domain() || a.m.d.Hosts.IsAccountDomain(c.Puppet.Domain()) {
		return p, errNoPuppet
	}
	if c.Leave {
		return p, nil
	}
	af := a.room.Affiliation(c.Puppet)
	if want, ok := room.ParseAffiliation(c.Affiliation); ok && want != af {
		p.lists = []room.AffiliationChange{{Target: c.Puppet.String(), Affiliation: want}}
		af = want
	}
	role, ok := room.ParseRole(c.Role)
	if !ok || role == room.NoRole {
		role = room.InitialRole(af, a.room.Config.Moderated)
	}
	p.role = role
	var err error
	p.nick, err = a.nickFor(u, c, taken)
	taken.Add(p.nick)
	return p, err
}

// given is the stored row of a puppet that did not get the nick it wanted.
type given struct {
	Wanted string `json:"wanted"`
	Given  string `json:"given"`
}

// nickFor returns the nick for a puppet: what it was given before for the same wish, else what it wants, else one of its fallbacks. A nick
// that differs from the wish is kept for ever, so that a puppet is not renamed with every visit.
func (a *actor) nickFor(u *journal.Unit, c event.OccupantChange, taken room.Nicks) (string, error) {
	now := a.room.Puppet(c.Puppet)
	if c.Nick == "" && now != nil {
		return now.Nick, nil
	}
	kept, err := a.keptNick(c.Puppet)
	if err != nil {
		return "", err
	}
	wanted := append([]string{c.Nick}, c.Fallbacks...)
	if kept.Given != "" && kept.Wanted == c.Nick {
		wanted = append([]string{kept.Given}, wanted...)
	}
	nick := a.room.FreeNick(c.Puppet, taken, wanted...)
	if nick != c.Nick && (kept.Given != nick || kept.Wanted != c.Nick) {
		a.putNick(u, c.Puppet, given{c.Nick, nick})
	}
	return nick, nil
}

func (a *actor) keptNick(puppet jid.JID) (given, error) {
	var g given
	b, err := a.m.d.Store.Table(tableNicks).Get(a.ctx, a.jid.String(), puppet.String())
	if errors.Is(err, storage.ErrNotFound) {
		return g, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &g)
	}
	if err != nil {
		return g, fmt.Errorf("read the nick of a puppet: %w", err)
	}
	return g, nil
}

func (a *actor) putNick(u *journal.Unit, puppet jid.JID, g given) {
	b, err := json.Marshal(g)
	if err != nil { // two strings: cannot happen
		panic(fmt.Sprintf("muc: encode nick: %v", err))
	}
	u.Add(storage.PutRow{Table: tableNicks, Owner: a.jid.String(), Key: puppet.String(), Value: b})
}

// keepNick stores the nick that a puppet had to take when a person came who has the one it wanted.
func (a *actor) keepNick(puppet jid.JID, wanted, nick string) {
	u := a.unit()
	a.putNick(u, puppet, given{wanted, nick})
	a.stream(u, func(err error) {
		if err != nil {
			a.m.d.Log.Error("the nick of a puppet could not be stored", "room", a.jid.String(), "err", err)
		}
	})
}

// setPuppet carries out a committed change.
func (a *actor) setPuppet(c *puppetChange) {
	o := a.room.Puppet(c.Puppet)
	switch {
	case c.Leave && o == nil:
	case c.Leave:
		a.remove(o, removal{status: c.Status, reason: c.Reason, actor: room.Actor{Nick: c.Actor}})()
	case o == nil:
		a.applyAffiliations(c.lists, room.Actor{Service: true})
		a.enterPuppet(c)
	default:
		a.changePuppet(o, c)
	}
}

func (a *actor) enterPuppet(c *puppetChange) {
	o := &room.Occupant{Nick: c.nick, Bare: c.Puppet, ID: room.OccupantID(a.room.Secret, a.remoteKey(c.OccupantChange)), Role: c.role,
		Domain: c.Puppet.Domain(), Fallbacks: c.Fallbacks, Presence: a.show(xmlstream.NewFragment(c.Presence...))}
	a.room.EnterPuppet(o)
	a.tellOthers(a.available(o), o.Role)
}

// remoteKey is what the occupant id of a puppet is made of: the remote person, who may be known under another address one day.
func (a *actor) remoteKey(c event.OccupantChange) string {
	if c.ID == "" {
		return c.Puppet.String()
	}
	return room.RemoteKey(c.Puppet.Domain(), c.ID)
}

func (a *actor) changePuppet(o *room.Occupant, c *puppetChange) {
	before := a.shown(o).full.st.Payload.String()
	a.room.Apply(c.lists)
	if c.Presence != nil {
		o.SetPresence(a.show(xmlstream.NewFragment(c.Presence...)))
	}
	if c.Fallbacks != nil {
		o.Fallbacks = c.Fallbacks
	}
	a.room.SetRole(o, c.role)
	if c.nick != o.Nick {
		a.rename(o, c.nick, "")
		return
	}
	if a.shown(o).full.st.Payload.String() != before {
		a.tellOthers(a.available(o), o.Role)
	}
}

// puppetStanza is a message of a puppet as the room shows it.
func (a *actor) puppetStanza(o *room.Occupant, id string, payload []*xmlstream.Node) *stanza.Stanza {
	st := &stanza.Stanza{Kind: stanza.Message, Type: stanza.TypeGroupchat, ID: id, From: a.jid}
	f := a.sanitize(xmlstream.NewFragment(payload...))
	if o != nil {
		st.From = a.occupantJID(o.Nick)
		f = f.With(occupantIDNode(o.ID))
	}
	if st.Payload = f; st.ID == "" {
		st.ID = a.m.newID()
	}
	return st
}
