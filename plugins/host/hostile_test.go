package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/plugins/plugintest"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// lines is a log that can be looked at and waited for.
type lines struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	more chan struct{}
}

func newLines() *lines { return &lines{more: make(chan struct{})} }

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.more)
	l.more = make(chan struct{})
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *lines) until(t *testing.T, text string) {
	t.Helper()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for {
		l.mu.Lock()
		more, found := l.more, strings.Contains(l.buf.String(), text)
		l.mu.Unlock()
		if found {
			return
		}
		select {
		case <-more:
		case <-limit.C:
			t.Fatalf("never logged: %s\n%s", text, l)
		}
	}
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func short(o *Options, _ *Spec) {
	o.Tune.StartTimeout = time.Second
	o.Tune.MemoryEvery = 10 * time.Millisecond
	o.Tune.StopTimeout = time.Second
}

// Each of these is ended with a reason in one line, and none takes anything with it.
func TestHostilePlugins(t *testing.T) {
	for role, tc := range map[string]struct {
		state  State
		reason string
	}{
		"exits":   {Waiting, `it ended before the handshake (exit status 3), saying "no such thing as a plugin"`},
		"silent":  {Waiting, "no handshake in time"},
		"garbage": {Broken, "instead of a handshake; is it a plugin of Viaduct?"},
		"endless": {Broken, "instead of a handshake; is it a plugin of Viaduct?"},
		"future":  {Broken, "it speaks version 99 of the bridge protocol, this server version 1; install the plugin that belongs to this server"},
		"panics":  {Waiting, `the process ended (exit status 2, saying "panic: `},
		"refuses": {Broken, "the token is no longer valid"},
		"waits":   {Waiting, "no answer in time"},
		"grows":   {Waiting, "it uses too much memory"},
	} {
		t.Run(role, func(t *testing.T) {
			r := newRig(t, rigOptions{role: role, change: func(o *Options, s *Spec) {
				short(o, s)
				if role != "silent" {
					o.Tune.StartTimeout = 20 * time.Second
				}
				if role == "waits" {
					o.Tune.AttachTimeout = time.Second
				}
			}})
			st := r.until(t, tc.state)
			if !strings.Contains(st.Reason, tc.reason) || strings.ContainsAny(st.Reason, "\n\x1b") {
				t.Fatalf("%q", st.Reason)
			}
			if st.Failures != 1 || !st.NextTry.After(st.Since) {
				t.Fatalf("%+v", st)
			}
		})
	}
}

// What the system does not run is broken at once: only a person can mend it.
func TestFilesThatDoNotRun(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, tc := range map[string]struct{ path, reason string }{
		"missing":                  {filepath.Join(dir, "absent"), "there is no such file; check the path"},
		"not executable":           {write("plain", "#!/bin/sh\n", 0o600), "it is not executable; chmod +x"},
		"no program":               {write("text", "hello\n", 0o700), "it is no program for this system (exec format error); install the one for this system"},
		"of another system":        {write("elf", "\x7fELF\x02\x01\x01rest", 0o700), "it is no program for this system (exec format error)"},
		"empty":                    {write("empty", "", 0o700), "it is no program for this system (exec format error)"},
		"an interpreter is absent": {write("script", "#!/nowhere/python9\n", 0o700), "or the interpreter or loader that it names; install that"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, rigOptions{role: "demo", change: func(o *Options, s *Spec) {
				short(o, s)
				s.Plugin = tc.path
			}})
			st := r.until(t, Broken)
			if !strings.Contains(st.Reason, tc.reason) || st.Failures != 1 || st.Starts != 1 {
				t.Errorf("%+v", st)
			}
			if _, err := Describe(t.Context(), tc.path); name != "missing" && name != "not executable" && (err == nil || !strings.Contains(err.Error(), tc.reason)) {
				t.Errorf("described: %v", err)
			}
		})
	}
}

