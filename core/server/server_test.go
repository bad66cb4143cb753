package server_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules"
	"github.com/viaduct-xmpp/viaduct/core/server"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/storage/sqlite/sqlitetest"
	"github.com/viaduct-xmpp/viaduct/core/tlscert"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// part is a module that notes when it is started and stopped.
type part struct {
	name  string
	notes *[]string
	start error
	reg   error
	set   func(*module.Registrar)
}

func (p *part) Info() module.Info { return module.Info{Name: p.name} }

func (p *part) Register(r *module.Registrar) error {
	if p.set != nil {
		p.set(r)
	}
	return p.reg
}

func (p *part) Start(context.Context) error {
	*p.notes = append(*p.notes, "+"+p.name)
	return p.start
}

func (p *part) Stop(context.Context) error {
	*p.notes = append(*p.notes, "-"+p.name)
	return nil
}

func newServer(t *testing.T, set func(*server.Options)) (*server.Server, error) {
	t.Helper()
	certs, err := tlscert.Open(context.Background(), tlscert.Options{Source: tlscert.SelfSigned{Dir: t.TempDir()}, Names: []string{"example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	o := server.Options{Domains: []string{"example.org"}, Store: sqlitetest.Open(t), Certs: certs,
		Listen: server.Listen{C2S: []string{"127.0.0.1:0"}, C2SDirect: []string{"127.0.0.1:0"}}}
	set(&o)
	return server.New(context.Background(), o)
}

type answers interface{ Answer() int }

type provider struct{}

func (provider) Answer() int { return 42 }

// Modules start after what they need, stop in the other order, and the server says how far it is.
func TestLife(t *testing.T) {
	var notes []string
	var need answers
	s, err := newServer(t, func(o *server.Options) {
		o.Modules = append(modules.List(modules.Options{}),
			&part{name: "needs", notes: &notes, set: func(r *module.Registrar) { r.Need(&need) }},
			&part{name: "provides", notes: &notes, set: func(r *module.Registrar) { r.Provide(provider{}) }})
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if err := s.Ready(); !errors.Is(err, server.ErrNotStarted) {
		t.Errorf("ready before the start: %v", err)
	}
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Ready(), s.Health(ctx)); err != nil || need.Answer() != 42 {
		t.Errorf("after the start: %v", err)
	}
	if len(s.Listeners().Addrs(server.KeyC2S)) != 1 || len(s.Listeners().Addrs(server.KeyC2SDirect)) != 1 {
		t.Error("it does not listen")
	}
	if err := s.Start(ctx); err == nil {
		t.Error("started twice")
	}
	for range 2 {
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	}
	if err := s.Ready(); !errors.Is(err, server.ErrStopping) {
		t.Errorf("ready after the stop: %v", err)
	}
	if got := strings.Join(notes, " "); got != "+provides +needs -needs -provides" {
		t.Errorf("order: %s", got)
	}
}

// What is wrong is said, and nothing is left running.
func TestFailures(t *testing.T) {
	var notes []string
	busy, err := newServer(t, func(*server.Options) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := busy.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = busy.Stop(context.Background()) })
	port := busy.Listeners().Addrs(server.KeyC2S)[0].String()
	var need answers
	for name, c := range map[string]struct {
		set   func(*server.Options)
		want  string
		notes string
	}{
		"no domain":          {func(o *server.Options) { o.Domains = nil }, "domains", ""},
		"bad domain":         {func(o *server.Options) { o.Domains = []string{"a b"} }, `domain "a b"`, ""},
		"a domain twice":     {func(o *server.Options) { o.Domains = []string{"a.example", "A.example"} }, "a.example is there twice", ""},
		"a module twice":     {func(o *server.Options) { o.Modules = []module.Module{&part{name: "x"}, &part{name: "x"}} }, "module x is there twice", ""},
		"registration fails": {func(o *server.Options) { o.Modules = []module.Module{&part{name: "x", reg: errors.New("no")}} }, "register module x: no", ""},
		"a need": {func(o *server.Options) {
			o.Modules = []module.Module{&part{name: "x", set: func(r *module.Registrar) { r.Need(&need) }}}
		}, "module x needs", ""},
		"a start fails": {func(o *server.Options) {
			o.Modules = []module.Module{&part{name: "a", notes: &notes}, &part{name: "b", notes: &notes, start: errors.New("no")}}
		}, "start module b: no", "+a +b -a"},
		"a busy port": {func(o *server.Options) {
			o.Listen.C2SDirect = []string{port}
			o.Modules = []module.Module{&part{name: "a", notes: &notes}}
		}, "listen.c2s_tls: " + port, "+a -a"},
	} {
		t.Run(name, func(t *testing.T) {
			notes = nil
			s, err := newServer(t, c.set)
			if err == nil {
				err = s.Start(t.Context())
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			if got := strings.Join(notes, " "); got != c.notes {
				t.Errorf("started and stopped: %q, want %q", got, c.notes)
			}
		})
	}
}

// The secret is made once: ids that clients remember stay good.
func TestSecretStays(t *testing.T) {
	s := xmpptest.Start(t, xmpptest.Options{})
	read := func() []byte {
		b, err := s.Data().Table("server").Get(t.Context(), "server", "secret")
		if err != nil || len(b) != 32 {
			t.Fatalf("%d bytes: %v", len(b), err)
		}
		return b
	}
	before := read()
	s.Restart(t)
	if string(before) != string(read()) {
		t.Error("the secret is another after a restart")
	}
}

// brittle is a store that fails to commit when it is told to.
type brittle struct {
	storage.Store
	mu   sync.Mutex
	fail error
}

func (b *brittle) Commit(ctx context.Context, units []*journal.Unit) []error {
	b.mu.Lock()
	fail := b.fail
	b.mu.Unlock()
	if fail == nil {
		return b.Store.Commit(ctx, units)
	}
	errs := make([]error, len(units))
	for i := range errs {
		errs[i] = fail
	}
	return errs
}

func (b *brittle) set(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail = err
}

// A full disk: what cannot be stored is not shown, not acknowledged, and its sender is told; all goes on when there is room again.
func TestDiskFull(t *testing.T) {
	store := &brittle{}
	s := xmpptest.Start(t, xmpptest.Options{Store: func(inner storage.Store) storage.Store { store.Store = inner; return store }})
	alice, bob := s.Login(t, "alice@example.org/phone"), s.Login(t, "bob@example.org/desk")
	alice.Online()
	bob.Online()
	const full = "<error type='wait'><resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>...</error>"
	store.set(errors.New("database or disk is full"))
	alice.Send("<message to='bob@example.org' type='chat' id='m1'><body>lost?</body></message>")
	alice.Expect("<message from='bob@example.org' type='error' id='m1'>" + full + "</message>")
	alice.Send("<iq type='set' id='r1'><query xmlns='jabber:iq:roster'><item jid='x@example.net'/></query></iq>")
	alice.Expect("<iq type='error' id='r1'>" + full + "</iq>")
	alice.Send("<iq type='set' id='v1'><vCard xmlns='vcard-temp'><FN>A</FN></vCard></iq>")
	alice.Expect("<iq type='error' id='v1'>" + full + "</iq>")
	// What needs no disk works.
	alice.Send("<message to='bob@example.org' type='chat' id='m2'><active xmlns='http://jabber.org/protocol/chatstates'/></message>")
	bob.Expect("<message from='alice@example.org/phone' type='chat' id='m2'><active xmlns='http://jabber.org/protocol/chatstates'/></message>")
	store.set(nil)
	alice.Send("<message to='bob@example.org' type='chat' id='m1'><body>lost?</body></message>")
	bob.Expect("<message from='alice@example.org/phone' type='chat' id='m1'><body>lost?</body>...</message>")
	alice.Send("<iq type='get' id='r2'><query xmlns='jabber:iq:roster'/></iq>")
	alice.Expect("<iq type='result' id='r2'><query xmlns='jabber:iq:roster' ver='0'/></iq>")
	alice.Send("<iq type='set' id='r3'><query xmlns='jabber:iq:roster'><item jid='x@example.net'/></query></iq>")
	alice.Expect("<iq type='result' id='r3'/>")
	alice.Expect("<iq type='set' from='alice@example.org'><query xmlns='jabber:iq:roster' ver='1'><item jid='x@example.net' subscription='none'/></query></iq>")
}
