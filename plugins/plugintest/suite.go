package plugintest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// Options say what is tested. One of New and Launch is needed.
type Options struct {
	// New makes the bridge in this process, not configured yet, for a driver's network.
	New func(t testing.TB, d Driver) sdk.Bridge
	// Launch starts it in another way, for instance as a process.
	Launch func(t testing.TB, d Driver) Instance
	// Driver makes a network; it ends with the test.
	Driver func(t testing.TB) Driver
	// Only are the names of the parts to run; none: all.
	Only []string
	// BadConfigs are configurations that must be refused, by what is wrong with them.
	BadConfigs map[string]string
}

// Instance is a running bridge. Kill ends it as kill -9 does.
type Instance struct {
	Remote sdk.Remote
	Kill   func()
}

// part is a piece of the suite with a network, a server and a started bridge.
type part struct {
	name string
	run  func(t *testing.T, r *rig)
}

// Run runs the whole suite, each part on a network of its own.
func Run(t *testing.T, o Options) {
	if o.Launch == nil {
		o.Launch = inProcess(o.New)
	}
	wanted := func(name string) bool { return len(o.Only) == 0 || slices.Contains(o.Only, name) }
	for _, p := range firstParts() {
		if wanted(p.name) {
			t.Run(p.name, func(t *testing.T) { p.run(t, newRig(t, o)) })
		}
	}
	for _, p := range startedParts() {
		if wanted(p.name) {
			t.Run(p.name, func(t *testing.T) {
				r := newRig(t, o)
				r.start(t)
				p.run(t, r)
			})
		}
	}
}

// firstParts start the bridge themselves, or not at all.
func firstParts() []part {
	return []part{{"handshake", handshake}, {"configuration", configuration}}
}

func startedParts() []part {
	return slices.Concat(eventParts(), operationParts(), faultParts(), stepParts(), requestParts(), fileParts(), loginParts(), hostileParts())
}

func allParts() []part { return slices.Concat(firstParts(), startedParts()) }

// inProcess wraps a bridge as the plugin's side does.
func inProcess(newBridge func(testing.TB, Driver) sdk.Bridge) func(testing.TB, Driver) Instance {
	return func(t testing.TB, d Driver) Instance {
		l := sdk.NewLocal(newBridge(t, d), sdk.LocalOptions{})
		t.Cleanup(l.Close)
		return Instance{Remote: l, Kill: l.Close}
	}
}

// rig is one network, one server, and the instances of the bridge between them.
type rig struct {
	o    Options
	net  Driver
	host *Host
	room sdk.RemoteRoomID
	two  sdk.RemoteRoomID

	inst    Instance
	session *session
	ops     int
}

func newRig(t *testing.T, o Options) *rig {
	r := &rig{o: o, net: o.Driver(t), host: NewHost()}
	r.room, r.two = r.net.Rooms()
	r.inst = o.Launch(t, r.net)
	return r
}

// start configures and starts the instance there is.
func (r *rig) start(t testing.TB) {
	t.Helper()
	if err := r.remote().Configure(t.Context(), r.configuration()); err != nil {
		t.Fatal("configure: ", err)
	}
	r.session = &session{Host: r.host}
	if err := r.remote().Start(t.Context(), r.session, r.host.Resume()); err != nil {
		t.Fatal("start: ", err)
	}
	// The bridge is there when it has said where in the stream it is.
	r.host.Await(t, "a first cursor", func() bool { return len(r.host.Cursors()) > 0 })
}

// crash kills the instance: the server hears nothing more of it.
func (r *rig) crash() {
	r.session.lose()
	r.inst.Kill()
}

// again starts a new instance after a crash or drain.
func (r *rig) again(t testing.TB) {
	t.Helper()
	r.inst = r.o.Launch(t, r.net)
	r.start(t)
}

func (r *rig) remote() sdk.Remote { return r.inst.Remote }

func (r *rig) configuration() sdk.Configuration {
	return sdk.Configuration{Name: "test", Domain: "example.org", JSON: r.net.Config(), PublicURL: r.host.URL, Server: "plugintest"}
}

func (r *rig) caps() sdk.Capabilities { return r.remote().Info().Capabilities }

// person is the XMPP person of the operations.
func person() sdk.Sender {
	return sdk.Sender{Person: "k7romeo", Address: "romeo@example.org", Name: "Romeo", Role: sdk.RoleMember}
}

// head is the header of a new operation in the first room.
func (r *rig) head() sdk.OpHeader {
	r.ops++
	return sdk.OpHeader{
		ID: sdk.OpID(fmt.Sprintf("01JABCDEFGHJKMNPQRST%06d", r.ops)), Portal: sdk.PortalKey{Room: r.room}, Sender: person(), Time: time.Now(), Attempt: 1,
	}
}

func (r *rig) message(text string) *sdk.SendMessage {
	return &sdk.SendMessage{OpHeader: r.head(), Content: sdk.Content{Body: richtext.FromPlain(text)}}
}

// do carries an operation out.
func (r *rig) do(t testing.TB, op sdk.Op) sdk.Delivered {
	t.Helper()
	d, err := r.try(t, op)
	if err != nil {
		t.Fatalf("%T: %v", op, err)
	}
	return d
}

func (r *rig) try(t testing.TB, op sdk.Op) (sdk.Delivered, error) {
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit())
	defer cancel()
	return sdk.Handle(ctx, r.remote(), op)
}

// watch waits until people on the network see something.
func (r *rig) watch(t testing.TB, what string, ok func() bool) {
	t.Helper()
	limit := time.NewTimer(waitLimit())
	defer limit.Stop()
	for {
		changed := r.net.Changed()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-limit.C:
			t.Fatalf("nobody saw: %s: %+v", what, r.net.Seen(t, r.room))
		}
	}
}

// session is the server as one instance sees it: after lose it is gone.
type session struct {
	*Host
	mu   sync.Mutex
	gone bool
	open []*sdk.Ticket
}

func (s *session) Deliver(ctx context.Context, b sdk.Batch) (sdk.Receipt, error) {
	return sdk.DeliverWait(ctx, s, b)
}

func (s *session) DeliverAsync(ctx context.Context, b sdk.Batch) (*sdk.Ticket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return nil, sdk.ErrSessionLost
	}
	t := sdk.NewTicket()
	s.open = append(s.open, t)
	inner, err := s.Host.DeliverAsync(ctx, b)
	if err != nil {
		return nil, err
	}
	inner.Then(t.Settle)
	return t, nil
}

// lose settles what is open as lost; what the server has on disk, it has.
func (s *session) lose() {
	s.mu.Lock()
	s.gone = true
	open := s.open
	s.open = nil
	s.mu.Unlock()
	for _, t := range open {
		t.Settle(sdk.Receipt{}, sdk.ErrSessionLost)
	}
}
