package plugintest

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// State implements sdk.Host.
func (h *Host) State() sdk.State { return state{h} }

type state struct{ h *Host }

func (s state) Get(_ context.Context, key string) (sdk.Entry, error) {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	e, ok := s.h.state[key]
	if !ok {
		return sdk.Entry{}, sdk.ErrNotFound
	}
	return e, nil
}

func (s state) Put(_ context.Context, key string, value []byte, expect sdk.Revision) (sdk.Revision, error) {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	old := s.h.state[key]
	if expect != sdk.AnyRevision && old.Revision != expect {
		return 0, sdk.ErrConflict
	}
	s.h.state[key] = sdk.Entry{Key: key, Value: bytes.Clone(value), Revision: old.Revision + 1}
	return old.Revision + 1, nil
}

func (s state) Delete(_ context.Context, key string, expect sdk.Revision) error {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	if expect != sdk.AnyRevision && s.h.state[key].Revision != expect {
		return sdk.ErrConflict
	}
	delete(s.h.state, key)
	return nil
}

func (s state) List(_ context.Context, prefix, after string, limit int) ([]sdk.Entry, error) {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	var out []sdk.Entry
	for k, e := range s.h.state {
		if strings.HasPrefix(k, prefix) && k > after {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b sdk.Entry) int { return strings.Compare(a.Key, b.Key) })
	return out[:min(len(out), limit)], nil
}

// waitLimit is when a wait is given up: no test takes so long unless it is stuck.
// Whoever expects it to be stuck sets VIADUCT_TEST_WAIT.
func waitLimit() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("VIADUCT_TEST_WAIT")); err == nil {
		return d
	}
	return time.Minute
}

// deadlineOf is when a test has to give up waiting: a little before the whole run
// would be killed, so that it can say what it waited for.
func deadlineOf(t testing.TB) time.Time {
	limit := time.Now().Add(waitLimit())
	if d, ok := t.(interface{ Deadline() (time.Time, bool) }); ok {
		if at, has := d.Deadline(); has && at.Add(-time.Second).Before(limit) {
			return at.Add(-time.Second)
		}
	}
	return limit
}
