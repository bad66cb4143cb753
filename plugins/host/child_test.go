package host

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/demo"
	"github.com/viaduct-xmpp/viaduct/bridges/demo/demonet"
	"github.com/viaduct-xmpp/viaduct/plugins/grpcbridge"
	"github.com/viaduct-xmpp/viaduct/plugins/plugintest"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// The test binary is every plugin of these tests: links with names that say how
// they behave point to it. It is also a server that is killed.
const (
	pluginPrefix = "viaduct-"
	hostEnv      = "VIADUCT_TEST_HOST"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(hostEnv); dir != "" {
		serverThatDies(dir)
	}
	if role, ok := strings.CutPrefix(filepath.Base(os.Args[0]), pluginPrefix); ok {
		behave(role)
		return
	}
	os.Exit(m.Run())
}

// behave is the main of the plugins.
func behave(role string) {
	switch role {
	case "demo":
		grpcbridge.Serve(demo.New(demo.Options{}), grpcbridge.ServeOptions{})
	case "exits":
		fmt.Fprintln(os.Stderr, "no such thing as a plugin")
		os.Exit(3)
	case "silent":
		forever()
	case "garbage":
		_, _ = os.Stdout.Write(append(make([]byte, 100), []byte("\x1b[31mhello|world\nmore\n")...))
		forever()
	case "endless": // output without a line's end
		for {
			if _, err := os.Stdout.Write(make([]byte, 64<<10)); err != nil {
				os.Exit(1)
			}
		}
	case "future":
		fmt.Println("1|99|unix|/nowhere|grpc|")
		forever()
	default:
		grpcbridge.Serve(&hostile{Connector: demo.New(demo.Options{}), role: role}, grpcbridge.ServeOptions{})
	}
}

// forever does not return. The runtime ends a program without cgo in which all goroutines wait, unless it expects signals.
func forever() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGUSR2)
	select {}
}

// hostile is the demo bridge with something wrong.
type hostile struct {
	*demo.Connector
	role string
	keep [][]byte
}

func (h *hostile) Start(ctx context.Context, host sdk.Host, r sdk.Resume) error {
	log := slog.New(host.Log())
	switch h.role {
	case "panics":
		go func() { panic("the plugin has a bug") }()
		select {}
	case "refuses":
		return sdk.Refuse(sdk.CodeBadCredentials, "the token is no longer valid")
	case "grows":
		go h.grow()
	case "waits":
		select {}
	case "floods":
		go flood(ctx, host)
	case "babbles":
		go func() {
			for i := 0; ctx.Err() == nil; i++ {
				log.Info("babble", "i", i)
				_, _ = syscall.Write(1, []byte("and on standard output\n")) // os.Stdout is go-plugin's by now
			}
		}()
	case "lies":
		go lie(ctx, host)
	}
	return h.Connector.Start(ctx, host, r)
}

// Send never returns in the role "hangs": not even at its deadline.
func (h *hostile) Send(ctx context.Context, op *sdk.SendMessage) (sdk.Delivered, error) {
	if h.role == "hangs" {
		select {}
	}
	return h.Connector.Send(ctx, op)
}

