package rejoin_test

import (
	"context"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules/rejoin"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

func stats(s *xmpptest.Server) rejoin.Stats { return s.Module("rejoin").(*rejoin.Module).Stats() }

// TestOwnRoomsAreNotWatched: see docs/adr/0011.
func TestOwnRoomsAreNotWatched(t *testing.T) {
	s := xmpptest.Start(t, xmpptest.Options{})
	alice := s.Login(t, "alice@example.org/phone")
	alice.Online()
	alice.Write("<presence to='coven@rooms.example.org/Alice'><x xmlns='" + ns.MUC + "'/></presence>")
	alice.NextNamed(ns.Client, "presence")
	if got := stats(s); got.Seats != 0 {
		t.Errorf("%+v", got)
	}
}

// component is a module with a host whose rooms are somewhere else.
type component struct {
	d   module.Deps
	got chan *stanza.Stanza
}

func (*component) Info() module.Info { return module.Info{Name: "component"} }

func (c *component) Register(r *module.Registrar) error {
	c.d = r.Deps
	return r.Host(module.HostSpec{Name: "chat.example.org", Scope: "component", Handler: c})
}

func (c *component) HandleStanza(_ context.Context, u *journal.Unit, st *stanza.Stanza) {
	c.d.Journal.Submit(u)
	c.got <- st
}

// TestRoomsOfComponents: they are watched as those of other servers.
func TestRoomsOfComponents(t *testing.T) {
	clock, c := xmpptest.NewClock(), &component{got: make(chan *stanza.Stanza, 10)}
	s := xmpptest.Start(t, xmpptest.Options{Clock: clock, Extra: func() []module.Module { return []module.Module{c} }})
	alice := s.Login(t, "alice@example.org/phone")
	alice.Online()
	alice.Write("<presence to='coven@chat.example.org/Alice'><x xmlns='" + ns.MUC + "'/></presence>")
	join := <-c.got
	c.d.Router.Send(t.Context(), stanza.NewPresence("").With(join.To, join.From))
	alice.NextNamed(ns.Client, "presence")
	clock.Pass(12 * time.Minute)
	if ping := <-c.got; !ping.Payload.Has(ns.Ping, "ping") || ping.From != alice.JID {
		t.Errorf("sent: %s", ping)
	}
}

// enter brings alice into the room of another server.
func enter(t *testing.T, o xmpptest.Options) (*xmpptest.Server, *xmpptest.Remote, *xmpptest.Client) {
	t.Helper()
	remote := xmpptest.NewRemote("far.example")
	o.Remote = remote
	s := xmpptest.Start(t, o)
	alice := s.Login(t, "alice@example.org/phone")
	alice.Online()
	alice.Write("<presence to='coven@far.example/Alice'><x xmlns='" + ns.MUC + "'/></presence>")
	remote.Next(t)
	remote.Send(t, "<presence from='coven@far.example/Alice' to='alice@example.org/phone'><x xmlns='"+ns.MUCUser+"'><status code='110'/></x></presence>")
	alice.NextNamed(ns.Client, "presence")
	return s, remote, alice
}

// TestOff: whoever wants it to be the clients' business has no more traffic.
func TestOff(t *testing.T) {
	clock := xmpptest.NewClock()
	o := xmpptest.Options{Clock: clock}
	o.Modules.Rejoin.Off = true
	s, remote, _ := enter(t, o)
	clock.Pass(15 * time.Minute)
	s.Settle(t)
	if sts := remote.Pending(); len(sts) > 0 || stats(s).Seats != 0 {
		t.Errorf("sent: %v", sts)
	}
}

// TestNothingStays: when the session is over nothing is remembered, and nothing is asked any more.
func TestNothingStays(t *testing.T) {
	clock := xmpptest.NewClock()
	s, remote, alice := enter(t, xmpptest.Options{Clock: clock})
	if got := stats(s); got.Seats != 1 || got.Known != 1 {
		t.Errorf("%+v", got)
	}
	alice.Close()
	if st := remote.Next(t); st.Type != "unavailable" {
		t.Errorf("sent: %s", st)
	}
	s.Settle(t)
	if got := stats(s); got != (rejoin.Stats{}) {
		t.Errorf("%+v", got)
	}
	clock.Pass(15 * time.Minute)
	s.Settle(t)
	if sts := remote.Pending(); len(sts) > 0 {
		t.Errorf("sent: %v", sts)
	}
}