// All of it stands still, as after a SIGSTOP: its sockets take bytes and give none.
func TestStoppedProcessIsEnded(t *testing.T) {
	r := newRig(t, rigOptions{role: "demo", change: func(o *Options, _ *Spec) {
		o.Tune.HealthEvery, o.Tune.HealthTimeout = 20*time.Millisecond, 200*time.Millisecond
	}})
	st := r.until(t, Running)
	if err := syscall.Kill(st.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if st := r.until(t, Waiting); !strings.Contains(st.Reason, "it hangs: 3 health checks without an answer") {
		t.Fatal(st.Reason)
	}
	r.until(t, Running)
}

func TestCrashLoopIsBroken(t *testing.T) {
	r := newRig(t, rigOptions{role: "exits"})
	st := r.until(t, Broken)
	if st.Failures != 5 {
		t.Fatalf("%+v", st)
	}
	// An administrator's restart tries at once, and as often as the first time.
	if err := r.Restart("one"); err != nil {
		t.Fatal(err)
	}
	if st := r.until(t, Broken); st.Failures != 10 {
		t.Fatalf("%+v", st)
	}
}

func TestUnansweredOperationEndsThePlugin(t *testing.T) {
	r := newRig(t, rigOptions{role: "hangs", change: func(o *Options, s *Spec) {
		short(o, s)
		o.Tune.StartTimeout, o.Tune.OpGrace = 20*time.Second, 10*time.Millisecond
	}})
	r.until(t, Running)
	remote := <-r.gw.attached
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	done := make(chan error, 1)
	op := &sdk.SendMessage{OpHeader: sdk.OpHeader{ID: "01HANG", Portal: sdk.PortalKey{Room: "lobby"}, Attempt: 1}}
	if err := remote.Submit(ctx, op, func(_ sdk.Delivered, err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	// The sender learns that the outcome is unknown; the operation will come again.
	if err := <-done; !errors.Is(err, sdk.ErrSessionLost) {
		t.Fatal(err)
	}
	if st := r.until(t, Waiting); !strings.Contains(st.Reason, "operation 01HANG is not answered") {
		t.Fatal(st)
	}
	r.until(t, Running)
}

// A plugin that floods and babbles leaves its neighbour alone, and can be paused.
func TestFloodsHarmNobodyElse(t *testing.T) {
	logged := newLines()
	changes := make(chan Status, 100)
	bad, good := newGateway(), newGateway()
	h, err := New(Options{
		Gateway: both{"bad": bad, "good": good}, Dirs: []string{plugins(t, "floods", "demo")}, Log: logged.logger(),
		OnChange: func(s Status) { changes <- s },
		Bridges: []Spec{
			{Name: "bad", Plugin: "floods", Configure: configured(`{"silent": true}`), EventsPerSecond: 50},
			{Name: "good", Plugin: "demo", Configure: configured(`{"talk_every": "100ms"}`)},
		},
	})
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
	}()
	flooded := bad.host.(*plugintest.Host)
	flooded.Await(t, "the flood begins", func() bool { return flooded.Delivered() >= 100 })
	well := good.host.(*plugintest.Host)
	before := flooded.Delivered()
	well.Await(t, "the neighbour talks", func() bool { return len(well.Events()) >= 5 })
	// 50 a second and a burst of one batch were allowed; without the limit it
	// would have been tens of thousands by now.
	if n := flooded.Delivered() - before; n > 3000 {
		t.Fatalf("%d events while the neighbour spoke five times", n)
	}
	if err := h.Pause("bad"); err != nil {
		t.Fatal(err)
	}
	for s := range changes {
		if s.Bridge == "bad" && s.State == Paused {
			break
		}
	}
}

type both map[string]*gateway

func (b both) Attach(ctx context.Context, name string, r sdk.Remote) error {
	return b[name].Attach(ctx, name, r)
}

func TestBabbleIsDropped(t *testing.T) {
	logged := newLines()
	r := newRig(t, rigOptions{role: "babbles", change: func(o *Options, _ *Spec) {
		o.Log, o.Tune.LogLines = logged.logger(), 10
	}})
	r.until(t, Running)
	logged.until(t, "the plugin logs too much, lines were dropped")
	logged.until(t, "prints to its standard output")
	if n := strings.Count(logged.String(), "prints to its standard output"); n != 1 {
		t.Fatal(n)
	}
}

// A claim to speak for somebody of the server's domain is the gateway's to refuse;
// the refusal reaches the plugin, the rest of the batch stands.
func TestLiesAreRejectedOneByOne(t *testing.T) {
	logged := newLines()
	gw := newGateway()
	rec := gw.host.(*plugintest.Host)
	rec.Settle = func(_ int, b sdk.Batch, ticket *sdk.Ticket) {
		var receipt sdk.Receipt
		for i, e := range b.Events {
			if e.Head().Actor.Address != "" {
				receipt.Problems = append(receipt.Problems, sdk.EventProblem{Index: i, Outcome: sdk.OutcomeRejected, Text: "not yours to say"})
			}
		}
		ticket.Settle(receipt, nil)
	}
	r := newRig(t, rigOptions{role: "lies", gw: gw, change: func(o *Options, _ *Spec) { o.Log = logged.logger() }})
	r.until(t, Running)
	logged.until(t, "not yours to say")
	rec.Await(t, "what was true is kept", func() bool { return len(rec.Events()) > 0 })
	for _, e := range rec.Events() {
		if e.Head().ID == "lie" {
			t.Fatal("the lie was kept")
		}
	}
}

func TestSecretsAndEnvironment(t *testing.T) {
	t.Setenv("VIADUCT_STORAGE_DSN", "postgres://secret-of-the-server")
	t.Setenv("HTTPS_PROXY", "http://user:proxysecret@127.0.0.1:1")
	logged := newLines()
	r := newRig(t, rigOptions{
		role: "demo", config: `{"silent": true, "secret": "hunter2-token", "network": "127.0.0.1:1"}`,
		change: func(o *Options, s *Spec) { o.Log, s.Memory = logged.logger(), 400<<20 },
	})
	st := r.until(t, Running)
	for _, file := range []string{"cmdline", "environ"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", st.PID, file))
		if err != nil {
			t.Skip("no /proc here: ", err)
		}
		for _, secret := range []string{"hunter2", "secret-of-the-server", "proxysecret"} {
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("%s holds %s", file, secret)
			}
		}
		if file == "environ" && !bytes.Contains(b, []byte(fmt.Sprintf("GOMEMLIMIT=%d\x00", 300<<20))) {
			t.Errorf("%q", b)
		}
	}
}

func TestRedaction(t *testing.T) {
	schema := sdk.Schema{Keys: []sdk.ConfigKey{
		{Name: "token", Type: sdk.TypeString, Secret: true},
		{Name: "name", Type: sdk.TypeString},
		{Name: "pin", Type: sdk.TypeString, Secret: true},
		{Name: "more", Type: sdk.TypeList, Secret: true, Elem: &sdk.ConfigKey{Type: sdk.TypeString}},
		{Name: "guilds", Type: sdk.TypeMap, Elem: &sdk.ConfigKey{Type: sdk.TypeObject, Keys: []sdk.ConfigKey{{Name: "key", Type: sdk.TypeString, Secret: true}}}},
	}}
	s := &secrets{}
	logged := newLines()
	log := slog.New(pluginLog{logged.logger().Handler(), s})
	log.Info("before anything is known")
	s.learn(schema, []byte(`{"token":"tok-1","name":"visible","pin":"123","more":["list-secret"],"guilds":{"a":{"key":"deep-secret"}}}`))
	log.With("at", "Bearer tok-1").Info("with tok-1 of visible", "err", errors.New("bad tok-1"), slog.Group("g", "x", "list-secret"), "n", 123, "deep", "deep-secret")
	got := logged.String()
	for _, secret := range []string{"tok-1", "list-secret", "deep-secret"} {
		if strings.Contains(got, secret) {
			t.Errorf("%s is shown: %s", secret, got)
		}
	}
	if !strings.Contains(got, "with [redacted] of visible") || !strings.Contains(got, "n=123") || strings.Count(got, redacted) != 5 {
		t.Error(got)
	}
}
