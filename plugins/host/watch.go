package host

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// watch looks after a running instance until it has to end: by order (asked), or
// because of the error.
func (s *supervisor) watch(ctx context.Context, i Instance, hung <-chan string) (asked bool, err error) {
	health := time.NewTicker(s.o.Tune.HealthEvery)
	defer health.Stop()
	memory := time.NewTicker(s.o.Tune.MemoryEvery)
	defer memory.Stop()
	p := pinger{results: make(chan error, 1)}
	warned := false
	for {
		select {
		case <-ctx.Done():
			return true, nil
		case <-s.wake:
			if pause, restart := s.ordered(); pause || restart {
				return true, nil
			}
		case <-i.Exited():
			return false, fmt.Errorf("%w (%s)", errExited, i.ExitText())
		case <-i.Remote().Done():
			return false, s.lost(i, i.Remote().Err())
		case what := <-hung:
			return false, fmt.Errorf("%w: %s", errHung, what)
		case <-health.C:
			p.ask(ctx, i, s.o.Tune.HealthTimeout)
		case err := <-p.results:
			if p.missed(err) >= s.o.Tune.HealthMisses {
				return false, fmt.Errorf("%w: %d health checks without an answer", errHung, p.misses)
			}
		case <-memory.C:
			if err := s.weigh(i, &warned); err != nil {
				return false, err
			}
		}
	}
}

// lost: the session broke; usually because the process is just ending.
func (s *supervisor) lost(i Instance, err error) error {
	wait := time.NewTimer(s.o.Tune.StopTimeout)
	defer wait.Stop()
	select {
	case <-i.Exited():
		return fmt.Errorf("%w (%s)", errExited, i.ExitText())
	case <-wait.C:
		return fmt.Errorf("%w: %w", errLost, err)
	}
}

// weigh compares the memory with the limit: a warning at 80 %, the end above it.
func (s *supervisor) weigh(i Instance, warned *bool) error {
	size, err := i.Memory()
	if err != nil {
		return nil // gone, or not known on this system
	}
	s.mu.Lock()
	s.status.Memory = size
	s.mu.Unlock()
	switch limit := s.spec.Memory; {
	case size > limit:
		return fmt.Errorf("%w: %d MiB of %d", errMemory, size>>20, limit>>20)
	case size > limit/5*4 && !*warned:
		*warned = true
		s.log.Warn("plugin comes close to its memory limit", "bytes", size, "limit", limit)
	case size < limit/5*3:
		*warned = false
	}
	return nil
}

// pinger has at most one health check under way.
type pinger struct {
	busy    bool
	misses  int
	results chan error
}

func (p *pinger) ask(ctx context.Context, i Instance, timeout time.Duration) {
	if p.busy {
		return
	}
	p.busy = true
	go func() {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		p.results <- i.Ping(ctx) // has room for it
	}()
}

// missed counts checks without an answer, in a row.
func (p *pinger) missed(err error) int {
	p.busy = false
	if err == nil || errors.Is(err, context.Canceled) {
		p.misses = 0
	} else {
		p.misses++
	}
	return p.misses
}
