package host

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"

	"github.com/viaduct-xmpp/viaduct/plugins/grpcbridge"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Launcher starts an instance of a plugin and greets it.
type Launcher interface {
	Launch(ctx context.Context, l Launch) (Instance, error)
}

// Launch is what has to be started.
type Launch struct {
	Bridge    string
	Path      string
	MTLS      bool
	Memory    int64
	Server    string
	Runtime   string // directory for sockets, "" the system's
	WorkDir   string // the plugin's working directory, "" the server's
	Level     slog.Level
	LogLines  int
	Log       *slog.Logger // for what the plugin prints
	OnStarted func(pid int, dir string) error
}

// Instance is a running plugin.
type Instance interface {
	Remote() sdk.Remote
	PID() int
	// Ping asks whether the plugin's own goroutines still turn.
	Ping(ctx context.Context) error
	// Memory is the resident size in bytes.
	Memory() (int64, error)
	// Exited is closed when the process is gone; ExitText says how.
	Exited() <-chan struct{}
	ExitText() string
	// Stop asks it to end until ctx is done, then kills it. It returns when the
	// process is gone and everything of it is released.
	Stop(ctx context.Context)
}

// socketDirPrefix begins the names of directories for sockets.
const socketDirPrefix = "viaduct-"

// Processes is the launcher of real processes, the default.
func Processes() Launcher { return processes{} }

type processes struct{}

// Launch implements Launcher.
func (processes) Launch(ctx context.Context, l Launch) (Instance, error) {
	dir, err := os.MkdirTemp(l.Runtime, socketDirPrefix) // mode 0700
	if err != nil {
		return nil, fmt.Errorf("launch plugin: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil { // the plugin's working directory may be another one
		return nil, fmt.Errorf("launch plugin: %w", err)
	}
	if l.Path, err = filepath.Abs(l.Path); err != nil {
		return nil, fmt.Errorf("launch plugin: %w", err)
	}
	p := newProcess(l)
	cfg := grpcbridge.ClientConfig(grpcbridge.ConfigOptions{MTLS: l.MTLS, SocketDir: dir, Log: l.Log})
	if deadline, ok := ctx.Deadline(); ok {
		cfg.StartTimeout = time.Until(deadline)
	}
	cfg.RunnerFunc = p.runner(func(pid int) error { return l.OnStarted(pid, dir) })
	i := &instance{process: p, client: goplugin.NewClient(cfg), dir: dir}
	if err := i.greet(ctx, l); err != nil {
		late := ctx.Err() != nil || strings.Contains(err.Error(), "timeout while waiting for plugin to start")
		i.kill()
		i.release()
		return nil, explain(l.Path, p, late, err)
	}
	return i, nil
}

// instance is a process with its connections.
type instance struct {
	process *process
	client  *goplugin.Client
	proto   goplugin.ClientProtocol
	bridge  *grpcbridge.Client
	dir     string
	once    sync.Once
}

// greet waits for the handshake; when ctx is done first, the process is killed.
func (i *instance) greet(ctx context.Context, l Launch) error {
	stop := context.AfterFunc(ctx, i.kill)
	defer stop()
	var err error
	if i.proto, err = i.client.Client(); err != nil {
		return err
	}
	i.bridge, err = grpcbridge.Connect(ctx, i.proto, grpcbridge.ClientOptions{Server: l.Server, SocketDir: i.dir, Log: l.Log})
	return err
}

func (i *instance) Remote() sdk.Remote      { return i.bridge }
func (i *instance) PID() int                { return i.process.pid() }
func (i *instance) Memory() (int64, error)  { return memoryOf(i.process.pid()) }
func (i *instance) Exited() <-chan struct{} { return i.process.done }
func (i *instance) ExitText() string        { return i.process.exitText() + saying(i.process.stderr.said()) }

// Ping implements Instance. go-plugin's check has no deadline of its own: it ends
// with the connection at the latest.
func (i *instance) Ping(ctx context.Context) error {
	result := make(chan error, 1)
	go func() { result <- i.proto.Ping() }()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Stop implements Instance: without its streams a plugin ends by itself.
func (i *instance) Stop(ctx context.Context) {
	i.once.Do(func() {
		stop := context.AfterFunc(ctx, i.kill)
		defer stop()
		i.bridge.Close()
		closed := make(chan struct{})
		go func() { // a plugin that was never started sees only the connection end
			defer close(closed)
			_ = i.proto.Close()
		}()
		<-i.process.done
		<-closed
		i.release()
	})
}

func (i *instance) kill() { i.process.kill() }

// release waits for go-plugin's goroutines and removes the sockets; the
// process is dead.
func (i *instance) release() {
	i.client.Kill()
	_ = os.RemoveAll(i.dir)
}

var (
	_ Launcher      = processes{}
	_ Instance      = (*instance)(nil)
	_ runner.Runner = (*process)(nil)
)
