package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// supervisor keeps one bridge running. Its goroutine is the only one that starts
// and ends instances; others leave orders.
type supervisor struct {
	o       *Options
	spec    Spec // of the supervisor's goroutine
	records records
	log     *slog.Logger
	secrets *secrets
	breaker breaker
	wake    chan struct{} // an order was left

	mu      sync.Mutex
	paused  bool
	restart bool
	next    *Spec // to be taken up by the next instance
	status  Status
	current *guarded // nil unless running
}

func newSupervisor(o *Options, spec Spec) *supervisor {
	s := &supervisor{
		o: o, spec: spec, log: o.Log.With("bridge", spec.Name), secrets: &secrets{},
		breaker: breaker{tune: o.Tune, rand: o.Rand}, wake: make(chan struct{}, 1), paused: spec.Paused,
		status: Status{Bridge: spec.Name, Plugin: spec.Plugin, State: Stopped, Since: time.Now()},
	}
	if o.DataDir != "" {
		s.records.dir = filepath.Join(o.DataDir, "plugins")
	}
	return s
}

// order changes what is wanted and wakes the supervisor.
func (s *supervisor) order(f func()) {
	s.mu.Lock()
	f()
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// ordered reports whether an instance that runs has to end, or one that waits has
// to begin; a restart is taken up by it.
func (s *supervisor) ordered() (pause, restart bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	restart, s.restart = s.restart, false
	if s.next != nil {
		s.spec, s.next = *s.next, nil
		s.status.Plugin = s.spec.Plugin
	}
	return s.paused, restart
}

// change sets the status and tells of it.
func (s *supervisor) change(f func(*Status)) {
	s.mu.Lock()
	before := s.status.State
	f(&s.status)
	if s.status.State != before {
		s.status.Since = time.Now()
	}
	now := s.status
	s.mu.Unlock()
	if now.State != before {
		s.log.Info("bridge changed", "state", string(now.State), "reason", now.Reason)
		s.o.OnChange(now)
	}
}

// run lives until ctx is done.
func (s *supervisor) run(ctx context.Context) {
	defer s.change(func(st *Status) { st.State, st.Reason, st.PID, st.NextTry = Stopped, "", 0, time.Time{} })
	for ctx.Err() == nil {
		if pause, _ := s.ordered(); pause {
			s.change(func(st *Status) {
				st.State, st.Reason, st.PID, st.NextTry = Paused, "paused by an administrator", 0, time.Time{}
			})
			s.sleep(ctx, nil)
			continue
		}
		began := time.Now()
		asked, err := s.live(ctx)
		if asked || ctx.Err() != nil {
			s.breaker.reset()
			continue
		}
		s.fail(ctx, time.Since(began), err)
	}
}

// fail waits after a failure, or until an order.
func (s *supervisor) fail(ctx context.Context, ran time.Duration, err error) {
	pause, broken := s.breaker.failed(time.Now(), ran, final(err))
	state := Waiting
	if broken {
		state = Broken
	}
	reason := s.secrets.clean(err.Error())
	s.log.Warn("plugin failed", "error", reason, "again_in", pause.Round(time.Millisecond))
	s.change(func(st *Status) {
		st.State, st.Reason, st.PID, st.Memory, st.NextTry = state, reason, 0, 0, time.Now().Add(pause)
		st.Failures++
	})
	timer := time.NewTimer(pause)
	defer timer.Stop()
	if s.sleep(ctx, timer.C) {
		s.breaker.reset() // somebody acted: it counts from the beginning
	}
}

// sleep waits for a time, an order or the end, and reports whether it was an order.
func (s *supervisor) sleep(ctx context.Context, until <-chan time.Time) bool {
	select {
	case <-s.wake:
		return true
	case <-until:
	case <-ctx.Done():
	}
	return false
}

// final reports whether starting again would only fail again.
func final(err error) bool {
	var p *Problem
	var e *sdk.Error
	return errors.As(err, &p) || errors.As(err, &e) && !e.Temporary
}

// live is the whole life of one instance. asked is true if it was ended by order.
func (s *supervisor) live(ctx context.Context) (asked bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("supervisor panicked", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("the server failed: %v", p)
		}
	}()
	s.change(func(st *Status) { st.State, st.NextTry = Starting, time.Time{}; st.Starts++ })
	i, err := s.launch(ctx)
	if err != nil {
		return false, err
	}
	defer s.records.remove(s.spec.Name)
	g, watch := s.guard(i)
	if err := s.attach(ctx, i, g); err != nil {
		s.end(i, 0)
		return false, fmt.Errorf("start plugin: %w", err)
	}
	s.change(func(st *Status) { st.State, st.Reason, st.PID, st.Version = Running, "", i.PID(), g.Info().Version })
	s.mu.Lock()
	s.current = g
	s.mu.Unlock()
	asked, err = s.watch(ctx, i, watch)
	s.mu.Lock()
	s.current = nil
	s.mu.Unlock()
	if asked {
		s.drain(g)
		s.end(i, s.o.Tune.StopTimeout)
		return true, nil
	}
	s.end(i, 0)
	return false, err
}

