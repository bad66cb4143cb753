package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// binary is the program, built once for all tests of this package.
var binary string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "viaduct")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	binary = filepath.Join(dir, "viaduct")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// place is a folder with a configuration that listens on ports of the kernel's choice.
func place(t *testing.T, extra string) (dir, config string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "v") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	config = filepath.Join(dir, "viaduct.yaml")
	text := `domains: [v.test]
data_dir: data
listen: {c2s: ["127.0.0.1:0"], c2s_tls: [], s2s: [], s2s_tls: [], http: [], https: [], admin: ["127.0.0.1:0"], component: []}
` + extra
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, config
}

// viaduct runs the program and returns what it wrote and its exit status.
func viaduct(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err := cmd.Run()
	if _, ok := err.(*exec.ExitError); err != nil && !ok { //nolint:errorlint // Run returns it as it is
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// running is a server under test.
type running struct {
	cmd     *exec.Cmd
	welcome string // what it printed until it was ready
	admin   string // address of health and metrics
	c2s     string
	errs    *bytes.Buffer
	config  string
}

var (
	adminLine = regexp.MustCompile(`health and metrics +(\S+)`)
	c2sLine   = regexp.MustCompile(`clients \(STARTTLS\) +(\S+)`)
)

// serve starts the server and returns when it is ready.
func serve(t *testing.T, config string) *running {
	t.Helper()
	r := &running{cmd: exec.CommandContext(context.WithoutCancel(t.Context()), binary, "--config", config, "serve"), errs: &bytes.Buffer{}, config: config}
	r.cmd.Stderr = r.errs
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		r.welcome += lines.Text() + "\n"
		if strings.HasPrefix(lines.Text(), "Stop:") {
			break
		}
	}
	go io.Copy(io.Discard, out) //nolint:errcheck // ends with the process
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
	})
	if !strings.Contains(r.welcome, "Stop:") {
		t.Fatalf("the server did not start: %s%s", r.welcome, r.errs)
	}
	if m := adminLine.FindStringSubmatch(r.welcome); m != nil {
		r.admin = m[1]
	}
	if m := c2sLine.FindStringSubmatch(r.welcome); m != nil {
		r.c2s = m[1]
	}
	return r
}

// stop sends what Ctrl-C sends and returns the exit status.
func (r *running) stop(t *testing.T) int {
	t.Helper()
	if err := r.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = r.cmd.Wait()
	return r.cmd.ProcessState.ExitCode()
}

func (r *running) do(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return viaduct(t, "", append([]string{"--config", r.config}, args...)...)
}

func TestFirstStartAndStop(t *testing.T) {
	_, config := place(t, "")
	r := serve(t, config)
	m := regexp.MustCompile(`(?m)^  admin@v\.test\n  ([a-z0-9]{20})$`).FindStringSubmatch(r.welcome)
	if m == nil {
		t.Fatalf("no password of a first administrator:\n%s", r.welcome)
	}
	if strings.Contains(r.errs.String(), m[1]) {
		t.Error("the password is in the log")
	}
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "server: ok\n"} {
		resp, err := http.Get("http://" + r.admin + path)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != 200 || string(b) != want {
			t.Errorf("%s: %s %q", path, resp.Status, b)
		}
	}
	if code := r.stop(t); code != 0 {
		t.Errorf("exit status %d: %s", code, r.errs)
	}
	again := serve(t, config)
	if strings.Contains(again.welcome, "First start") {
		t.Error("the second start is not a first one")
	}
}

