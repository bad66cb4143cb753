// Package programtest builds the program and runs it in tests as its user does: a process with a configuration file, killed or stopped from
// outside, and its command line.
//
// What it is not: a server in the test's own process (core/xmpptest) or a client.
//
// Goroutines: one for each running server that empties its output; it ends with the process, which ends with the test.
//
//	bin := programtest.Build(t)
//	s := programtest.Place(t, bin, "").Serve(t)
//	s.Kill(t)
package programtest

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// Build builds cmd/viaduct and the plugins into a folder and returns it. VIADUCT_BIN_DIR, if set, names binaries that are there already.
func Build() (dir string, cleanup func(), err error) {
	if dir := os.Getenv("VIADUCT_BIN_DIR"); dir != "" {
		return dir, func() {}, nil
	}
	dir, err = os.MkdirTemp("", "viaduct-bin")
	if err != nil {
		return "", nil, err
	}
	cleanup = func() { _ = os.RemoveAll(dir) }
	cmd := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "github.com/viaduct-xmpp/viaduct/cmd/...")
	if out, err := cmd.CombinedOutput(); err != nil {
		cleanup()
		return "", nil, &buildError{err, string(out)}
	}
	return dir, cleanup, nil
}

type buildError struct {
	err error
	out string
}

func (e *buildError) Error() string { return "build: " + e.err.Error() + "\n" + e.out }

// Site is a folder with a configuration.
type Site struct {
	Bin    string // folder of the binaries
	Dir    string
	Config string
}

// Place makes a folder with a configuration for v.test that listens on ports of the kernel's choice; extra lines are added to it.
func Place(t testing.TB, bin, extra string) *Site {
	t.Helper()
	dir, err := os.MkdirTemp("", "v") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &Site{Bin: bin, Dir: dir, Config: filepath.Join(dir, "viaduct.yaml")}
	text := `domains: [v.test]
data_dir: data
listen: {c2s: ["127.0.0.1:0"], c2s_tls: ["127.0.0.1:0"], s2s: [], s2s_tls: [], http: [], https: [], admin: ["127.0.0.1:0"], component: []}
` + extra
	if err := os.WriteFile(s.Config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// Replace changes a piece of the configuration file.
func (s *Site) Replace(t testing.TB, old, with string) {
	t.Helper()
	b, err := os.ReadFile(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(b), old, with, 1)
	if text == string(b) {
		t.Fatalf("%q is not in %s", old, s.Config)
	}
	if err := os.WriteFile(s.Config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Run runs the command line with the site's configuration.
func (s *Site) Run(t testing.TB, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return Run(t, s.Bin, stdin, append([]string{"--config", s.Config}, args...)...)
}

// Run runs the command line and returns what it wrote and its exit status.
func Run(t testing.TB, bin, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "viaduct"), args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err := cmd.Run()
	if _, ok := err.(*exec.ExitError); err != nil && !ok { //nolint:errorlint // Run returns it as it is
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// Server is a running server.
type Server struct {
	Site    *Site
	Cmd     *exec.Cmd
	Welcome string // what it printed until it was ready
	C2S     string // addresses
	C2STLS  string
	HTTPS   string
	Admin   string
	log     lockedBuffer
	ended   chan struct{}
}

var lines = map[string]*regexp.Regexp{
	"admin": regexp.MustCompile(`health and metrics +(\S+)`),
	"c2s":   regexp.MustCompile(`clients \(STARTTLS\) +(\S+)`),
	"tls":   regexp.MustCompile(`clients \(TLS\) +(\S+)`),
	"https": regexp.MustCompile(`web \(TLS\) +(\S+)`),
}

// Serve starts the server and returns when it is ready. under is a command that runs it, such as strace with its flags.
func (s *Site) Serve(t testing.TB, under ...string) *Server {
	t.Helper()
	argv := append(append([]string{}, under...), filepath.Join(s.Bin, "viaduct"), "--config", s.Config, "serve")
	r := &Server{Site: s, Cmd: exec.CommandContext(context.WithoutCancel(t.Context()), argv[0], argv[1:]...), ended: make(chan struct{})}
	r.Cmd.Stderr = &r.log
	out, err := r.Cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(out)
	for !strings.Contains(r.Welcome, "Stop:") {
		line, err := in.ReadString('\n')
		r.Welcome += line
		if err != nil {
			break
		}
	}
	go func() {
		defer close(r.ended)
		_, _ = io.Copy(io.Discard, in)
		_ = r.Cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = r.Cmd.Process.Kill()
		<-r.ended
	})
	if !strings.Contains(r.Welcome, "Stop:") {
		t.Fatalf("the server did not start: %s%s", r.Welcome, r.Log())
	}
	find := func(key string) string {
		if m := lines[key].FindStringSubmatch(r.Welcome); m != nil {
			return m[1]
		}
		return ""
	}
	r.C2S, r.C2STLS, r.HTTPS, r.Admin = find("c2s"), find("tls"), find("https"), find("admin")
	return r
}

// Log returns what the server has logged.
func (r *Server) Log() string { return r.log.String() }

// Stop sends what Ctrl-C sends and returns the exit status.
func (r *Server) Stop(t testing.TB) int {
	t.Helper()
	if err := r.Cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-r.ended
	return r.Cmd.ProcessState.ExitCode()
}

// Kill ends the server with SIGKILL.
func (r *Server) Kill(t testing.TB) {
	t.Helper()
	if err := r.Cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-r.ended
}

// Run runs the command line beside the server.
func (r *Server) Run(t testing.TB, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return r.Site.Run(t, "", args...)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
