package mam

import (
	"context"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/stanzaid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// scopeRooms is the kind of hosts that have rooms.
const scopeRooms module.Scope = "muc"

// Options of the module.
type Options struct {
	NoPeople bool // accounts have no archives
	NoRooms  bool // rooms have none
	NoSearch bool // words are not looked for, and not indexed
}

// IDs shows the numbers of an archive to the outside; core/server provides it, and each room has its own.
type IDs interface {
	Encode(archive string, id int64) string
	Decode(archive, id string) (int64, bool)
}

// rooms is what the module needs of group chat.
type rooms interface {
	// ArchiveAccess tells whether asker may read what a room keeps, and of which messages she is shown real addresses. ids are the room's.
	ArchiveAccess(ctx context.Context, room, asker jid.JID) (shown event.AuthorsShown, ids *stanzaid.Codec, err error)
}

// Module implements module.Module.
type Module struct {
	o     Options
	d     module.Deps
	ids   IDs
	rooms rooms

	finder  storage.Searcher // nil: words are not looked for
	finding *journal.Queue
	asked   askers // questions for words that wait
	follow  follower
}

// New returns the module.
func New(o Options) *Module { return &Module{o: o} }

// Info implements module.Module.
func (m *Module) Info() module.Info {
	specs := []module.Spec{
		{ID: "XEP-0313", Version: "1.1.3", Status: "complete"},
		{ID: "XEP-0059", Version: "1.0", Status: "partial", Note: "archives do not page by index (§2.6)"},
	}
	if !m.o.NoSearch {
		specs = append(specs, module.Spec{ID: "XEP-0431", Version: "0.2.0", Status: "complete"})
	}
	return module.Info{Name: "mam", Specs: specs}
}

// Register implements module.Module.
func (m *Module) Register(r *module.Registrar) error {
	m.d = r.Deps
	m.finding = journal.NewQueue(func(v any) { m.d.Log.Error("a question for words panicked", "panic", fmt.Sprint(v)) })
	if s, ok := r.Deps.Store.(storage.Searcher); ok && !m.o.NoSearch {
		m.finder = s
	}
	r.Need(&m.ids)
	r.Provide(m)
	var routes []module.IQRoute
	if !m.o.NoPeople {
		r.Feature(module.ScopeAccount, m.features(true)...)
		// Attacks row 21: by a request to one's own address, and to nobody else's.
		routes = append(routes, m.routes(module.ScopeAccount, true, m.account)...)
	}
	if !m.o.NoRooms {
		r.Need(&m.rooms)
		r.Disco(scopeRooms, roomFeatures{m})
		routes = append(routes, m.routes(scopeRooms, false, m.room)...)
	}
	return r.IQ(routes...)
}

func (m *Module) routes(scope module.Scope, own bool, of sourceOf) []module.IQRoute {
	return []module.IQRoute{
		{Scope: scope, Type: stanza.TypeSet, Space: ns.MAM, Local: "query", OwnOnly: own, Handle: m.handler(of, m.query)},
		{Scope: scope, Type: stanza.TypeGet, Space: ns.MAM, Local: "query", OwnOnly: own, Handle: m.handler(of, m.fields)},
		{Scope: scope, Type: stanza.TypeGet, Space: ns.MAM, Local: "metadata", OwnOnly: own, Handle: m.handler(of, m.metadata)},
	}
}

// features are what an archive announces (XEP-0313 §6).
func (m *Module) features(person bool) []string {
	f := []string{ns.MAM, ns.MAMExtended, ns.RSM} // XEP-0059 §6
	if person {
		f = append(f, ns.MAMGroupchatField)
	}
	if m.finder != nil {
		f = append(f, ns.MAMFullText) // XEP-0431 §2.1
	}
	return f
}
