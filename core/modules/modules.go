// Package modules is the list of all modules: a new XEP is a folder and one line here.
//
// What it is not: it starts nothing; core/server registers and starts what List returns.
//
// Goroutines: none.
//
//	srv, err := server.New(ctx, server.Options{Modules: modules.List(modules.Options{}), …})
package modules

import (
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules/adhoc"
	"github.com/viaduct-xmpp/viaduct/core/modules/archive"
	"github.com/viaduct-xmpp/viaduct/core/modules/bookmarks"
	"github.com/viaduct-xmpp/viaduct/core/modules/caps"
	"github.com/viaduct-xmpp/viaduct/core/modules/disco"
	"github.com/viaduct-xmpp/viaduct/core/modules/extdisco"
	"github.com/viaduct-xmpp/viaduct/core/modules/mam"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc"
	"github.com/viaduct-xmpp/viaduct/core/modules/offline"
	"github.com/viaduct-xmpp/viaduct/core/modules/ping"
	"github.com/viaduct-xmpp/viaduct/core/modules/presence"
	"github.com/viaduct-xmpp/viaduct/core/modules/private"
	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub"
	"github.com/viaduct-xmpp/viaduct/core/modules/push"
	"github.com/viaduct-xmpp/viaduct/core/modules/register"
	"github.com/viaduct-xmpp/viaduct/core/modules/rejoin"
	"github.com/viaduct-xmpp/viaduct/core/modules/roster"
	"github.com/viaduct-xmpp/viaduct/core/modules/time"
	"github.com/viaduct-xmpp/viaduct/core/modules/upload"
	"github.com/viaduct-xmpp/viaduct/core/modules/vcard"
	"github.com/viaduct-xmpp/viaduct/core/modules/version"
)

// Options are those of the modules.
type Options struct {
	// NoArchive leaves out the archives of accounts.
	NoArchive bool
	// AdHoc offers nothing without a source.
	AdHoc    adhoc.Options
	Archive  archive.Options
	MAM      mam.Options
	Caps     caps.Options
	Disco    disco.Options
	MUC      muc.Options
	Offline  offline.Options
	Private  private.Options
	PubSub   pubsub.Config
	Push     push.Options
	Register register.Options
	Rejoin   rejoin.Options
	Roster   roster.Options
	// ExtDisco offers nothing without services, Upload nothing without a store.
	ExtDisco extdisco.Options
	Upload   upload.Options
	VCard    vcard.Options
	Version  version.Options
}

// List returns all modules. Their order decides nothing but in which order handlers of one phase are called.
func List(o Options) []module.Module {
	list := []module.Module{
		roster.New(o.Roster),
		presence.New(),
		offline.New(o.Offline),
		disco.New(o.Disco),
		caps.New(o.Caps),
		pubsub.New(o.PubSub),
		private.New(o.Private),
		bookmarks.New(),
		ping.New(),
		version.New(o.Version),
		time.New(),
		vcard.New(o.VCard),
		register.New(o.Register),
		muc.New(o.MUC),
		rejoin.New(o.Rejoin),
		extdisco.New(o.ExtDisco),
		upload.New(o.Upload),
		push.New(o.Push),
		adhoc.New(o.AdHoc),
	}
	return append(list, archives(o)...)
}

// archives are the modules of what is kept. Those of rooms are bounded and answered for also where accounts have none.
func archives(o Options) []module.Module {
	o.Archive.NoPeople = o.Archive.NoPeople || o.NoArchive
	o.MAM.NoPeople, o.MAM.NoRooms = o.Archive.NoPeople, o.MUC.NoArchive
	if o.MAM.NoPeople && o.MAM.NoRooms {
		return nil
	}
	return []module.Module{archive.New(o.Archive), mam.New(o.MAM)}
}
