package grpcbridge

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc/stats"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// The test binary is also a plugin, and a host that dies.
const roleEnv = "VIADUCT_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "plugin":
		Serve(pluginBridge(), ServeOptions{})
	case "host":
		hostThatDies()
	default:
		os.Exit(m.Run())
	}
}

// benchOp is answered at once.
const benchOp = "01JABCDEFGHJKMNPQRSTVWXYZ0"

// pluginBridge runs in the child.
func pluginBridge() *fakeBridge {
	b := newFakeBridge()
	host := make(chan sdk.Host, 1)
	b.send = func(ctx context.Context, op *sdk.SendMessage) (sdk.Delivered, error) {
		if op.ID == benchOp {
			return sdk.DeliveredAs("m", time.Time{}), nil
		}
		h := <-host
		host <- h
		slog.New(h.Log()).Warn("sending", "op", string(op.ID), "pid", os.Getpid())
		if op.ID == "exit" {
			os.Exit(9)
		}
		if _, err := h.Deliver(ctx, sdk.Batch{Events: []sdk.Event{message("echo of " + string(op.ID))}}); err != nil {
			return sdk.Delivered{}, err
		}
		return sdk.DeliveredAs("m", time.Time{}), nil
	}
	go func() { host <- <-b.started }()
	return b
}

// launch starts the test binary as a plugin.
func launch(ctx context.Context, mtls bool, dir string, log *slog.Logger, extra ...*os.File) (*goplugin.Client, *Client, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	cfg := ClientConfig(ConfigOptions{MTLS: mtls, SocketDir: dir, Log: log})
	cfg.Cmd = exec.Command(exe)
	cfg.Cmd.Env = []string{roleEnv + "=plugin", LogLevelEnv + "=debug"}
	cfg.Cmd.ExtraFiles = extra
	gp := goplugin.NewClient(cfg)
	proto, err := gp.Client()
	if err != nil {
		gp.Kill()
		return nil, nil, err
	}
	c, err := Connect(ctx, proto, ClientOptions{Server: "test", SocketDir: dir, Log: log})
	if err != nil {
		gp.Kill()
		return nil, nil, err
	}
	return gp, c, nil
}

// logLines is a log whose lines can be waited for.
type logLines struct{ *bufio.Reader }

func newLogLines() (*slog.Logger, *logLines, io.Closer) {
	r, w, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	return slog.New(slog.NewJSONHandler(w, nil)), &logLines{bufio.NewReader(r)}, w
}

func (l *logLines) until(t *testing.T, msg string) map[string]any {
	t.Helper()
	for {
		line, err := l.ReadString('\n')
		if err != nil {
			t.Fatalf("no line %q: %v", msg, err)
		}
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(line, err)
		}
		if m["msg"] == msg {
			return m
		}
	}
}

func TestChildProcess(t *testing.T) {
	for name, mtls := range map[string]bool{"mtls": true, "socket": false} {
		t.Run(name, func(t *testing.T) {
			log, lines, closeLog := newLogLines()
			defer closeLog.Close()
			gp, c, err := launch(t.Context(), mtls, socketDir(t), log)
			if err != nil {
				t.Fatal(err)
			}
			defer gp.Kill()
			defer c.Close()
			if gp.NegotiatedVersion() != ProtocolVersion || c.Info().Plugin != "fake" {
				t.Fatal(gp.NegotiatedVersion(), c.Info())
			}
			host := newFakeHost()
			if err := c.Configure(t.Context(), sdk.Configuration{Name: "fake"}); err != nil {
				t.Fatal(err)
			}
			if err := c.Start(t.Context(), host, sdk.Resume{}); err != nil {
				t.Fatal(err)
			}
			d, err := sdk.Handle(t.Context(), c, sendOp("o1", "r"))
			if err != nil || len(d.Parts) != 1 || d.Parts[0].Remote != "m" {
				t.Fatal(d, err)
			}
			if got := host.ids(); !slices.Equal(got, []string{"echo of o1"}) {
				t.Fatal(got)
			}
			line := lines.until(t, "sending")
			if line["level"] != "WARN" || line["op"] != "o1" || line["pid"] == float64(os.Getpid()) {
				t.Fatal(line)
			}
			// The process dies in the middle of an operation.
			if _, err := sdk.Handle(t.Context(), c, sendOp("exit", "r")); !errors.Is(err, sdk.ErrSessionLost) {
				t.Fatal(err)
			}
			<-c.Done()
		})
	}
}

