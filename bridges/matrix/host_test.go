package matrix

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// recordingHost is a host that keeps everything in memory: it recognises
// duplicates, hands cursors back and can be told to fail.
type recordingHost struct {
	t *testing.T

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every change
	events  []sdk.Event
	seen    map[string]bool
	repeats int
	cursors map[sdk.PortalKey]sdk.Cursor
	state   map[string]sdk.Entry
	signals []sdk.Signal
	files   map[sdk.MediaID][]byte
	people  map[string]sdk.Sender
	rooms   map[string]sdk.RoomCard
	status  []sdk.LoginStatus
	refuse  error         // what Deliver answers
	reject  string        // why rooms that are opened are not taken
	hold    chan struct{} // Deliver waits for it
}

func newRecordingHost(t *testing.T) *recordingHost {
	return &recordingHost{
		t: t, changed: make(chan struct{}), seen: map[string]bool{}, cursors: map[sdk.PortalKey]sdk.Cursor{},
		state: map[string]sdk.Entry{}, files: map[sdk.MediaID][]byte{}, people: map[string]sdk.Sender{}, rooms: map[string]sdk.RoomCard{},
	}
}

// touch wakes those who wait; h.mu is held.
func (h *recordingHost) touch() {
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *recordingHost) Deliver(ctx context.Context, b sdk.Batch) (sdk.Receipt, error) {
	return sdk.DeliverWait(ctx, h, b)
}

func (h *recordingHost) DeliverAsync(ctx context.Context, b sdk.Batch) (*sdk.Ticket, error) {
	h.mu.Lock()
	hold := h.hold
	h.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.touch()
	t := sdk.NewTicket()
	if h.refuse != nil {
		t.Settle(sdk.Receipt{}, h.refuse)
		return t, nil
	}
	if len(b.Events) > sdk.MaxBatch {
		h.t.Errorf("a batch of %d events", len(b.Events))
	}
	var problems []sdk.EventProblem
	for i, ev := range b.Events {
		if _, opens := ev.(*sdk.PortalOpened); opens && h.reject != "" {
			problems = append(problems, sdk.EventProblem{Index: i, Outcome: sdk.OutcomeRejected, Text: h.reject})
			continue
		}
		head := ev.Head()
		key := strings.Join([]string{string(head.Portal.Login), string(head.Portal.Room), string(head.ID), head.Version}, "\x00")
		if h.seen[key] {
			h.repeats++
			continue
		}
		h.seen[key] = true
		h.events = append(h.events, ev)
	}
	for _, m := range b.Cursors {
		h.cursors[m.Portal] = m.Cursor
	}
	t.Settle(sdk.Receipt{Problems: problems}, nil)
	return t, nil
}

func (h *recordingHost) Signal(s sdk.Signal) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.signals = append(h.signals, s)
	h.touch()
}

func (h *recordingHost) State() sdk.State { return (*recordingState)(h) }

func (h *recordingHost) CapabilitiesChanged(context.Context, sdk.CapabilitiesChange) error {
	return nil
}

func (h *recordingHost) LoginChanged(_ context.Context, s sdk.LoginStatus) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status = append(h.status, s)
	h.touch()
	return nil
}

func (h *recordingHost) Upload(context.Context, sdk.Media, io.Reader) (sdk.Media, error) {
	return sdk.Media{}, errors.New("nothing is uploaded here")
}

func (h *recordingHost) Open(_ context.Context, req sdk.MediaRequest) (sdk.MediaContent, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	raw, ok := h.files[req.ID]
	if !ok {
		return sdk.MediaContent{}, sdk.Refuse(sdk.CodeNotFound, "no such file")
	}
	return sdk.MediaContent{Body: io.NopCloser(bytes.NewReader(raw)), Size: int64(len(raw)), Type: "image/png"}, nil
}

func (h *recordingHost) LookupPerson(_ context.Context, q sdk.PersonQuery) (sdk.Sender, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s, ok := h.people[q.Address]; ok {
		return s, nil
	}
	return sdk.Sender{}, sdk.Refuse(sdk.CodeNotFound, "nobody of that name")
}

