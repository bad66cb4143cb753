package presence

import (
	"context"
	"sync"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Rosters is what presence needs of the contact lists; core/modules/roster provides it.
type Rosters interface {
	Item(ctx context.Context, owner, contact jid.JID) (storage.RosterItem, error)
	Items(ctx context.Context, owner jid.JID) ([]storage.RosterItem, error)
	Subscribers(ctx context.Context, owner jid.JID) ([]jid.JID, error)
	Subscribed(ctx context.Context, owner, contact jid.JID) (bool, error)
	Update(ctx context.Context, u *journal.Unit, owners []jid.JID,
		fn func(get func(owner, contact jid.JID) storage.RosterItem, put func(owner jid.JID, item storage.RosterItem)) error,
		submit func(*journal.Unit)) error
}

// Delivery is what presence needs of the router beside module.Router; core/server provides it.
type Delivery interface {
	// Lane is the queue in which stanzas are delivered to an account.
	Lane(j jid.JID) journal.Poster
	// Multicast routes one stanza to many addresses.
	Multicast(ctx context.Context, st *stanza.Stanza, to []jid.JID)
}

// Accounts tells which accounts exist; core/server provides it.
type Accounts interface {
	Exists(ctx context.Context, bare jid.JID) (bool, error)
}

// Module implements module.Module and module.AccountPresence.
type Module struct {
	d        module.Deps
	rosters  Rosters
	delivery Delivery
	accounts Accounts

	over sync.Map // jid.JID, bare: accounts that are being or were deleted, whose contacts are told by that
}

var _ module.AccountPresence = (*Module)(nil)

// New returns the module.
func New() *Module { return &Module{} }

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "presence", Specs: []module.Spec{
		{ID: "RFC 6121", Version: "2011-03", Status: "partial", Note: "§3 with pre-approval, §4"},
	}}
}

// Register implements module.Module.
func (m *Module) Register(r *module.Registrar) error {
	m.d = r.Deps
	r.Need(&m.rosters)
	r.Need(&m.delivery)
	r.Need(&m.accounts)
	ev := r.Deps.Events
	ev.C2S.Features.On(event.Record, "presence", features)
	ev.C2S.Closed.On(event.After, "presence", m.closed)
	ev.C2S.Saving.On(event.Record, "presence", saveDirected)
	ev.C2S.Restored.On(event.After, "presence", restoreDirected)
	ev.Roster.Removing.On(event.Record, "presence", m.removing)
	ev.Account.Deleted.On(event.Record, "presence", m.deleted)
	ev.Account.Created.On(event.After, "presence", func(_ context.Context, c *event.AccountChange) error {
		m.over.Delete(c.JID.Bare())
		return nil
	})
	return r.AccountPresence(m)
}

// features: RFC 6121 §3.4.1.
func features(_ context.Context, f *event.StreamFeatures) error {
	if !f.Stream.User.IsZero() {
		f.Features = append(f.Features, xmlstream.NewNode(ns.PreApproval, "sub"))
	}
	return nil
}

// local tells whether an address belongs to an account of this server by its form.
func (m *Module) local(j jid.JID) bool { return j.HasLocal() && m.d.Hosts.IsAccountDomain(j.Domain()) }

// fail answers a stanza with an error and submits its unit.
func (m *Module) fail(u *journal.Unit, st *stanza.Stanza, err error) {
	if reply := st.ErrorReply(err); reply != nil {
		if reply.From.IsZero() {
			reply.From = st.From.Bare() // RFC 6120 §8.1.2.1: the server answers on behalf of the account
		}
		u.After(m.delivery.Lane(st.From), func(error) { m.d.Router.Send(context.Background(), reply) })
	}
	if se := stanza.AsError(err); se.Cause != nil {
		m.d.Log.Error("presence could not be handled", "from", st.From.String(), "to", st.To.String(), "err", err)
	}
	m.d.Journal.Submit(u)
}

// bare makes a presence stanza between accounts.
func bare(typ string, from, to jid.JID) *stanza.Stanza {
	p := stanza.NewPresence(typ)
	p.From, p.To = from.Bare(), to.Bare()
	return p
}
