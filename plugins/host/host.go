package host

import (
	"context"
	"fmt"
	"sync"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Host runs the plugins of all bridges.
type Host struct {
	opt    Options
	order  []string
	byName map[string]*supervisor

	mu      sync.Mutex
	cancel  context.CancelFunc // nil before Start
	stopped bool
	work    sync.WaitGroup
}

// New makes a host; nothing is started yet.
func New(o Options) (*Host, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	h := &Host{opt: o, byName: map[string]*supervisor{}}
	for _, spec := range o.Bridges {
		h.order = append(h.order, spec.Name)
		h.byName[spec.Name] = newSupervisor(&h.opt, spec)
	}
	return h, nil
}

// Start begins to start the plugins; it does not wait for them. They run until
// Stop: ctx is only for the start itself.
func (h *Host) Start(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cancel != nil || h.stopped {
		return fmt.Errorf("plugin host: started or stopped already")
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("plugin host: start: %w", err)
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	h.cancel = cancel
	for _, name := range h.order {
		s := h.byName[name]
		h.work.Go(func() { s.run(run) })
	}
	return nil
}

// Stop drains and ends all plugins. When ctx is done first it returns, and they
// are ended by their own deadlines.
func (h *Host) Stop(ctx context.Context) error {
	h.mu.Lock()
	h.stopped = true
	if h.cancel != nil {
		h.cancel()
	}
	h.mu.Unlock()
	done := make(chan struct{})
	go func() {
		h.work.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("plugin host: stop: %w", ctx.Err())
	}
}

func (h *Host) find(bridge string) (*supervisor, error) {
	s := h.byName[bridge]
	if s == nil {
		return nil, fmt.Errorf("there is no bridge %q", bridge)
	}
	return s, nil
}

// Bridge gives the running instance of a bridge, or a *StateError.
func (h *Host) Bridge(name string) (sdk.Remote, error) {
	s, err := h.find(name)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		return nil, &StateError{s.status}
	}
	return s.current, nil
}

// Status is the state of one bridge.
func (h *Host) Status(name string) (Status, error) {
	s, err := h.find(name)
	if err != nil {
		return Status{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status, nil
}

// List is the state of every bridge, in the order of the configuration.
func (h *Host) List() []Status {
	var out []Status
	for _, name := range h.order {
		st, _ := h.Status(name) // it is there
		out = append(out, st)
	}
	return out
}

// Restart drains and ends a plugin and starts it again at once, also one that
// waits or is broken.
func (h *Host) Restart(name string) error {
	return h.tell(name, func(s *supervisor) { s.restart = true })
}

// Change gives a bridge another specification, with which its plugin is started
// again at once. The other bridges are left alone.
func (h *Host) Change(spec Spec) error {
	if err := spec.fill(); err != nil {
		return err
	}
	return h.tell(spec.Name, func(s *supervisor) { s.next, s.restart = &spec, true })
}

// Pause drains and ends a plugin until Resume. What is written to its rooms waits.
func (h *Host) Pause(name string) error {
	return h.tell(name, func(s *supervisor) { s.paused = true })
}

// Resume ends a pause.
func (h *Host) Resume(name string) error {
	return h.tell(name, func(s *supervisor) { s.paused = false })
}

func (h *Host) tell(name string, f func(*supervisor)) error {
	s, err := h.find(name)
	if err != nil {
		return err
	}
	s.order(func() { f(s) })
	return nil
}