func (h *recordingHost) LookupRoom(_ context.Context, q sdk.RoomQuery) (sdk.RoomCard, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r, ok := h.rooms[q.Address]; ok {
		return r, nil
	}
	return sdk.RoomCard{}, sdk.Refuse(sdk.CodeNotFound, "no room of that name")
}

func (h *recordingHost) PublicURL() string { return "" }

func (h *recordingHost) Log() slog.Handler {
	return slog.NewTextHandler(testWriter{h.t}, &slog.HandlerOptions{Level: slog.LevelInfo})
}

// testWriter logs into the test while it runs.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	if w.t.Context().Err() == nil {
		w.t.Log(strings.TrimSpace(string(p)))
	}
	return len(p), nil
}

// recordingState is the host as sdk.State.
type recordingState recordingHost

func (s *recordingState) Get(_ context.Context, key string) (sdk.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.state[key]; ok {
		return e, nil
	}
	return sdk.Entry{}, sdk.ErrNotFound
}

func (s *recordingState) Put(_ context.Context, key string, value []byte, expect sdk.Revision) (sdk.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.state[key]
	if expect != sdk.AnyRevision && expect != now.Revision {
		return 0, sdk.ErrConflict
	}
	s.state[key] = sdk.Entry{Key: key, Value: slices.Clone(value), Revision: now.Revision + 1}
	return now.Revision + 1, nil
}

func (s *recordingState) Delete(_ context.Context, key string, _ sdk.Revision) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.state[key]; !ok {
		return sdk.ErrNotFound
	}
	delete(s.state, key)
	return nil
}

func (s *recordingState) List(_ context.Context, prefix, after string, limit int) ([]sdk.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []sdk.Entry
	for key, e := range s.state {
		if strings.HasPrefix(key, prefix) && key > after {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b sdk.Entry) int { return strings.Compare(a.Key, b.Key) })
	return out[:min(len(out), limit)], nil
}

// patience is how long a test waits for what must come; it is no assertion.
const patience = 30 * time.Second

// until waits until ok says so; ok is called with h.mu held.
func (h *recordingHost) until(what string, ok func() bool) {
	h.t.Helper()
	timeout := time.After(patience)
	for {
		h.mu.Lock()
		if ok() {
			h.mu.Unlock()
			return
		}
		changed := h.changed
		h.mu.Unlock()
		select {
		case <-changed:
		case <-timeout:
			h.mu.Lock()
			defer h.mu.Unlock()
			for _, ev := range h.events {
				h.t.Logf("%T %+v", ev, ev)
			}
			h.t.Fatalf("%s did not come", what)
		}
	}
}

// eventOf waits for an event of a type that fits.
func eventOf[E sdk.Event](h *recordingHost, what string, fits func(E) bool) E {
	h.t.Helper()
	var found E
	h.until(what, func() bool {
		for _, ev := range h.events {
			if e, ok := ev.(E); ok && fits(e) {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

// signal waits for a signal of a type that fits.
func signal[S sdk.Signal](h *recordingHost, what string, fits func(S) bool) S {
	h.t.Helper()
	var found S
	h.until(what, func() bool {
		for _, s := range h.signals {
			if e, ok := s.(S); ok && fits(e) {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

// resume is what a host hands back at the next start.
func (h *recordingHost) resume() sdk.Resume {
	h.mu.Lock()
	defer h.mu.Unlock()
	var r sdk.Resume
	for portal, cursor := range h.cursors {
		r.Cursors = append(r.Cursors, sdk.CursorMark{Portal: portal, Cursor: cursor})
		r.Portals = append(r.Portals, portal)
	}
	return r
}

// texts lists the plain texts of messages that are not our own, in order.
func (h *recordingHost) texts(room string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for _, ev := range h.events {
		if m, ok := ev.(*sdk.Message); ok && !m.Own && string(m.Portal.Room) == room {
			out = append(out, m.Content.Body.Plain())
		}
	}
	return out
}