// hostThatDies starts a plugin and waits to be killed. The plugin inherits the
// far end of a pipe, so that the test can see when it is gone.
func hostThatDies() {
	alive := os.NewFile(3, "alive")
	_, c, err := launch(context.Background(), false, os.Getenv("DIR"), slog.New(slog.DiscardHandler), alive)
	if err != nil {
		panic(err)
	}
	if os.Getenv("START") != "" {
		if err := c.Start(context.Background(), newFakeHost(), sdk.Resume{}); err != nil {
			panic(err)
		}
	}
	if _, err := os.Stdout.WriteString("ready\n"); err != nil {
		panic(err)
	}
	select {}
}

func TestNoOrphanOutlivesItsHost(t *testing.T) {
	for name, start := range map[string]string{"with a session": "1", "before the session": ""} {
		t.Run(name, func(t *testing.T) {
			exe, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			alive, theirs, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer alive.Close()
			host := exec.CommandContext(t.Context(), exe)
			host.Env = append(os.Environ(), roleEnv+"=host", "DIR="+socketDir(t), "START="+start)
			host.ExtraFiles = []*os.File{theirs}
			host.Stderr = os.Stderr
			out, err := host.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := host.Start(); err != nil {
				t.Fatal(err)
			}
			_ = theirs.Close()
			if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
				t.Fatal(line, err)
			}
			if err := host.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			_ = host.Wait()
			// The plugin held the last writing end.
			if _, err := alive.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
		})
	}
}

func TestStartedByHand(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = []string{roleEnv + "=plugin"}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "This binary is a plugin") {
		t.Fatalf("%s, %v", out, err)
	}
	cmd = exec.CommandContext(t.Context(), exe, "info")
	cmd.Env = []string{roleEnv + "=plugin"}
	raw, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var d Description
	if err := json.Unmarshal(raw, &d); err != nil || d.Protocol != ProtocolVersion || d.Info.Plugin != "fake" || len(d.Abilities) != len(sdkAbilities()) {
		t.Fatalf("%s, %v", raw, err)
	}
	if problems := d.Info.Config.Check([]byte(`{"tokn": 1}`), nil); len(problems) != 1 {
		t.Fatal(problems)
	}
}

func TestAnotherProtocolVersionSaysSo(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cfg := ClientConfig(ConfigOptions{SocketDir: socketDir(t), Log: discard()})
	cfg.VersionedPlugins = map[int]goplugin.PluginSet{99: cfg.VersionedPlugins[ProtocolVersion]}
	cfg.Cmd = exec.Command(exe)
	cfg.Cmd.Env = []string{roleEnv + "=plugin"}
	gp := goplugin.NewClient(cfg)
	defer gp.Kill()
	if _, err := gp.Client(); err == nil || !strings.Contains(err.Error(), "version") {
		t.Fatal(err)
	}
}

func TestOrphanWatch(t *testing.T) {
	for name, tc := range map[string]func(w *orphanWatch, tick chan<- time.Time, parent chan<- int){
		"another parent at once": func(_ *orphanWatch, _ chan<- time.Time, parent chan<- int) { parent <- 1 },
		"another parent later": func(_ *orphanWatch, tick chan<- time.Time, parent chan<- int) {
			parent <- 42
			tick <- time.Time{}
			parent <- 42
			tick <- time.Time{}
			parent <- 1
		},
		"the last connection ends": func(w *orphanWatch, _ chan<- time.Time, parent chan<- int) {
			parent <- 42
			w.HandleConn(t.Context(), &stats.ConnBegin{})
			w.HandleConn(t.Context(), &stats.ConnBegin{})
			w.HandleConn(t.Context(), &stats.ConnEnd{})
			select {
			case <-w.orphaned:
				t.Error("one connection is left")
			default:
			}
			w.HandleConn(t.Context(), &stats.ConnEnd{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			parent, tick := make(chan int), make(chan time.Time)
			w := newOrphanWatch(42, discard())
			w.getppid, w.tick = func() int { return <-parent }, tick
			done := make(chan struct{})
			go func() { defer close(done); w.run(t.Context()) }()
			tc(w, tick, parent)
			<-w.orphaned
			<-done
		})
	}
}