func (h *hostile) grow() {
	for {
		b := make([]byte, 8<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		h.keep = append(h.keep, b)
	}
}

func event(room, id string, actor sdk.Party) *sdk.Message {
	return &sdk.Message{
		EventHeader: sdk.EventHeader{Portal: sdk.PortalKey{Room: sdk.RemoteRoomID(room)}, ID: sdk.EventID(id), Actor: actor},
		Message:     sdk.RemoteMessageID(id), Content: sdk.Content{Body: richtext.FromPlain(id)},
	}
}

func flood(ctx context.Context, host sdk.Host) {
	for i := 0; ctx.Err() == nil; i++ {
		b := sdk.Batch{}
		for j := range 100 {
			b.Events = append(b.Events, event("lobby", fmt.Sprintf("%d.%d", i, j), sdk.Party{User: "mira"}))
		}
		if _, err := host.DeliverAsync(ctx, b); err != nil {
			return
		}
		host.Signal(&sdk.Typing{Portal: sdk.PortalKey{Room: sdk.RemoteRoomID(fmt.Sprint(i))}, Who: sdk.Party{User: "mira"}})
	}
}

// lie claims to speak for somebody of the server's own domain, and then tells
// what it was answered.
func lie(ctx context.Context, host sdk.Host) {
	receipt, err := host.Deliver(ctx, sdk.Batch{Events: []sdk.Event{
		event("lobby", "honest", sdk.Party{User: "mira"}),
		event("lobby", "lie", sdk.Party{Address: "admin@example.org"}),
	}})
	slog.New(host.Log()).Info("answered", "problems", fmt.Sprint(receipt.Problems), "error", fmt.Sprint(err))
}

// gateway is a fake one that attaches plugins to a recording host.
type gateway struct {
	host     sdk.Host
	attached chan sdk.Remote
}

func newGateway() *gateway {
	return &gateway{host: plugintest.NewHost(), attached: make(chan sdk.Remote, 100)}
}

func (g *gateway) Attach(ctx context.Context, _ string, r sdk.Remote) error {
	resume := sdk.Resume{First: true}
	if h, ok := g.host.(*plugintest.Host); ok {
		resume = h.Resume()
	}
	if err := r.Start(ctx, g.host, resume); err != nil {
		return err
	}
	g.attached <- r
	return nil
}

// rig is a host with one bridge, whose changes of state can be waited for.
type rig struct {
	*Host
	gw      *gateway
	changes chan Status
	dirs    string
	data    string
}

type rigOptions struct {
	role   string
	config string
	change func(*Options, *Spec)
	gw     *gateway
	idle   bool
}

func configured(json string) func(context.Context, sdk.Info) (sdk.Configuration, error) {
	return func(context.Context, sdk.Info) (sdk.Configuration, error) {
		return sdk.Configuration{JSON: []byte(json), Domain: "example.org"}, nil
	}
}

func newRig(t *testing.T, o rigOptions) *rig {
	t.Helper()
	r := &rig{gw: o.gw, changes: make(chan Status, 1000), dirs: plugins(t, o.role), data: t.TempDir()}
	if r.gw == nil {
		r.gw = newGateway()
	}
	if o.config == "" {
		o.config = `{"silent": true}`
	}
	spec := Spec{Name: "one", Plugin: o.role, Configure: configured(o.config)}
	opt := Options{
		Gateway: r.gw, Dirs: []string{r.dirs}, DataDir: r.data, Server: "test", OnChange: func(s Status) { r.changes <- s },
		// Failures are to be seen, not waited for.
		Tune: Tuning{BackoffMin: time.Millisecond, BackoffMax: 2 * time.Millisecond, SlowRetry: time.Hour},
	}
	if o.change != nil {
		o.change(&opt, &spec)
	}
	opt.Bridges = []Spec{spec}
	var err error
	if r.Host, err = New(opt); err != nil {
		t.Fatal(err)
	}
	if o.idle {
		return r
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}

// plugins is a directory with a link to the test binary for each role.
func plugins(t testing.TB, roles ...string) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, role := range roles {
		if err := os.Symlink(exe, filepath.Join(dir, pluginPrefix+role)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// until waits for a state.
func (r *rig) until(t *testing.T, want State) Status {
	t.Helper()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for {
		select {
		case s := <-r.changes:
			if s.State == want {
				return s
			}
		case <-limit.C:
			st, _ := r.Status("one")
			t.Fatalf("never %s: %+v", want, st)
		}
	}
}

func TestDemoRunsAndComesBack(t *testing.T) {
	for _, transport := range []Transport{MTLS, Socket} {
		t.Run(string(transport), func(t *testing.T) {
			r := newRig(t, rigOptions{role: "demo", config: `{"talk_every": "100ms"}`, change: func(_ *Options, s *Spec) { s.Transport = transport }})
			up := r.until(t, Running)
			rec := r.gw.host.(*plugintest.Host)
			rec.Await(t, "people talk by themselves", func() bool { return len(rec.Events()) >= 3 })

			// Killed from outside: noticed, started again, delivered further.
			if err := syscall.Kill(up.PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			down := r.until(t, Waiting)
			if !strings.Contains(down.Reason, "killed") {
				t.Fatal(down)
			}
			again := r.until(t, Running)
			if again.PID == up.PID || again.Starts != 2 || again.Failures != 1 {
				t.Fatal(again)
			}
			seen := len(rec.Events())
			rec.Await(t, "people go on", func() bool { return len(rec.Events()) > seen })

			// By order: a new process, and no failure.
			if err := r.Restart("one"); err != nil {
				t.Fatal(err)
			}
			third := r.until(t, Running)
			if third.PID == again.PID || third.Failures != 1 {
				t.Fatal(third)
			}
			if err := r.Pause("one"); err != nil {
				t.Fatal(err)
			}
			r.until(t, Paused)
			var gone *StateError
			if _, err := r.Bridge("one"); !errors.As(err, &gone) || gone.Status.State != Paused || !sdk.AsError(err).Temporary {
				t.Fatal(err)
			}
			if err := r.Resume("one"); err != nil {
				t.Fatal(err)
			}
			r.until(t, Running)
			remote, err := r.Bridge("one")
			if err != nil {
				t.Fatal(err)
			}
			if report, err := remote.Test(t.Context()); err != nil || report.Failed() {
				t.Fatal(report, err)
			}
		})
	}
}

// Another specification is taken up by the next instance, which begins at once; one that is wrong changes nothing.
func TestChange(t *testing.T) {
	r := newRig(t, rigOptions{role: "demo"})
	first := r.until(t, Running)
	spec := Spec{Name: "one", Plugin: "/nowhere/viaduct-demo", Configure: configured("{}")}
	for name, bad := range map[string]Spec{
		"no plugin":           {Name: "one", Configure: spec.Configure},
		"an unknown bridge":   {Name: "two", Plugin: "demo", Configure: spec.Configure},
		"no such transport":   {Name: "one", Plugin: "demo", Configure: spec.Configure, Transport: "smoke"},
		"nothing to go on by": {Name: "one", Plugin: "demo"},
	} {
		if err := r.Change(bad); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if st, err := r.Status("one"); err != nil || st.State != Running || st.PID != first.PID {
		t.Errorf("after changes that were refused: %+v %v", st, err)
	}
	if err := r.Change(spec); err != nil {
		t.Fatal(err)
	}
	if st := r.until(t, Broken); st.Plugin != spec.Plugin || !strings.Contains(st.Reason, "there is no such file") {
		t.Errorf("%+v", st)
	}
	spec.Plugin = "demo"
	if err := r.Change(spec); err != nil {
		t.Fatal(err)
	}
	if st := r.until(t, Running); st.Plugin != "demo" || st.PID == first.PID || st.Failures != 1 {
		t.Errorf("%+v", st)
	}
	if err := r.Pause("one"); err != nil {
		t.Fatal(err)
	}
	r.until(t, Paused)
	if err := r.Change(spec); err != nil {
		t.Fatal(err)
	}
	if err := r.Resume("one"); err != nil {
		t.Fatal(err)
	}
	r.until(t, Running)
}

// serverThatDies runs a host until it is killed.
func serverThatDies(dir string) {
	gw := newGateway()
	h, err := New(Options{
		Gateway: gw, Dirs: []string{os.Getenv("PLUGINS")}, DataDir: dir,
		Bridges: []Spec{{Name: "one", Plugin: "demo", Configure: configured(`{"silent": true, "network": "` + os.Getenv("NETWORK") + `"}`)}},
	})
	if err != nil {
		panic(err)
	}
	if err := h.Start(context.Background()); err != nil {
		panic(err)
	}
	<-gw.attached
	st, _ := h.Status("one")
	for st.PID == 0 {
		st, _ = h.Status("one")
	}
	fmt.Println(st.PID)
	forever()
}

func TestKilledServerLeavesNobodyWhoAnswers(t *testing.T) {
	// The network outlives both; it sees whether anybody still listens.
	net1 := demonet.New(demonet.Options{TalkEvery: -1})
	defer net1.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { served <- demonet.Serve(ctx, l, net1) }()
	defer func() { cancel(); <-served }()

	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	server := exec.CommandContext(t.Context(), exe)
	server.Env = append(os.Environ(), hostEnv+"="+data, "PLUGINS="+plugins(t, "demo"), "NETWORK="+l.Addr().String())
	server.Stderr = os.Stderr
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(bufio.NewReader(out), &pid); err != nil {
		t.Fatal(err)
	}
	if rec, err := os.ReadFile(filepath.Join(data, "plugins", "one.json")); err != nil || !strings.Contains(string(rec), fmt.Sprint(pid)) {
		t.Fatal(string(rec), err)
	}
	if err := server.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = server.Wait()
	_, _ = io.Copy(io.Discard, out) // ends when nobody holds the server's output
	waitGone(t, pid)
}

// waitGone waits until a process that is not our child has ended.
func waitGone(t *testing.T, pid int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for {
		if born, err := birth(pid); err == nil && born == "" {
			return
		}
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("process %d lives on", pid)
		}
	}
}
