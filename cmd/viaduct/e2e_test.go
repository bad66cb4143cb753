package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/viaduct-xmpp/viaduct/internal/dev/programtest"
)

// bin is the folder of the program, built once for all tests of this package.
var bin string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, cleanup, err := programtest.Build()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer cleanup()
	bin = dir
	return m.Run()
}

func TestFirstStartAndStop(t *testing.T) {
	r := programtest.Place(t, bin, "").Serve(t)
	m := regexp.MustCompile(`(?m)^  admin@v\.test\n  ([a-z0-9]{20})$`).FindStringSubmatch(r.Welcome)
	if m == nil {
		t.Fatalf("no password of a first administrator:\n%s", r.Welcome)
	}
	if strings.Contains(r.Log(), m[1]) {
		t.Error("the password is in the log")
	}
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "server: ok\n"} {
		resp, err := http.Get("http://" + r.Admin + path)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || string(b) != want {
			t.Errorf("%s: %s %q", path, resp.Status, b)
		}
	}
	if code := r.Stop(t); code != 0 {
		t.Errorf("exit status %d: %s", code, r.Log())
	}
	again := r.Site.Serve(t)
	if strings.Contains(again.Welcome, "First start") {
		t.Error("the second start is not a first one")
	}
}

// The same commands work with the server running and stopped.
func TestUserCommandsRunningAndStopped(t *testing.T) {
	for _, state := range []string{"running", "stopped"} {
		t.Run(state, func(t *testing.T) {
			site := programtest.Place(t, bin, "")
			if state == "running" {
				site.Serve(t)
			}
			pw := filepath.Join(site.Dir, "pw")
			if err := os.WriteFile(pw, []byte("correct horse\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			do := func(stdin string, args ...string) (string, string, int) {
				return site.Run(t, stdin, args...)
			}
			for _, step := range []struct {
				args  string
				stdin string
				out   string // in standard output
				err   string // in standard error, with status 1
			}{
				{args: "user add bob@v.test --password-file " + pw, out: "bob@v.test was made."},
				{args: "user add carol@v.test --admin --password-file -", stdin: "battery staple\n", out: "carol@v.test was made."},
				{args: "user add dave@v.test", out: "Password: "},
				{args: "user add bob@v.test", err: "exists already"},
				{args: "user add bob@elsewhere.test", err: "elsewhere.test is not a domain of this server"},
				{args: "user add short@v.test --password-file -", stdin: "x\n", err: "8 characters"},
				{args: "user show carol@v.test", out: "admin"},
				{args: "user disable bob@v.test", out: "bob@v.test is disabled"},
				{args: "user enable bob@v.test", out: "bob@v.test may log in"},
				{args: "user passwd bob@v.test --password-file -", stdin: "another password\n", out: "was changed"},
				{args: "user list", out: "carol@v.test"},
				{args: "user delete bob@v.test", err: "say --yes"},
				{args: "user delete bob@v.test --yes", out: "was deleted"},
				{args: "user show bob@v.test", err: "no such account"},
				{args: "user frobnicate", err: `there is no command "viaduct user frobnicate"`},
				{args: "version", out: "viaduct "},
				{args: "room list", out: "There are no rooms"},
				{args: "archive show bob@v.test", out: "Nothing is kept of bob@v.test."},
				{args: "archive erase bob@v.test", err: "say --yes"},
				{args: "archive erase bob@v.test --yes", out: "0 messages were deleted"},
				{args: "check config", out: "No problems"},
			} {
				out, errs, code := do(step.stdin, strings.Fields(step.args)...)
				switch {
				case step.err != "" && (code != 1 || !strings.Contains(errs, step.err) || strings.Count(errs, "\n") != 1):
					t.Errorf("%s: status %d, error %q", step.args, code, errs)
				case step.out != "" && (code != 0 || !strings.Contains(out, step.out)):
					t.Errorf("%s: status %d, output %q, error %q", step.args, code, out, errs)
				}
			}
			out, _, _ := do("", "user", "list", "--json")
			var list []struct {
				JID   string
				Admin bool
			}
			if err := json.Unmarshal([]byte(out), &list); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if want := map[string]int{"running": 3, "stopped": 2}[state]; len(list) != want {
				t.Errorf("%d accounts, want %d: %v", len(list), want, list)
			}
		})
	}
}

func TestBadStarts(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close() //nolint:errcheck // a test
	for _, tc := range []struct {
		name  string
		setup func(t *testing.T, s *programtest.Site)
		extra string
		want  string
	}{
		{name: "unknown key", extra: "domians: [x]\n", want: `viaduct.yaml:4: unknown key "domians"; did you mean "domains"?`},
		{name: "busy port", want: busy.Addr().String() + " is already in use", setup: func(t *testing.T, s *programtest.Site) {
			s.Replace(t, `c2s: ["127.0.0.1:0"]`, `c2s: ["`+busy.Addr().String()+`"]`)
		}},
		{name: "busy admin port", want: "listen.admin: " + busy.Addr().String() + " is already in use", setup: func(t *testing.T, s *programtest.Site) {
			s.Replace(t, `admin: ["127.0.0.1:0"]`, `admin: ["`+busy.Addr().String()+`"]`)
		}},
		{name: "data directory is a file", want: "data_dir: ", setup: func(t *testing.T, s *programtest.Site) {
			if err := os.WriteFile(filepath.Join(s.Dir, "data"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "certificate is missing", extra: "tls: {cert: no.pem, key: no.key}\n", want: "no.pem"},
		{name: "too long a path", want: "choose a shorter data_dir", setup: func(t *testing.T, s *programtest.Site) {
			s.Replace(t, "data_dir: data", "data_dir: "+strings.Repeat("long/", 25))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			site := programtest.Place(t, bin, tc.extra)
			if tc.setup != nil {
				tc.setup(t, site)
			}
			_, errs, code := site.Run(t, "", "serve")
			last := errs[strings.LastIndexByte(strings.TrimSpace(errs), '\n')+1:]
			if code != 1 || !strings.Contains(last, tc.want) {
				t.Errorf("status %d, last line %q, want %q", code, last, tc.want)
			}
		})
	}
}

func TestSecondServerOnTheSameData(t *testing.T) {
	first := programtest.Place(t, bin, "").Serve(t)
	_, errs, code := first.Run(t, "serve")
	if code != 1 || !strings.Contains(errs, fmt.Sprint(first.Cmd.Process.Pid)) {
		t.Errorf("status %d, error %q does not name the process %d", code, errs, first.Cmd.Process.Pid)
	}
}

func TestBackupAndRestore(t *testing.T) {
	r := programtest.Place(t, bin, "").Serve(t)
	if _, errs, code := r.Run(t, "user", "add", "alice@v.test"); code != 0 {
		t.Fatal(errs)
	}
	file := filepath.Join(r.Site.Dir, "copy.viaduct")
	if out, errs, code := r.Run(t, "backup", file); code != 0 || !strings.Contains(out, file) {
		t.Fatalf("%s%s", out, errs)
	}
	if _, errs, code := r.Run(t, "user", "delete", "--yes", "alice@v.test"); code != 0 {
		t.Fatal(errs)
	}
	if _, errs, code := r.Run(t, "restore", "--yes", file); code != 1 || errs == "" {
		t.Errorf("a restore under a running server: status %d, %q", code, errs)
	}
	r.Stop(t)
	if _, errs, code := r.Run(t, "restore", file); code != 1 || !strings.Contains(errs, "already") {
		t.Errorf("a restore over data: status %d, %q", code, errs)
	}
	if _, errs, code := r.Run(t, "restore", "--yes", file); code != 0 {
		t.Fatal(errs)
	}
	if _, errs, code := r.Run(t, "user", "show", "alice@v.test"); code != 0 {
		t.Errorf("after the restore: %s", errs)
	}
}

func TestReloadIsAllOrNothing(t *testing.T) {
	r := programtest.Place(t, bin, "log: {level: info}\n").Serve(t)
	r.Site.Replace(t, "level: info", "level: debug")
	if out, errs, code := r.Run(t, "reload"); code != 0 || !strings.Contains(out, "log.level was applied") {
		t.Errorf("reload: %d %q %q", code, out, errs)
	}
	r.Site.Replace(t, "level: debug", "level: loud")
	if _, errs, code := r.Run(t, "reload"); code != 1 || !strings.Contains(errs, `viaduct.yaml:4: log.level: "loud" is unknown`) {
		t.Errorf("reload of a bad file: %d %q", code, errs)
	}
	r.Site.Replace(t, "level: loud", "level: warn")
	r.Site.Replace(t, "data_dir: data", "data_dir: other")
	if _, errs, code := r.Run(t, "reload"); code != 1 {
		t.Errorf("a reload that asks another directory: %q", errs)
	}
	r.Site.Replace(t, "data_dir: other", "data_dir: data")
	r.Site.Replace(t, "domains: [v.test]", "domains: [v.test, w.test]")
	if _, errs, code := r.Run(t, "reload"); code != 1 || !strings.Contains(errs, "a change of domains takes a restart") {
		t.Errorf("reload that needs a restart: %d %q", code, errs)
	}
	if err := r.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := r.Run(t, "version"); code != 0 {
		t.Errorf("after SIGHUP with a bad file: %q", errs)
	}
}

// TestReloadOfWhatRuns: limits, registration and single bridges change while the server runs; what cannot is named, and then nothing changes.
func TestReloadOfWhatRuns(t *testing.T) {
	r := programtest.Place(t, bin, `limits: {connections_per_ip: 50}
registration: {open: false}
bridges:
  - {name: one, plugin: demo, allow: {use: [v.test]}, limits: {events_per_second: 500}}
  - {name: two, plugin: demo}
`).Serve(t)
	for _, name := range []string{"one", "two"} {
		bridgeStarts(t, r, name, 1)
	}
	for _, step := range []struct {
		name, old, with string
		out             string // said on success
		err             string // said on failure; the file is put back
		one             int    // starts of the bridge "one" afterwards
	}{
		{"nothing", "domains: [v.test]", "domains: [ v.test ]", "", "", 1},
		{"a limit", "connections_per_ip: 50", "connections_per_ip: 1", "limits.connections_per_ip was applied", "", 1},
		{"registration", "open: false", "open: true", "registration.open was applied", "", 1},
		{"who may use a bridge", "use: [v.test]", "use: [v.test, w.test]", "bridge one: who may use it was applied", "", 1},
		{"a bridge's limits", "events_per_second: 500", "events_per_second: 700", "bridge one is started again", "", 2},
		{"no limits", "limits: {conn", "limits: {off: true, conn", "", "a change of limits.off takes a restart", 2},
		{"an address", `c2s: ["127.0.0.1:0"]`, `c2s: ["127.0.0.2:0"]`, "", "a change of listen.c2s takes a restart", 2},
		{"a new bridge", "bridges:", "bridges:\n  - {name: three, plugin: demo}", "", "bridges (three is new) takes a restart", 2},
		{"a bridge is gone", "  - {name: two, plugin: demo}\n", "  # two\n", "", "bridges (two is gone) takes a restart", 2},
		{"a plugin that is not there", "name: one, plugin: demo", "name: one, plugin: nowhere", "", `bridge "one": plugin viaduct-nowhere: not found`, 2},
		{"a plugin's configuration", "events_per_second: 700}", "events_per_second: 700}, config: {unknown: 1}", "", "unknown", 2},
	} {
		t.Run(step.name, func(t *testing.T) {
			r.Site.Replace(t, step.old, step.with)
			out, errs, code := r.Run(t, "reload")
			switch {
			case step.err == "" && (code != 0 || !strings.Contains(out, step.out)):
				t.Errorf("status %d, output %q, error %q", code, out, errs)
			case step.err != "" && (code != 1 || !strings.Contains(errs, step.err) || strings.Count(errs, "\n") != 1):
				t.Errorf("status %d, output %q, error %q", code, out, errs)
			}
			if step.err != "" {
				r.Site.Replace(t, step.with, step.old)
			}
			bridgeStarts(t, r, "one", step.one)
			bridgeStarts(t, r, "two", 1)
		})
	}
	t.Run("all or nothing", func(t *testing.T) {
		r.Site.Replace(t, "connections_per_ip: 1", "connections_per_ip: 40")
		r.Site.Replace(t, "name: one, plugin: demo", "name: one, plugin: nowhere")
		if _, errs, code := r.Run(t, "reload"); code != 1 {
			t.Errorf("status %d, error %q", code, errs)
		}
		if n := connections(t, r.C2S, 3); n != 1 {
			t.Errorf("%d connections are taken, 1 is the limit that was in force", n)
		}
		r.Site.Replace(t, "name: one, plugin: nowhere", "name: one, plugin: demo")
		if out, errs, code := r.Run(t, "reload"); code != 0 || !strings.Contains(out, "limits.connections_per_ip was applied") {
			t.Errorf("status %d, output %q, error %q", code, out, errs)
		}
		if n := connections(t, r.C2S, 3); n != 3 {
			t.Errorf("%d of 3 connections are taken", n)
		}
	})
}

// bridgeStarts waits until a bridge runs, and compares how often it was started.
func bridgeStarts(t *testing.T, r *programtest.Server, name string, want int) {
	t.Helper()
	var last string
	for range 200 { // each is a process of its own, which takes its time
		out, errs, code := r.Run(t, "bridge", "status", name, "--json")
		var s struct {
			Plugin struct {
				State  string `json:"state"`
				Starts int    `json:"starts"`
			} `json:"plugin"`
		}
		if code != 0 || json.Unmarshal([]byte(out), &s) != nil {
			t.Fatalf("status %d, %q, %q", code, out, errs)
		}
		if s.Plugin.State == "running" && s.Plugin.Starts == want {
			return
		}
		if last = out; s.Plugin.Starts > want {
			break
		}
	}
	t.Errorf("bridge %s was to be running after %d starts: %s", name, want, last)
}

// connections opens n connections and tells on how many the server speaks.
func connections(t *testing.T, addr string, n int) int {
	t.Helper()
	taken := 0
	for range n {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if _, err := io.WriteString(c, "<stream:stream to='v.test' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"); err != nil {
			continue
		}
		if _, err := c.Read(make([]byte, 1)); err == nil {
			taken++
		}
	}
	return taken
}

func TestQuickstartOverwritesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "site")
	out, errs, code := programtest.Run(t, bin, "", "quickstart", "--domain", "Example.ORG", "--dir", dir)
	if code != 0 {
		t.Fatal(errs)
	}
	for _, want := range []string{"admin@example.org", "_xmpp-client._tcp.example.org.", "*.example.org", filepath.Join(dir, "viaduct.service")} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "viaduct.yaml")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("configuration: %v %v", info, err)
	}
	if out, errs, code := programtest.Run(t, bin, "", "--config", filepath.Join(dir, "viaduct.yaml"), "check", "config"); code != 0 && !strings.Contains(out, "listen:") {
		t.Errorf("check: %s%s", out, errs)
	}
	if _, errs, code := programtest.Run(t, bin, "", "quickstart", "--domain", "example.org", "--dir", dir); code != 1 || !strings.Contains(errs, "exists already") {
		t.Errorf("a second time: %d %q", code, errs)
	}
	if _, errs, code := programtest.Run(t, bin, "", "quickstart", "--domain", "not a domain"); code != 1 || !strings.Contains(errs, "--domain") {
		t.Errorf("bad domain: %d %q", code, errs)
	}
}

