package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Gateway takes the instances of bridges. Attach starts a configured plugin and
// returns when it runs; from then on it belongs to the gateway until its Done.
type Gateway interface {
	Attach(ctx context.Context, bridge string, r sdk.Remote) error
}

// Options of New.
type Options struct {
	Bridges []Spec
	Gateway Gateway
	// Dirs are where plugins are looked for, in this order: the folder of the
	// server's executable, then plugin_dir.
	Dirs []string
	// DataDir keeps what must survive the server: records of running plugins, and
	// the private directories of plugins that need one.
	DataDir string
	// RuntimeDir is where sockets lie; its path must be short. "": the system's
	// place for temporary files.
	RuntimeDir string
	// WorkDir is the plugins' working directory: relative paths in their
	// configuration are relative to it. "": the server's.
	WorkDir  string
	Server   string // name and version, for plugins
	Log      *slog.Logger
	LogLevel slog.Level // below which plugins need not log
	// OnChange is told of every change of state, one after the other for each
	// bridge; it must not block.
	OnChange func(Status)
	// Rand gives numbers from 0 to 1, for jitter. nil: random ones.
	Rand     func() float64
	Launcher Launcher // nil: processes
	Tune     Tuning
}

// Transport is how the gRPC connection is secured.
type Transport string

// MTLS is go-plugin's; Socket checks the peer's user, for languages that cannot do it.
const (
	MTLS   Transport = "mtls"
	Socket Transport = "socket"
)

// Spec is one bridge.
type Spec struct {
	Name      string
	Plugin    string // "demo" (viaduct-demo in Dirs) or a path
	Transport Transport
	// Memory is how many bytes may be resident; 0: 512 MiB.
	Memory int64
	// EventsPerSecond may be delivered over a while; 0: 1000.
	EventsPerSecond int
	// Configure makes the configuration once the plugin has said what it is; its
	// error is final until a person mends it. Secrets of the schema are redacted in logs.
	Configure func(ctx context.Context, info sdk.Info) (sdk.Configuration, error)
	// Paused: not started until Resume.
	Paused bool
}

// Tuning are the times; zero values are the defaults named.
type Tuning struct {
	StartTimeout  time.Duration // until the handshake: 20 s
	AttachTimeout time.Duration // until it is configured and started: 60 s
	DrainTimeout  time.Duration // to finish what is under way: 10 s
	StopTimeout   time.Duration // to exit after that: 3 s
	HealthEvery   time.Duration // 5 s
	HealthTimeout time.Duration // of one check: 5 s
	HealthMisses  int           // in a row, until it counts as hung: 3
	MemoryEvery   time.Duration // 2 s
	OpGrace       time.Duration // after an operation's own deadline, until the plugin counts as hung: 30 s
	BackoffMin    time.Duration // 500 ms
	BackoffMax    time.Duration // 1 min
	Steady        time.Duration // running so long forgives earlier failures: 5 min
	Crashes       int           // so many failures ...
	Within        time.Duration // ... in this time, and the bridge is broken: 5 in 2 min
	SlowRetry     time.Duration // of a broken bridge: 2 min
	LogLines      int           // per second: 200, and a burst of five times as many
}

func (o *Options) fill() error {
	if o.Gateway == nil {
		return errors.New("plugin host: no gateway")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.OnChange == nil {
		o.OnChange = func(Status) {}
	}
	if o.Launcher == nil {
		o.Launcher = processes{}
	}
	o.Tune.fill()
	seen := map[string]bool{}
	for i := range o.Bridges {
		s := &o.Bridges[i]
		if err := s.fill(); err != nil {
			return err
		}
		if seen[s.Name] {
			return fmt.Errorf("plugin host: two bridges are called %s", s.Name)
		}
		seen[s.Name] = true
	}
	return nil
}

func (s *Spec) fill() error {
	switch {
	case s.Name == "" || s.Plugin == "":
		return errors.New("plugin host: a bridge needs a name and a plugin")
	case s.Configure == nil:
		return fmt.Errorf("plugin host: bridge %s has no configuration", s.Name)
	}
	s.Transport = cmp.Or(s.Transport, MTLS)
	if s.Transport != MTLS && s.Transport != Socket {
		return fmt.Errorf("plugin host: bridge %s: transport %q is unknown", s.Name, s.Transport)
	}
	s.Memory = cmp.Or(s.Memory, 512<<20)
	s.EventsPerSecond = cmp.Or(s.EventsPerSecond, 1000)
	return nil
}

func (t *Tuning) fill() {
	for _, d := range []struct {
		at   *time.Duration
		want time.Duration
	}{
		{&t.StartTimeout, 20 * time.Second}, {&t.AttachTimeout, time.Minute}, {&t.DrainTimeout, 10 * time.Second},
		{&t.StopTimeout, 3 * time.Second}, {&t.HealthEvery, 5 * time.Second}, {&t.HealthTimeout, 5 * time.Second},
		{&t.MemoryEvery, 2 * time.Second}, {&t.OpGrace, 30 * time.Second}, {&t.BackoffMin, 500 * time.Millisecond},
		{&t.BackoffMax, time.Minute}, {&t.Steady, 5 * time.Minute}, {&t.Within, 2 * time.Minute}, {&t.SlowRetry, 2 * time.Minute},
	} {
		*d.at = cmp.Or(*d.at, d.want)
	}
	t.HealthMisses = cmp.Or(t.HealthMisses, 3)
	t.Crashes = cmp.Or(t.Crashes, 5)
	t.LogLines = cmp.Or(t.LogLines, 200)
}
