package gateway_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/gateway"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// linked is a server with three bridges to fake networks, one for each name.
type linked struct {
	*xmpptest.Server
	t      testing.TB
	gw     *gateway.Module
	nets   map[string]*fakeNet
	locals map[string]*sdk.Local
	ended  chan string
	admins []jid.JID
	links  []gateway.LinkSpec
	other  *other
}

type linkOptions struct {
	tune  gateway.Tuning
	allow gateway.Allow
	net   func(name string, n *fakeNet)
	store func(storage.Store) storage.Store
	links []gateway.LinkSpec
	media gateway.Media
	away  bool
}

var (
	sides    = []string{"red", "green", "blue"}
	linkRoom = jid.MustParse("ops@rooms.example.org")
)

func newLinked(t testing.TB, o linkOptions) *linked {
	t.Helper()
	w := &linked{t: t, nets: map[string]*fakeNet{}, locals: map[string]*sdk.Local{}, ended: make(chan string, 100), admins: []jid.JID{jid.MustParse("root@example.org")}, links: o.links}
	if o.tune.GhostsPerSec == 0 {
		o.tune.GhostsPerSec = 1000
	}
	if o.tune.RetryMin == 0 {
		o.tune.RetryMin = time.Millisecond
	}
	var specs []gateway.BridgeSpec
	var hosts []muc.HostSpec
	for _, name := range sides {
		n := newNet()
		w.nets[name] = n
		if o.net != nil {
			o.net(name, n)
		}
		specs = append(specs, gateway.BridgeSpec{Name: name, Domain: "example.org", Title: strings.ToUpper(name[:1]) + name[1:], Allow: o.allow})
		hosts = append(hosts, muc.HostSpec{Name: "rooms." + name + ".example.org", Origin: name + ".example.org"})
	}
	w.Server = xmpptest.Start(t, xmpptest.Options{
		Store:   o.store,
		Modules: modules.Options{MUC: muc.Options{Hosts: hosts}},
		Extra: func() []module.Module {
			gw, err := gateway.New(gateway.Options{Bridges: specs, Tune: o.tune, Links: w.links, Media: o.media,
				Admins:   func(context.Context) []jid.JID { return w.admins },
				Detached: func(name string, _ error) { w.ended <- name }})
			if err != nil {
				t.Fatal(err)
			}
			w.gw, w.other = gw, &other{}
			return []module.Module{gw, w.other}
		},
	})
	t.Cleanup(w.detachAll)
	if !o.away {
		w.attachAll()
	}
	return w
}

func (w *linked) attach(name string) {
	w.t.Helper()
	w.detach(name)
	w.locals[name] = sdk.NewLocal(w.nets[name], sdk.LocalOptions{})
	if err := w.gw.Attach(context.Background(), name, w.locals[name]); err != nil {
		w.t.Fatal("attach:", err)
	}
}

func (w *linked) attachAll() {
	w.t.Helper()
	for _, name := range sides {
		w.attach(name)
	}
}

func (w *linked) detach(name string) {
	if l := w.locals[name]; l != nil {
		l.Close()
		w.locals[name] = nil
	}
}

func (w *linked) detachAll() {
	for _, name := range sides {
		w.detach(name)
	}
}

// awaitAway waits until the gateway has seen the end of a bridge's instance.
func (w *linked) awaitAway(name string) {
	w.t.Helper()
	for {
		select {
		case got := <-w.ended:
			if got == name {
				return
			}
		case <-time.After(patience):
			w.t.Fatal("the plugin is still attached")
		}
	}
}

func remotesOf(names ...string) (out []gateway.RemoteName) {
	for _, n := range names {
		out = append(out, gateway.RemoteName{Bridge: n, Room: "#ops:hs"})
	}
	return out
}

// link links the rooms of networks with the room.
func (w *linked) link(names ...string) {
	w.t.Helper()
	got, err := w.gw.AddLink(context.Background(), linkRoom, remotesOf(names...), jid.JID{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range got {
		if r.Err != nil {
			w.t.Fatalf("%s: %v", r.Remote, r.Err)
		}
	}
}

func (w *linked) deliver(name string, events ...sdk.Event) sdk.Receipt {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := w.nets[name].host.Deliver(ctx, sdk.Batch{Events: events})
	if err != nil {
		w.t.Fatal("deliver:", err)
	}
	return r
}

// linkPerson is a client in the linked room.
type linkPerson struct{ *person }

func (w *linked) in(name string) *linkPerson {
	w.t.Helper()
	c := w.Login(w.t, name+"@example.org/phone")
	c.Online()
	p := &linkPerson{&person{c, w.t}}
	p.Send("<presence to='" + linkRoom.String() + "/" + name + "'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	p.until("the subject", func(n *xmlstream.Node) bool { return n.Child(ns.Client, "subject") != nil })
	return p
}

// says sends a groupchat message and waits for its reflection.
func (p *linkPerson) says(id, payload string) *xmlstream.Node {
	p.t.Helper()
	p.Send("<message to='" + linkRoom.String() + "' type='groupchat' id='" + id + "'>" + payload + "</message>")
	return p.until("the reflection", func(n *xmlstream.Node) bool {
		return n.Name.Local == "message" && n.Attr("type") == "groupchat" && n.Attr("id") == id
	})
}

func body(text string) string { return "<body>" + text + "</body>" }

// awaitTexts waits until a network has got messages with these texts, in this order, and no others.
func (w *linked) awaitTexts(name string, want ...string) {
	w.t.Helper()
	n := w.nets[name]
	n.await(w.t, name+"'s messages "+strings.Join(want, ", "), func() bool { return len(n.texts()) >= len(want) })
	n.mu.Lock()
	defer n.mu.Unlock()
	if got := n.texts(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		w.t.Errorf("%s has %q, want %q", name, got, want)
	}
}

// remoteID is what a network calls the message of an operation.
func (n *fakeNet) remoteID(op sdk.Op) sdk.RemoteMessageID {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.byOp[op.Head().ID].Parts[0].Remote
}

// sent returns the operation that brought a text to a network, once it is there.
func (w *linked) sent(name, text string) *sdk.SendMessage {
	w.t.Helper()
	return awaitOp(w.t, w.nets[name], func(op *sdk.SendMessage) bool { return op.Content.Body.Plain() == text })
}

// status waits until the status of the link fits.
func (w *linked) status(what string, fits func(gateway.LinkStatus) bool) gateway.LinkStatus {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		s, err := w.gw.Link(context.Background(), linkRoom)
		if err == nil && fits(s) {
			return s
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%s did not come: %+v, %v", what, s, err)
		}
		w.barrier()
	}
}

// barrier gives the others a turn: it goes once through the committer.
func (w *linked) barrier() {
	w.t.Helper()
	if _, err := w.other.rooms.Facts(context.Background(), linkRoom); err != nil {
		w.t.Fatal(err)
	}
}

type node = xmlstream.Node

func mustRoom(s string) jid.JID { return jid.MustParse(s) }
