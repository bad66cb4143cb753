package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/demo"
	"github.com/viaduct-xmpp/viaduct/plugins/plugintest"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// script is a launcher whose instances live as the test says, in the test's time.
type script struct {
	life func(n int, i *scripted) error // an error fails the launch

	mu     sync.Mutex
	starts []time.Time
	all    []*scripted
}

func (s *script) Launch(_ context.Context, l Launch) (Instance, error) {
	s.mu.Lock()
	n := len(s.starts)
	s.starts = append(s.starts, time.Now())
	i := &scripted{local: sdk.NewLocal(demo.New(demo.Options{}), sdk.LocalOptions{}), exited: make(chan struct{}), text: "exit status 1"}
	s.all = append(s.all, i)
	s.mu.Unlock()
	if err := s.life(n, i); err != nil {
		i.local.Close()
		return nil, err
	}
	return i, l.OnStarted(1, "")
}

func (s *script) pauses() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []time.Duration
	for n := 1; n < len(s.starts); n++ {
		out = append(out, s.starts[n].Sub(s.starts[n-1]))
	}
	return out
}

func (s *script) last() *scripted {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[len(s.all)-1]
}

type scripted struct {
	local  *sdk.Local
	exited chan struct{}
	once   sync.Once
	text   string
	ping   func(context.Context) error
	memory func() int64
	asked  time.Duration // how long Stop was willing to wait
}

func (i *scripted) Remote() sdk.Remote      { return i.local }
func (i *scripted) PID() int                { return 4711 }
func (i *scripted) Exited() <-chan struct{} { return i.exited }
func (i *scripted) ExitText() string        { return i.text }
func (i *scripted) exit()                   { i.once.Do(func() { close(i.exited) }) }

func (i *scripted) Ping(ctx context.Context) error {
	if i.ping == nil {
		return nil
	}
	return i.ping(ctx)
}

func (i *scripted) Memory() (int64, error) {
	if i.memory == nil {
		return 1 << 20, nil
	}
	return i.memory(), nil
}

func (i *scripted) Stop(ctx context.Context) {
	if d, ok := ctx.Deadline(); ok {
		i.asked = time.Until(d)
	}
	i.exit()
	i.local.Close()
}

// supervised runs a host with one scripted bridge in a bubble of its own time.
func supervised(t *testing.T, life func(int, *scripted) error, change func(*Options, *Spec), f func(t *testing.T, h *Host, s *script)) {
	t.Helper()
	dir := plugins(t, "demo")
	synctest.Test(t, func(t *testing.T) {
		s := &script{life: life}
		spec := Spec{Name: "one", Plugin: "demo", Configure: configured(`{"silent": true}`)}
		o := Options{Gateway: newGateway(), Dirs: []string{dir}, Launcher: s, Rand: func() float64 { return 0.5 }} // no jitter
		if change != nil {
			change(&o, &spec)
		}
		o.Bridges = []Spec{spec}
		h, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := h.Stop(context.Background()); err != nil {
				t.Error(err)
			}
			if st, _ := h.Status("one"); st.State != Stopped || st.PID != 0 {
				t.Errorf("%+v", st)
			}
		}()
		f(t, h, s)
	})
}

