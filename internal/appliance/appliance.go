package appliance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/viaduct-xmpp/viaduct/configs"
	"github.com/viaduct-xmpp/viaduct/core/admin"
	"github.com/viaduct-xmpp/viaduct/core/httpd"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/mam"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc"
	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub"
	"github.com/viaduct-xmpp/viaduct/core/modules/push"
	"github.com/viaduct-xmpp/viaduct/core/modules/register"
	"github.com/viaduct-xmpp/viaduct/core/modules/rejoin"
	"github.com/viaduct-xmpp/viaduct/core/server"
	"github.com/viaduct-xmpp/viaduct/core/storage/sqlite"
	"github.com/viaduct-xmpp/viaduct/core/tlscert"
)

// Options of an Appliance. Config is required.
type Options struct {
	Config *configs.Config
	// File is the configuration file, "" for the embedded defaults: what a reload reads again.
	File string
	// Env gives environment variables; nil: none.
	Env func(string) (string, bool)
	Log *Log // nil: discarded
	// ExeDir is where plugins are looked for first; "": the folder of the running program.
	ExeDir string
	// Iterations is how much work each login is; 0: the default. Tests lower it.
	Iterations int
}

// Appliance is a server with everything it has.
type Appliance struct {
	o       Options
	log     *slog.Logger
	store   *sqlite.Store
	certs   *tlscert.Store
	core    *server.Server
	muc     *muc.Module
	pubsub  *pubsub.Module
	mam     *mam.Module  // nil: nothing is archived
	push    *push.Module // nil: nobody is woken
	rejoin  *rejoin.Module
	sign    *register.Module
	http    *httpd.Server
	pages   *httpd.Health
	cmds    *admin.Registry
	bridges *bridges
	files   fileServices
	web     *httpd.Server

	reloading sync.Mutex // one at a time

	mu      sync.Mutex // guards config
	config  *configs.Config
	bg      sync.WaitGroup
	endBack context.CancelFunc
}

// New opens the data directory and assembles the server; nothing listens yet. An error is one line with what to do.
func New(ctx context.Context, o Options) (_ *Appliance, err error) {
	if o.Log == nil {
		o.Log = DiscardLog()
	}
	if o.ExeDir == "" {
		if o.ExeDir, err = exeDir(); err != nil {
			return nil, err
		}
	}
	a := &Appliance{o: o, log: o.Log.Logger, config: o.Config, cmds: &admin.Registry{}, pages: httpd.NewHealth()}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	if a.store, err = openStore(ctx, o.Config, a.log); err != nil {
		return nil, err
	}
	if a.certs, err = openCerts(ctx, o.Config, a.log); err != nil {
		return nil, err
	}
	if err := a.assemble(ctx); err != nil {
		return nil, err
	}
	return a, a.commands()
}

// exeDir is the folder of the running program.
func exeDir() (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the running program: %w", err)
	}
	return filepath.Dir(exe), nil
}

// Start opens the admin socket, then the client ports, then starts the bridges. When it returns, people can log in. After an error everything is down again.
func (a *Appliance) Start(ctx context.Context) error {
	a.http = httpd.New(a.log)
	back, cancel := context.WithCancel(context.WithoutCancel(ctx))
	a.endBack = cancel
	a.bg.Go(func() { a.certs.Run(back) })
	if err := a.start(ctx, back); err != nil {
		return errors.Join(err, a.Stop(ctx))
	}
	for _, note := range a.config.Notes() {
		a.log.Warn("configuration", "note", note)
	}
	return nil
}

// start opens everything; back lasts as long as the appliance runs.
func (a *Appliance) start(ctx, back context.Context) error {
	if err := a.http.ListenUnix(ctx, admin.SocketName, filepath.Join(a.config.DataDir, admin.SocketName), admin.Handler(a.cmds, a.log)); err != nil {
		return err
	}
	a.measure()
	m := &httpd.Mux{}
	a.pages.Register(m)
	if err := a.http.Listen(ctx, "listen.admin", a.config.Listen.Admin, nil, m); err != nil {
		return err
	}
	if err := a.core.Start(ctx); err != nil {
		return err
	}
	if err := a.startFiles(ctx); err != nil {
		return err
	}
	if err := a.startBridgeFiles(back); err != nil {
		return err
	}
	if err := a.startWeb(ctx); err != nil {
		return err
	}
	return a.bridges.start(ctx)
}

// Stop takes everything down in order: no new connections, sessions kept or told, bridges drained, the store closed. It may be called once, after Start.
func (a *Appliance) Stop(ctx context.Context) error {
	errs := []error{a.stopWeb(ctx), a.bridges.stop(ctx)}
	if a.endBack != nil {
		a.endBack()
	}
	a.bridges.files.Wait() // they write into the core's store
	errs = append(errs, a.core.Stop(ctx), a.stopFiles())
	if a.http != nil {
		errs = append(errs, a.http.Stop(ctx))
	}
	a.bg.Wait()
	return errors.Join(append(errs, a.close())...)
}

// close closes what New opened.
func (a *Appliance) close() error {
	if a.store == nil {
		return nil
	}
	err := a.store.Close()
	a.store = nil
	return err
}

// Core returns the core, for tests.
func (a *Appliance) Core() *server.Server { return a.core }

// HTTP returns the listeners of HTTP, for their addresses.
func (a *Appliance) HTTP() *httpd.Server { return a.http }

// Addresses returns where clients reach the server, by key of the configuration.
func (a *Appliance) Addresses() map[string][]string {
	out := map[string][]string{}
	for _, key := range []string{server.KeyC2S, server.KeyC2SDirect} {
		for _, addr := range a.core.Listeners().Addrs(key) {
			out[key] = append(out[key], addr.String())
		}
	}
	for _, key := range []string{keyHTTP, keyHTTPS} {
		for _, addr := range a.web.Addrs(key) {
			out[key] = append(out[key], addr.String())
		}
	}
	for _, addr := range a.http.Addrs("listen.admin") {
		out["listen.admin"] = append(out["listen.admin"], addr.String())
	}
	return out
}

// FirstAdmin makes admin@<first domain> if there are no accounts at all, and returns its password; made is false if there are some.
func (a *Appliance) FirstAdmin(ctx context.Context) (who jid.JID, password string, made bool, err error) {
	n, err := a.core.Accounts().Count(ctx, "")
	if err != nil || n > 0 {
		return jid.JID{}, "", false, err
	}
	if who, err = jid.New("admin", a.config.Domains[0], ""); err != nil {
		return jid.JID{}, "", false, err
	}
	password = generatePassword()
	return who, password, true, a.core.Accounts().Create(ctx, who, password, true)
}
