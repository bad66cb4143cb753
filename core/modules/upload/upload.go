// Package upload lets people put files where others can fetch them by HTTP (XEP-0363): slots over XMPP, PUT and GET by a handler that the server's HTTP
// listeners serve, quotas, and an expiry for each file.
//
// A slot is its URL: who may put what, how large and until when is signed into it, and no row is kept of a slot that nobody uses. A file is a row under
// a random id; its body lies in a [Store] under the hash of what it holds. 201 to a PUT follows the body's sync and the commit of the row.
//
// What it is not: it listens nowhere ([Module.ServeHTTP] is mounted by internal/appliance), and it looks into no file: what a browser may show is decided by
// the type that the uploader gave, and everything that could act is sent as an attachment with a policy that forbids it to.
//
// Specifications: XEP-0363 1.2.0; RFC 9110 (ranges, conditional requests), RFC 6266 (names of attachments).
//
// Storage: see rows.go.
//
// Goroutines: one that removes what has expired, ended by Stop.
//
//	m := upload.New(upload.Options{Store: store, PublicURL: "https://example.org:5443"})
//	mux.Handle(upload.Path, httpd.Public, m)
package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// Scope is the scope of requests to the hosts of this module.
const Scope module.Scope = "upload"

// Path is where the handler is mounted.
const Path = "/upload/"

// Store keeps the bodies; core/blob says what is expected of one.
type Store interface {
	Put(ctx context.Context, r io.Reader, claim func(key string, size int64) error) error
	Open(ctx context.Context, key string) (io.ReadSeekCloser, int64, error)
	Delete(ctx context.Context, key string) error
	Walk(ctx context.Context, after string, fn func(key string, size int64, written time.Time) error) error
}

// Keys derives keys from the server's secret; core/server provides it.
type Keys interface {
	DeriveKey(purpose string) ([]byte, error)
}

// Class is a class of files by size: those with more than Over bytes expire after After.
type Class struct {
	Over  int64
	After time.Duration
}

// Options of the module. Without a Store it offers nothing; with one, PublicURL is required. A limit of 0 is none.
type Options struct {
	Store Store
	// PublicURL is what the links begin with: scheme, host and port.
	PublicURL string
	// Label is the first label of the service's host at each account domain; "upload" by default.
	Label string
	// MaxBytes is the largest file; PerUserBytes and PerDayBytes bound what one person has here, and what she may bring in 24 hours;
	// TotalBytes bounds all of them together.
	MaxBytes, PerUserBytes, PerDayBytes, TotalBytes int64
	// ExpireAfter is how long a file stays; 0: for ever. Of it and the classes that fit, the shortest time counts.
	ExpireAfter time.Duration
	Classes     []Class
	// ProfileBytes bounds what one person has of pictures of herself (purpose "profile"); 0: they are not offered. They stay for ProfileExpireAfter (0: for ever).
	ProfileBytes       int64
	ProfileExpireAfter time.Duration
	// Permanent offers files that stay for ever (purpose "permanent").
	Permanent bool
	// SlotTime is how long a slot can be used; 5 minutes by default (XEP-0363 §9).
	SlotTime time.Duration
	// SweepEvery is how often what has expired is removed; 10 minutes by default.
	SweepEvery time.Duration
	// Puts bounds the uploads under way at once; 256 by default.
	Puts int
}

// Module implements module.Module, http.Handler, and what the administration and bridges use.
type Module struct {
	o      Options
	base   *url.URL
	d      module.Deps
	keys   Keys
	signer *signer
	tables tables
	quota  quota
	claims claims
	putSem chan struct{}
	remove chan struct{} // one removal at a time

	stop context.CancelFunc
	wake chan struct{}
	done sync.WaitGroup
}

// New returns the module.
func New(o Options) *Module {
	if o.Label == "" {
		o.Label = "upload"
	}
	if o.SlotTime <= 0 {
		o.SlotTime = 5 * time.Minute
	}
	if o.SweepEvery <= 0 {
		o.SweepEvery = 10 * time.Minute
	}
	if o.Puts <= 0 {
		o.Puts = 256
	}
	return &Module{o: o, putSem: make(chan struct{}, o.Puts), remove: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
}

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "upload", Specs: []module.Spec{{ID: "XEP-0363", Version: "1.2.0", Status: "complete"}}}
}

// Register implements module.Module.
func (m *Module) Register(r *module.Registrar) (err error) {
	if m.o.Store == nil {
		return nil
	}
	m.base, err = url.Parse(strings.TrimSuffix(m.o.PublicURL, "/"))
	if err != nil || m.base.Host == "" || m.base.RawQuery != "" || m.base.Fragment != "" {
		return fmt.Errorf("upload: %q is no public URL", m.o.PublicURL)
	}
	m.d = r.Deps
	m.tables = openTables(r.Deps.Store)
	m.quota.init(m.o, m.tables, r.Deps.Journal)
	m.claims.init()
	r.Need(&m.keys)
	r.Provide(m)
	for _, d := range r.Deps.Hosts.Domains() {
		if err := r.Host(module.HostSpec{Name: m.o.Label + "." + d, Scope: Scope, Handler: refuser{m}, ListedIn: d, Title: title}); err != nil {
			return err
		}
	}
	r.Identity(Scope, module.Identity{Category: "store", Type: "file", Name: title}) // XEP-0363 §3, example 4
	r.Feature(Scope, ns.Upload)
	for _, p := range m.purposes() {
		r.Feature(Scope, ns.UploadPurpose+"#"+string(p)) // XEP-0363 §5
	}
	r.Disco(Scope, discoSource{m})
	r.Deps.Events.Account.Deleted.On(event.Record, "upload", m.accountDeleted)
	r.Deps.Events.Account.Deleted.On(event.After, "upload", func(context.Context, *event.AccountChange) error { m.sweepSoon(); return nil })
	return r.IQ(module.IQRoute{Scope: Scope, Type: stanza.TypeGet, Space: ns.Upload, Local: "request", Handle: m.request})
}

const title = "HTTP File Upload"

// Start implements module.Starter.
func (m *Module) Start(ctx context.Context) error {
	if m.o.Store == nil {
		return nil
	}
	key, err := m.keys.DeriveKey("upload slots")
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	m.signer = &signer{key}
	if err := m.quota.load(ctx); err != nil {
		return err
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	m.stop = cancel
	m.done.Go(func() { m.run(run) })
	return nil
}

// Stop implements module.Starter. Uploads under way are the listeners' to end; one that ends later finds the journal stopped and is refused.
func (m *Module) Stop(context.Context) error {
	if m.stop != nil {
		m.stop()
	}
	m.done.Wait()
	return nil
}

// Usage returns what is kept altogether, for the metrics page.
func (m *Module) Usage() (files, bytes int64) { return m.quota.all() }

// notFound tells whether a store or table has no such thing.
func notFound(err error) bool { return errors.Is(err, storage.ErrNotFound) }