func state(t *testing.T, h *Host) Status {
	t.Helper()
	synctest.Wait()
	st, err := h.Status("one")
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func TestBackoffGrowsAndBreaks(t *testing.T) {
	fails := func(int, *scripted) error { return errors.New("no luck") }
	supervised(t, fails, nil, func(t *testing.T, h *Host, s *script) {
		time.Sleep(time.Minute) // the bubble's time
		want := []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second}
		if got := s.pauses(); !slices.Equal(got, want) {
			t.Fatal(got)
		}
		st := state(t, h)
		if st.State != Broken || st.Reason != "no luck" || st.Failures != 5 {
			t.Fatalf("%+v", st)
		}
		// Broken is tried again, slowly, and stays broken.
		time.Sleep(10 * time.Minute)
		if got := s.pauses(); len(got) != 9 || got[4] != 2*time.Minute || got[8] != 2*time.Minute {
			t.Fatal(got)
		}
		if st := state(t, h); st.State != Broken || !st.NextTry.After(time.Now()) {
			t.Fatalf("%+v", st)
		}
		if err := h.Restart("one"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := len(s.pauses()); got != 10 {
			t.Fatal("a restart waits", got)
		}
	})
}

func TestFinalErrorsBreakAtOnce(t *testing.T) {
	for name, change := range map[string]func(*Options, *Spec){
		"no plugin": func(_ *Options, s *Spec) { s.Plugin = "absent" },
		"the configuration has no secret": func(_ *Options, s *Spec) {
			s.Configure = func(context.Context, sdk.Info) (sdk.Configuration, error) {
				return sdk.Configuration{}, errors.New("config.token_file: no such file")
			}
		},
		"the bridge refuses it": func(_ *Options, s *Spec) { s.Configure = configured(`{"network": "10.0.0.1:80"}`) },
	} {
		t.Run(name, func(t *testing.T) {
			supervised(t, func(int, *scripted) error { return nil }, change, func(t *testing.T, h *Host, s *script) {
				time.Sleep(time.Second)
				if st := state(t, h); st.State != Broken || st.Failures != 1 || st.Reason == "" {
					t.Fatalf("%+v", st)
				}
			})
		})
	}
}

func TestSteadyRunForgives(t *testing.T) {
	lives := func(n int, i *scripted) error {
		time.AfterFunc(6*time.Minute, i.exit)
		return nil
	}
	supervised(t, lives, nil, func(t *testing.T, h *Host, s *script) {
		time.Sleep(time.Hour)
		for _, p := range s.pauses() {
			if p != 6*time.Minute+500*time.Millisecond {
				t.Fatal(s.pauses())
			}
		}
		if st := state(t, h); st.State != Running || st.Failures != 9 || st.PID != 4711 {
			t.Fatalf("%+v", st)
		}
	})
}

func TestPauseAndDrain(t *testing.T) {
	supervised(t, func(int, *scripted) error { return nil }, nil, func(t *testing.T, h *Host, s *script) {
		if st := state(t, h); st.State != Running || st.Version != demo.Version {
			t.Fatalf("%+v", st)
		}
		if err := h.Pause("one"); err != nil {
			t.Fatal(err)
		}
		if st := state(t, h); st.State != Paused || s.last().asked != 3*time.Second {
			t.Fatalf("%+v %v", st, s.last().asked)
		}
		time.Sleep(time.Hour)
		if n := len(s.pauses()); n != 0 {
			t.Fatal("started while paused")
		}
		if err := h.Resume("one"); err != nil {
			t.Fatal(err)
		}
		if st := state(t, h); st.State != Running || st.Failures != 0 || st.Starts != 2 {
			t.Fatalf("%+v", st)
		}
		if err := h.Resume("two"); err == nil || !strings.Contains(err.Error(), `no bridge "two"`) {
			t.Fatal(err)
		}
	})
}

func TestHealthNeedsSeveralMisses(t *testing.T) {
	var answers atomic.Int64
	lives := func(_ int, i *scripted) error {
		i.ping = func(ctx context.Context) error {
			if n := answers.Add(1); n%3 == 0 && n <= 12 { // two misses and an answer, then silence
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}
	supervised(t, lives, nil, func(t *testing.T, h *Host, s *script) {
		time.Sleep(2 * time.Minute)
		if n := len(s.pauses()); n != 0 && answers.Load() < 15 {
			t.Fatal(answers.Load())
		}
		time.Sleep(10 * time.Second)
		st := state(t, h)
		if st.Failures == 0 || answers.Load() < 15 {
			t.Fatalf("%+v after %d checks", st, answers.Load())
		}
	})
}

func TestMemoryIsWeighed(t *testing.T) {
	var size atomic.Int64
	size.Store(100 << 20)
	logged := newLines()
	supervised(t, func(_ int, i *scripted) error { i.memory = size.Load; return nil },
		func(o *Options, s *Spec) { s.Memory, o.Log = 200<<20, logged.logger() },
		func(t *testing.T, h *Host, s *script) {
			time.Sleep(3 * time.Second)
			if st := state(t, h); st.State != Running || st.Memory != size.Load() {
				t.Fatalf("%+v", st)
			}
			size.Store(170 << 20)
			time.Sleep(10 * time.Second)
			if n := strings.Count(logged.String(), "close to its memory limit"); n != 1 || state(t, h).State != Running {
				t.Fatal(n)
			}
			size.Store(201 << 20)
			time.Sleep(1100 * time.Millisecond)
			if st := state(t, h); st.Failures != 1 || !strings.Contains(st.Reason, "201 MiB of 200") {
				t.Fatalf("%+v", st)
			}
		})
}

func TestGuardSlowsEventsAndDropsSignals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := plugintest.NewHost()
		h := &slowHost{Host: rec, limits: newLimits(100)} // a burst of 256
		began := time.Now()
		for n := range 10 {
			b := sdk.Batch{}
			for i := range 100 {
				b.Events = append(b.Events, event("lobby", fmt.Sprint(n, ".", i), sdk.Party{User: "mira"}))
			}
			if _, err := h.Deliver(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
		// 1000 events, 256 at once: the rest takes its seconds.
		if d := time.Since(began).Round(10 * time.Millisecond); d != 7440*time.Millisecond {
			t.Fatal(d)
		}
		for i := range 1000 {
			h.Signal(&sdk.Typing{Portal: sdk.PortalKey{Room: sdk.RemoteRoomID(fmt.Sprint(i))}})
		}
		if n := len(rec.Signals()); n != 200 {
			t.Fatal(n)
		}
		began = time.Now()
		for range 300 {
			if _, err := h.State().Put(t.Context(), "k", nil, sdk.AnyRevision); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(began).Round(10 * time.Millisecond); d != time.Second {
			t.Fatal(d)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := h.DeliverAsync(ctx, sdk.Batch{Events: []sdk.Event{event("lobby", "late", sdk.Party{})}}); !sdk.AsError(err).Temporary {
			t.Fatal(err)
		}
	})
}

func TestOptions(t *testing.T) {
	conf := configured(`{}`)
	for name, o := range map[string]Options{
		"no gateway":        {},
		"no name":           {Gateway: newGateway(), Bridges: []Spec{{Plugin: "demo", Configure: conf}}},
		"no configuration":  {Gateway: newGateway(), Bridges: []Spec{{Name: "a", Plugin: "demo"}}},
		"unknown transport": {Gateway: newGateway(), Bridges: []Spec{{Name: "a", Plugin: "demo", Configure: conf, Transport: "tcp"}}},
		"twice":             {Gateway: newGateway(), Bridges: []Spec{{Name: "a", Plugin: "demo", Configure: conf}, {Name: "a", Plugin: "x", Configure: conf}}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(o); err == nil {
				t.Fatal("taken")
			}
		})
	}
}
