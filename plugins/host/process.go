package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin/runner"

	"github.com/viaduct-xmpp/viaduct/plugins/grpcbridge"
)

// process is a child process as go-plugin sees one (runner.Runner). It differs
// from go-plugin's own: no terminal, a process group, and what it prints goes
// through gates, so that no output can block, fill or confuse the server.
type process struct {
	l       Launch
	stdout  *handshakeGate
	stderr  *lineGate
	started func(pid int) error
	done    chan struct{} // closed when it is gone and its output read

	mu     sync.Mutex
	cmd    *exec.Cmd
	dead   bool // killed before it was started, or gone
	exited error
	failed error // the system would not start it
}

func newProcess(l Launch) *process {
	return &process{l: l, stdout: newHandshakeGate(l.Log), stderr: newLineGate(l.LogLines), done: make(chan struct{})}
}

// runner is go-plugin's RunnerFunc: it takes the environment that go-plugin made.
func (p *process) runner(started func(pid int) error) func(hclog.Logger, *exec.Cmd, string) (runner.Runner, error) {
	return func(_ hclog.Logger, spec *exec.Cmd, _ string) (runner.Runner, error) {
		cmd := exec.Command(p.l.Path)
		cmd.Dir = p.l.WorkDir
		cmd.Env = append(environment(), spec.Env...)
		cmd.Env = append(cmd.Env,
			"GOMEMLIMIT="+strconv.FormatInt(p.l.Memory/4*3, 10),
			grpcbridge.LogLevelEnv+"="+p.l.Level.String(),
		)
		cmd.Stdout, cmd.Stderr = p.stdout, p.stderr
		// A grandchild may hold the pipes when the plugin is gone.
		cmd.WaitDelay = time.Second
		ownGroup(cmd)
		p.cmd, p.started = cmd, started
		return p, nil
	}
}

// Start implements runner.Runner.
func (p *process) Start(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		p.finish(errors.New("killed before it was started"))
		return p.exited
	}
	if err := p.cmd.Start(); err != nil {
		p.dead, p.failed = true, err
		p.finish(err)
		return fmt.Errorf("start: %w", err)
	}
	go func() {
		err := p.cmd.Wait()
		_ = killGroup(p.cmd.Process.Pid) // children that it left
		p.mu.Lock()
		defer p.mu.Unlock()
		p.dead = true
		p.finish(err)
	}()
	if err := p.started(p.cmd.Process.Pid); err != nil {
		_ = killGroup(p.cmd.Process.Pid)
		return err
	}
	return nil
}

// finish is called once, with the lock held.
func (p *process) finish(err error) {
	p.exited = err
	p.stdout.close()
	p.stderr.close()
	close(p.done)
}

// Wait implements runner.Runner.
func (p *process) Wait(context.Context) error {
	<-p.done
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exited
}

// Kill implements runner.Runner.
func (p *process) Kill(context.Context) error {
	p.kill()
	return nil
}

func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return
	}
	if p.cmd == nil || p.cmd.Process == nil {
		p.dead = true // Start will not
		return
	}
	_ = killGroup(p.cmd.Process.Pid) // it may have just ended
}

func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil || p.cmd.Process == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// exitText says how it ended: "exit status 3", "signal: killed".
func (p *process) exitText() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exited == nil {
		return "exit status 0"
	}
	return p.exited.Error()
}

// startError is why the system would not start it, nil if it did.
func (p *process) startError() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed
}

// ID implements runner.Runner. go-plugin takes "" for not started.
func (p *process) ID() string {
	if pid := p.pid(); pid > 0 {
		return strconv.Itoa(pid)
	}
	return ""
}

// Stdout implements runner.Runner, and so do the following.
func (p *process) Stdout() io.ReadCloser           { return p.stdout.read }
func (p *process) Stderr() io.ReadCloser           { return p.stderr.read }
func (p *process) Name() string                    { return p.l.Path }
func (p *process) Diagnose(context.Context) string { return "" }

func (p *process) PluginToHost(network, addr string) (string, string, error) {
	return network, addr, nil
}

func (p *process) HostToPlugin(network, addr string) (string, string, error) {
	return network, addr, nil
}