func TestRoomCommands(t *testing.T) {
	r := programtest.Place(t, bin, "").Serve(t)
	for _, step := range []struct{ args, out, err string }{
		{args: "room create ops@rooms.v.test admin@v.test --name Operations", out: "ops@rooms.v.test was made; admin@v.test owns it."},
		{args: "room create ops@rooms.v.test admin@v.test", err: "exists already"},
		{args: "room create ops@elsewhere.test admin@v.test", err: "not served here"},
		{args: "room list", out: "Operations"},
		{args: "room affiliation ops@rooms.v.test bob@v.test member", out: "bob@v.test is member in ops@rooms.v.test."},
		{args: "room affiliation ops@rooms.v.test admin@v.test none", err: "needs an owner"},
		{args: "room affiliation ops@rooms.v.test bob@v.test king", err: "is no affiliation"},
		{args: "room show ops@rooms.v.test", out: "member     bob@v.test"},
		{args: "room destroy ops@rooms.v.test", err: "say --yes"},
		{args: "room destroy ops@rooms.v.test --yes --reason over", out: "was destroyed"},
		{args: "room show ops@rooms.v.test", err: "there is no room"},
	} {
		out, errs, code := r.Run(t, strings.Fields(step.args)...)
		if step.err != "" && (code != 1 || !strings.Contains(errs, step.err)) || step.out != "" && (code != 0 || !strings.Contains(out, step.out)) {
			t.Errorf("%s: status %d, output %q, error %q", step.args, code, out, errs)
		}
	}
}

func TestCommandsThatNeedAServer(t *testing.T) {
	if _, errs, code := programtest.Place(t, bin, "").Run(t, "", "reload"); code != 1 || !strings.Contains(errs, "works with a running server only") {
		t.Errorf("%d %q", code, errs)
	}
}