// launch finds the plugin and starts a process, after ending a left-over one.
func (s *supervisor) launch(ctx context.Context) (Instance, error) {
	path, err := Find(s.spec.Plugin, s.o.Dirs)
	if err != nil {
		return nil, err
	}
	s.change(func(st *Status) { st.Path = path })
	ctx, cancel := context.WithTimeout(ctx, s.o.Tune.StartTimeout)
	defer cancel()
	left, err := s.records.endLeftover(ctx, s.spec.Name)
	if err != nil {
		return nil, err
	}
	if left != 0 {
		s.log.Warn("a plugin of an earlier server was still running and was ended", "pid", left)
	}
	return s.o.Launcher.Launch(ctx, Launch{
		Bridge: s.spec.Name, Path: path, MTLS: s.spec.Transport == MTLS, Memory: s.spec.Memory, Server: s.o.Server,
		Runtime: s.o.RuntimeDir, WorkDir: s.o.WorkDir, Level: s.o.LogLevel, LogLines: s.o.Tune.LogLines,
		Log:       slog.New(pluginLog{s.log.Handler(), s.secrets}),
		OnStarted: func(pid int, dir string) error { return s.records.write(s.spec.Name, pid, dir) },
	})
}

// guard puts the limits around an instance. The channel gets why it hangs.
func (s *supervisor) guard(i Instance) (*guarded, <-chan string) {
	hung := make(chan string, 1)
	g := &guarded{Remote: i.Remote(), limits: newLimits(s.spec.EventsPerSecond), grace: s.o.Tune.OpGrace}
	g.hung = func(what string) {
		select {
		case hung <- what:
		default: // one reason is enough
		}
	}
	return g, hung
}

// attach configures the plugin and gives it to the gateway, within a time. If the
// process ends meanwhile, that is the error.
func (s *supervisor) attach(ctx context.Context, i Instance, g *guarded) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.Tune.AttachTimeout)
	defer cancel()
	go func() { // the gateway may be waiting for a process that is gone
		select {
		case <-i.Exited():
			cancel()
		case <-ctx.Done():
		}
	}()
	err := s.configure(ctx, g)
	if err == nil {
		err = s.o.Gateway.Attach(ctx, s.spec.Name, g)
	}
	select {
	case <-i.Exited():
		return fmt.Errorf("%w (%s)", errExited, i.ExitText())
	default:
	}
	if errors.Is(err, sdk.ErrSessionLost) {
		return s.lost(i, err)
	}
	return err
}

func (s *supervisor) configure(ctx context.Context, g *guarded) error {
	info := g.Info()
	conf, err := s.spec.Configure(ctx, info)
	if err != nil {
		return &Problem{What: "configuration", Why: err.Error(), Err: err}
	}
	s.secrets.learn(info.Config, conf.JSON)
	conf.Name = s.spec.Name
	conf.DataDir = ""
	if info.NeedsDataDir && s.o.DataDir != "" {
		conf.DataDir = filepath.Join(s.o.DataDir, "bridges", s.spec.Name)
		if err := os.MkdirAll(conf.DataDir, 0o700); err != nil {
			return fmt.Errorf("data directory: %w", err)
		}
	}
	return g.Configure(ctx, conf)
}

// drain lets it finish what is under way.
func (s *supervisor) drain(g *guarded) {
	ctx, cancel := context.WithTimeout(context.Background(), s.o.Tune.DrainTimeout)
	defer cancel()
	if err := g.Drain(ctx); err != nil && g.Err() == nil {
		s.log.Warn("plugin did not finish", "error", err)
	}
}

// end ends an instance: at once, or after some time to do it itself.
func (s *supervisor) end(i Instance, patience time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	i.Stop(ctx)
}
