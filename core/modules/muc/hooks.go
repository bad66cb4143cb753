package muc

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/activity"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/hat"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/mention"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/slowmode"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// hooks are the moments of a room at which features take part that XEP-0045 does not know (docs/adr/0010); those in folders of their own see less of it
// (seat.go). They run in the room's
// goroutine, in the order of the table of features, but for routes, which run in the asker's.
type hooks struct {
	guards  []func(*actor, *event.RoomMessage) error            // a person's message to everybody: an error refuses it
	records []func(*actor, *event.RoomMessage)                  // it is accepted: rows for its unit
	said    []func(*actor, *event.RoomMessage)                  // it is committed and shown; also those of gateways
	worn    []func(*actor, *room.Occupant) *xmlstream.Node      // what presence of an occupant shows besides; nil: nothing
	info    []func(*actor, jid.JID, *form.Form) []string        // features of disco#info, and fields of muc#roominfo; the form is nil for strangers
	items   map[string]func(*actor, jid.JID) []module.DiscoItem // disco#items of a node of a room
	loads   []func(*actor) error                                // the room was read from the store
	routes  []func(*Module) module.IQRoute                      // requests to the host itself

	configures []func(*actor, *journal.Unit, room.Config) // the configuration changes: rows for its unit
	forgets    []func(*actor, jid.JID)                    // a person's account was deleted, and her rows with it

	tables       []string // of features; their rows are owned by the room and go with it
	personTables []string // those of a room, and of features, whose key is a bare JID
}

// moreFeatures are features that XEP-0045 does not know and that act on the actor, one file each.
var moreFeatures = []func(*dispatch){takeBackFeature, plugged(slowmode.Feature), plugged(activity.Feature), plugged(hat.Feature), tokensFeature,
	plugged(mention.Feature), searchFeature, versionsFeature}

// dropFeatures adds the rows that remove what features have stored for a room.
func (h *hooks) dropFeatures(u *journal.Unit, at jid.JID) {
	for _, t := range h.tables {
		u.Add(storage.DeleteRows{Table: t, Owner: at.String()})
	}
}

// extras are what features remember of a room while it is in memory.
type extras struct {
	takingBack *takingBack
	tokens     map[string]token // nil: not read yet
	lists      listVersions
	memory     map[any]any // of features in folders of their own (plug.Room)
}

// newExtras makes what features remember of a room that has just become this actor's.
func newExtras() extras { return extras{} }

// guard asks whether a message of a person may be said.
func (h *hooks) guard(a *actor, m *event.RoomMessage) error {
	for _, f := range h.guards {
		if err := f(a, m); err != nil {
			return err
		}
	}
	return nil
}

// record adds the rows of an accepted message.
func (h *hooks) record(a *actor, m *event.RoomMessage) {
	for _, f := range h.records {
		f(a, m)
	}
}

// tell tells of a message that was said.
func (h *hooks) tell(a *actor, m *event.RoomMessage) {
	for _, f := range h.said {
		f(a, m)
	}
}

// wear adds to presence what an occupant wears.
func (h *hooks) wear(a *actor, o *room.Occupant, f xmlstream.Fragment) xmlstream.Fragment {
	for _, fn := range h.worn {
		if n := fn(a, o); n != nil {
			f = f.With(n)
		}
	}
	return f
}

// describe adds to the description of a room; f is nil if the asker may not see the form.
func (h *hooks) describe(a *actor, asker jid.JID, f *form.Form) (features []string) {
	for _, fn := range h.info {
		features = append(features, fn(a, asker, f)...)
	}
	return features
}

// load reads what features have stored for a room.
func (h *hooks) load(a *actor) error {
	for _, f := range h.loads {
		if err := f(a); err != nil {
			return err
		}
	}
	return nil
}

// configure adds the rows of a change of the configuration.
func (h *hooks) configure(a *actor, u *journal.Unit, c room.Config) {
	for _, f := range h.configures {
		f(a, u, c)
	}
}

// listed answers disco#items of a node of a room.
func (m *Module) listed(ctx context.Context, h *host, asker, target jid.JID, node string) (items []module.DiscoItem, ok bool, err error) {
	list := m.dispatch.items[node]
	if list == nil {
		return nil, false, nil
	}
	err = m.query(ctx, h, asker, target, func(a *actor) error {
		items = list(a, asker)
		return nil
	})
	return items, err == nil, err
}
