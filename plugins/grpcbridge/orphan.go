package grpcbridge

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc/stats"
)

// parentPoll is how often a plugin looks whether its parent is still the same.
// Usually the broken connection tells it within milliseconds; this is for a host
// that died before it connected, or whose socket somebody else still holds.
const parentPoll = 500 * time.Millisecond

// orphanWatch finds out that the host is gone: its last connection ended, or the
// process has another parent. PR_SET_PDEATHSIG would not do: it follows the
// thread that forked, not the process, and is lost over setuid programs.
type orphanWatch struct {
	parent   int
	getppid  func() int
	tick     <-chan time.Time
	log      *slog.Logger
	once     sync.Once
	orphaned chan struct{}

	mu    sync.Mutex
	conns int
}

func newOrphanWatch(parent int, log *slog.Logger) *orphanWatch {
	return &orphanWatch{
		parent: parent, getppid: os.Getppid, tick: time.Tick(parentPoll), log: log, orphaned: make(chan struct{}),
	}
}

func (w *orphanWatch) run(ctx context.Context) {
	for {
		if w.getppid() != w.parent {
			w.declare("the parent process is gone")
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-w.orphaned:
			return
		case <-w.tick:
		}
	}
}

func (w *orphanWatch) declare(why string) {
	w.once.Do(func() {
		w.log.Info("ending", "reason", why)
		close(w.orphaned)
	})
}

// HandleConn implements stats.Handler.
func (w *orphanWatch) HandleConn(_ context.Context, s stats.ConnStats) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch s.(type) {
	case *stats.ConnBegin:
		w.conns++
	case *stats.ConnEnd:
		w.conns--
		if w.conns <= 0 {
			w.declare("the host's connection ended")
		}
	}
}

// TagConn implements stats.Handler.
func (w *orphanWatch) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// TagRPC implements stats.Handler.
func (w *orphanWatch) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC implements stats.Handler.
func (w *orphanWatch) HandleRPC(context.Context, stats.RPCStats) {}
