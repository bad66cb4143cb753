package gateway_test

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/viaduct-xmpp/viaduct/bridges/gateway"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a server with one bridge to a fake network.
type world struct {
	*xmpptest.Server
	t     testing.TB
	gw    *gateway.Module
	net   *fakeNet
	local *sdk.Local
	other *other
	ended chan error // the gateway has seen the end of an instance
}

type worldOptions struct {
	allow gateway.Allow
	tune  gateway.Tuning
	net   func(*fakeNet)
	away  bool // the plugin is not attached
	media gateway.Media
	store func(storage.Store) storage.Store
}

const (
	opsRoom = "!ops~1%hs@rooms.fake.example.org"
	bobJID  = "bob%hs@fake.example.org"
)

func newWorld(t testing.TB, o worldOptions) *world {
	t.Helper()
	w := &world{t: t, net: newNet(), ended: make(chan error, 100)}
	if o.net != nil {
		o.net(w.net)
	}
	if o.tune.GhostsPerSec == 0 {
		o.tune.GhostsPerSec = 1000
	}
	if o.tune.PresenceDelay == 0 {
		o.tune.PresenceDelay = time.Millisecond
	}
	if o.tune.RetryMin == 0 {
		o.tune.RetryMin = time.Millisecond
	}
	spec := gateway.BridgeSpec{Name: "fake", Domain: "example.org", Allow: o.allow}
	hosts := []muc.HostSpec{{Name: "rooms.fake.example.org", Origin: "fake.example.org"}}
	w.Server = xmpptest.Start(t, xmpptest.Options{
		Store:   o.store,
		Modules: modules.Options{MUC: muc.Options{Hosts: hosts}},
		Extra: func() []module.Module {
			gw, err := gateway.New(gateway.Options{Bridges: []gateway.BridgeSpec{spec}, Tune: o.tune, Media: o.media,
				Detached: func(_ string, err error) { w.ended <- err }})
			if err != nil {
				t.Fatal(err)
			}
			w.gw, w.other = gw, &other{}
			return []module.Module{gw, w.other}
		},
	})
	t.Cleanup(w.detach)
	if !o.away {
		w.attach()
	}
	return w
}

// attach starts an instance of the plugin.
func (w *world) attach() {
	w.t.Helper()
	w.detach()
	w.local = sdk.NewLocal(w.net, sdk.LocalOptions{})
	if err := w.gw.Attach(context.Background(), "fake", w.local); err != nil {
		w.t.Fatal("attach:", err)
	}
}

// detach ends the instance, as a crash of the plugin does.
func (w *world) detach() {
	if w.local != nil {
		for len(w.ended) > 0 {
			<-w.ended
		}
		w.local.Close()
		w.local = nil
	}
}

// awaitAway waits until the gateway has seen the end of the instance.
func (w *world) awaitAway() {
	w.t.Helper()
	select {
	case <-w.ended:
	case <-time.After(patience):
		w.t.Fatal("the plugin is still attached")
	}
}

// deliver hands events to the server and waits until they are durable.
func (w *world) deliver(events ...sdk.Event) sdk.Receipt {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := w.net.host.Deliver(ctx, sdk.Batch{Events: events})
	if err != nil {
		w.t.Fatal("deliver:", err)
	}
	return r
}

var ops = sdk.PortalKey{Room: "!Ops:hs"}

// says is a message in the room.
func says(who sdk.RemoteUserID, id, text string) *sdk.Message {
	return &sdk.Message{EventHeader: sdk.EventHeader{Portal: ops, ID: sdk.EventID(id), Time: time.Now(), Actor: sdk.Party{User: who}},
		Message: sdk.RemoteMessageID(id), Content: sdk.Content{Body: richtext.FromPlain(text)}}
}