// The same commands work with the server running and stopped.
func TestUserCommandsRunningAndStopped(t *testing.T) {
	for _, state := range []string{"running", "stopped"} {
		t.Run(state, func(t *testing.T) {
			dir, config := place(t, "")
			if state == "running" {
				serve(t, config)
			}
			pw := filepath.Join(dir, "pw")
			if err := os.WriteFile(pw, []byte("correct horse\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			do := func(stdin string, args ...string) (string, string, int) {
				return viaduct(t, stdin, append([]string{"--config", config}, args...)...)
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
		setup func(t *testing.T, dir, config string)
		extra string
		want  string
	}{
		{name: "unknown key", extra: "domians: [x]\n", want: `viaduct.yaml:4: unknown key "domians"; did you mean "domains"?`},
		{name: "busy port", want: busy.Addr().String() + " is already in use", setup: func(t *testing.T, _, config string) {
			replace(t, config, `c2s: ["127.0.0.1:0"]`, `c2s: ["`+busy.Addr().String()+`"]`)
		}},
		{name: "busy admin port", want: "listen.admin: " + busy.Addr().String() + " is already in use", setup: func(t *testing.T, _, config string) {
			replace(t, config, `admin: ["127.0.0.1:0"]`, `admin: ["`+busy.Addr().String()+`"]`)
		}},
		{name: "data directory is a file", want: "data_dir: ", setup: func(t *testing.T, dir, _ string) {
			if err := os.WriteFile(filepath.Join(dir, "data"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "certificate is missing", extra: "tls: {cert: no.pem, key: no.key}\n", want: "no.pem"},
		{name: "too long a path", want: "choose a shorter data_dir", setup: func(t *testing.T, _, config string) {
			replace(t, config, "data_dir: data", "data_dir: "+strings.Repeat("long/", 25))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir, config := place(t, tc.extra)
			if tc.setup != nil {
				tc.setup(t, dir, config)
			}
			_, errs, code := viaduct(t, "", "--config", config, "serve")
			last := errs[strings.LastIndexByte(strings.TrimSpace(errs), '\n')+1:]
			if code != 1 || !strings.Contains(last, tc.want) {
				t.Errorf("status %d, last line %q, want %q", code, last, tc.want)
			}
		})
	}
}

func replace(t *testing.T, file, old, with string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := strings.Replace(string(b), old, with, 1)
	if s == string(b) {
		t.Fatalf("%q is not in %s", old, file)
	}
	if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSecondServerOnTheSameData(t *testing.T) {
	_, config := place(t, "")
	first := serve(t, config)
	_, errs, code := viaduct(t, "", "--config", config, "serve")
	if code != 1 || !strings.Contains(errs, fmt.Sprint(first.cmd.Process.Pid)) {
		t.Errorf("status %d, error %q does not name the process %d", code, errs, first.cmd.Process.Pid)
	}
}

func TestBackupAndRestore(t *testing.T) {
	dir, config := place(t, "")
	r := serve(t, config)
	if _, errs, code := r.do(t, "user", "add", "alice@v.test"); code != 0 {
		t.Fatal(errs)
	}
	file := filepath.Join(dir, "copy.viaduct")
	if out, errs, code := r.do(t, "backup", file); code != 0 || !strings.Contains(out, file) {
		t.Fatalf("%s%s", out, errs)
	}
	if _, errs, code := r.do(t, "user", "delete", "--yes", "alice@v.test"); code != 0 {
		t.Fatal(errs)
	}
	if _, errs, code := r.do(t, "restore", "--yes", file); code != 1 || errs == "" {
		t.Errorf("a restore under a running server: status %d, %q", code, errs)
	}
	r.stop(t)
	if _, errs, code := r.do(t, "restore", file); code != 1 || !strings.Contains(errs, "already") {
		t.Errorf("a restore over data: status %d, %q", code, errs)
	}
	if _, errs, code := r.do(t, "restore", "--yes", file); code != 0 {
		t.Fatal(errs)
	}
	if _, errs, code := r.do(t, "user", "show", "alice@v.test"); code != 0 {
		t.Errorf("after the restore: %s", errs)
	}
}

func TestReloadIsAllOrNothing(t *testing.T) {
	_, config := place(t, "log: {level: info}\n")
	r := serve(t, config)
	replace(t, config, "level: info", "level: debug")
	if out, errs, code := r.do(t, "reload"); code != 0 || !strings.Contains(out, "log.level was applied") {
		t.Errorf("reload: %d %q %q", code, out, errs)
	}
	replace(t, config, "level: debug", "level: loud")
	if _, errs, code := r.do(t, "reload"); code != 1 || !strings.Contains(errs, `viaduct.yaml:4: log.level: "loud" is unknown`) {
		t.Errorf("reload of a bad file: %d %q", code, errs)
	}
	replace(t, config, "level: loud", "level: warn")
	replace(t, config, "data_dir: data", "data_dir: other")
	if _, errs, code := viaduct(t, "", "--config", config, "reload"); code != 1 {
		t.Errorf("a reload that asks another directory: %q", errs)
	}
	replace(t, config, "data_dir: other", "data_dir: data")
	replace(t, config, "domains: [v.test]", "domains: [v.test, w.test]")
	if _, errs, code := r.do(t, "reload"); code != 1 || !strings.Contains(errs, "a change of domains takes a restart") {
		t.Errorf("reload that needs a restart: %d %q", code, errs)
	}
	if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := r.do(t, "version"); code != 0 {
		t.Errorf("after SIGHUP with a bad file: %q", errs)
	}
}

func TestQuickstartOverwritesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "site")
	out, errs, code := viaduct(t, "", "quickstart", "--domain", "Example.ORG", "--dir", dir)
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
	if out, errs, code := viaduct(t, "", "--config", filepath.Join(dir, "viaduct.yaml"), "check", "config"); code != 0 && !strings.Contains(out, "listen:") {
		t.Errorf("check: %s%s", out, errs)
	}
	if _, errs, code := viaduct(t, "", "quickstart", "--domain", "example.org", "--dir", dir); code != 1 || !strings.Contains(errs, "exists already") {
		t.Errorf("a second time: %d %q", code, errs)
	}
	if _, errs, code := viaduct(t, "", "quickstart", "--domain", "not a domain"); code != 1 || !strings.Contains(errs, "--domain") {
		t.Errorf("bad domain: %d %q", code, errs)
	}
}

func TestCommandsThatNeedAServer(t *testing.T) {
	_, config := place(t, "")
	if _, errs, code := viaduct(t, "", "--config", config, "reload"); code != 1 || !strings.Contains(errs, "works with a running server only") {
		t.Errorf("%d %q", code, errs)
	}
}
