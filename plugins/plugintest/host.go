package plugintest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Host is the server of a bridge under test. It is an sdk.Host, and stays the same
// while the bridge is restarted, as the server's store does.
type Host struct {
	// Settle decides about a batch; n counts batches from 0. nil: at once. It must
	// settle the ticket sooner or later; what it settles without an error is durable.
	Settle func(n int, b sdk.Batch, t *sdk.Ticket)
	// Logs is where the bridge logs; nil: nowhere.
	Logs slog.Handler
	// URL is the public one.
	URL string

	mu       sync.Mutex
	batches  int
	raw      []sdk.Event // everything that was delivered, durable or not
	durable  []sdk.Event // once each
	rejected int         // durable ones that had come before
	seen     map[string]bool
	cursors  map[sdk.PortalKey]sdk.Cursor
	signals  []sdk.Signal
	caps     []sdk.CapabilitiesChange
	logins   []sdk.LoginStatus
	state    map[string]sdk.Entry
	files    map[sdk.MediaID]storedFile
	persons  map[string]sdk.Sender
	rooms    map[string]sdk.RoomCard
	changed  chan struct{}
}

type storedFile struct {
	media sdk.Media
	data  []byte
}

var _ sdk.Host = (*Host)(nil)

// NewHost makes an empty one.
func NewHost() *Host {
	return &Host{
		URL: "https://example.org/bridge/test/", seen: map[string]bool{}, cursors: map[sdk.PortalKey]sdk.Cursor{}, state: map[string]sdk.Entry{},
		files: map[sdk.MediaID]storedFile{}, persons: map[string]sdk.Sender{}, rooms: map[string]sdk.RoomCard{}, changed: make(chan struct{}),
	}
}

// notify wakes everybody who waits. The lock is held.
func (h *Host) notify() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// Await waits until ok is true of what has happened so far. It fails the test
// at its deadline.
func (h *Host) Await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	if !h.within(time.Until(deadlineOf(t)), ok) {
		t.Fatalf("never happened: %s; %d events: %s", what, len(h.Events()), h.summary())
	}
}

// within reports whether ok becomes true in some time.
func (h *Host) within(d time.Duration, ok func() bool) bool {
	limit := time.NewTimer(d)
	defer limit.Stop()
	for {
		h.mu.Lock()
		changed := h.changed
		h.mu.Unlock()
		if ok() {
			return true
		}
		select {
		case <-changed:
		case <-limit.C:
			return false
		}
	}
}

func (h *Host) summary() string {
	var b strings.Builder
	events := h.Events()
	for _, e := range events[max(len(events)-12, 0):] {
		fmt.Fprintf(&b, "%T(%s) ", e, e.Head().ID)
	}
	return b.String()
}

// Events are the durable ones, each once, in order.
func (h *Host) Events() []sdk.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.durable)
}

// Delivered counts all events that were handed over, repeated ones as well.
func (h *Host) Delivered() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.raw)
}

// Signals are all that arrived.
func (h *Host) Signals() []sdk.Signal {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.signals)
}

// Capabilities are the changes that were reported.
func (h *Host) Capabilities() []sdk.CapabilitiesChange {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.caps)
}

// Logins are the states that were reported.
func (h *Host) Logins() []sdk.LoginStatus {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.logins)
}

// Resume is what a restarted bridge gets.
func (h *Host) Resume() sdk.Resume {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := sdk.Resume{First: len(h.cursors) == 0}
	for p, c := range h.cursors {
		r.Cursors = append(r.Cursors, sdk.CursorMark{Portal: p, Cursor: c})
	}
	known := map[sdk.PortalKey]bool{}
	for _, e := range h.durable {
		if p := e.Head().Portal; p != (sdk.PortalKey{}) && !known[p] {
			known[p] = true
			r.Portals = append(r.Portals, p)
		}
	}
	return r
}

// AddFile makes a file that operations can carry.
func (h *Host) AddFile(name, contentType string, data []byte) sdk.Media {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.store(sdk.Media{Name: name, Type: contentType}, data)
}

func (h *Host) store(m sdk.Media, data []byte) sdk.Media {
	m.ID = sdk.MediaID(fmt.Sprintf("host-%d", len(h.files)+1))
	m.Lazy, m.Size = false, int64(len(data))
	m.URL = "https://example.org/file/" + string(m.ID)
	h.files[m.ID] = storedFile{m, data}
	return m
}

// AddPerson and AddRoom are what look-ups find; a room that may not be had is not added.
func (h *Host) AddPerson(address string, s sdk.Sender) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.persons[address] = s
}

// AddRoom adds a room for LookupRoom.
func (h *Host) AddRoom(c sdk.RoomCard) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rooms[c.Address] = c
}

// Deliver implements sdk.Host.
func (h *Host) Deliver(ctx context.Context, b sdk.Batch) (sdk.Receipt, error) {
	return sdk.DeliverWait(ctx, h, b)
}

// DeliverAsync implements sdk.Host. The batch becomes durable when its ticket is
// settled without an error, by then in the order of the calls.
func (h *Host) DeliverAsync(_ context.Context, b sdk.Batch) (*sdk.Ticket, error) {
	t := sdk.NewTicket()
	h.mu.Lock()
	n := h.batches
	h.batches++
	h.raw = append(h.raw, b.Events...)
	settle := h.Settle
	h.notify()
	h.mu.Unlock()
	t.Then(func(r sdk.Receipt, err error) {
		if err == nil {
			h.commit(b, r.Problems)
		}
	})
	if settle == nil {
		t.Settle(sdk.Receipt{}, nil)
	} else {
		settle(n, b, t)
	}
	return t, nil
}

// commit keeps a batch as the server would: what it has already or was not
// taken, it drops.
func (h *Host) commit(b sdk.Batch, not []sdk.EventProblem) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, e := range b.Events {
		if slices.ContainsFunc(not, func(p sdk.EventProblem) bool { return p.Index == i }) {
			continue
		}
		head := e.Head()
		key := fmt.Sprintf("%T %v %s %s", e, head.Portal, head.ID, head.Version)
		if h.seen[key] {
			h.rejected++
			continue
		}
		h.seen[key] = true
		h.durable = append(h.durable, e)
	}
	for _, c := range b.Cursors {
		h.cursors[c.Portal] = c.Cursor
	}
	h.notify()
}

// Repeated counts durable deliveries that the server knew already.
func (h *Host) Repeated() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rejected
}

// Cursors are those that are durable.
func (h *Host) Cursors() map[sdk.PortalKey]sdk.Cursor {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.cursors)
}

// Signal implements sdk.Host.
func (h *Host) Signal(s sdk.Signal) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.signals = append(h.signals, s)
	h.notify()
}

// CapabilitiesChanged implements sdk.Host.
func (h *Host) CapabilitiesChanged(_ context.Context, c sdk.CapabilitiesChange) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.caps = append(h.caps, c)
	h.notify()
	return nil
}

// LoginChanged implements sdk.Host.
func (h *Host) LoginChanged(_ context.Context, s sdk.LoginStatus) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.logins = append(h.logins, s)
	h.notify()
	return nil
}

// Upload implements sdk.Host.
func (h *Host) Upload(_ context.Context, info sdk.Media, body io.Reader) (sdk.Media, error) {
	data, err := io.ReadAll(body)
	if err != nil {
		return sdk.Media{}, fmt.Errorf("upload: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.store(info, data), nil
}

// Open implements sdk.Host.
func (h *Host) Open(_ context.Context, r sdk.MediaRequest) (sdk.MediaContent, error) {
	h.mu.Lock()
	f, ok := h.files[r.ID]
	h.mu.Unlock()
	if !ok {
		return sdk.MediaContent{}, sdk.Refuse(sdk.CodeNotFound, "there is no file %q", r.ID)
	}
	data := f.data[min(r.Range.Offset, int64(len(f.data))):]
	if l := r.Range.Length; l > 0 && l < int64(len(data)) {
		data = data[:l]
	}
	rng := r.Range
	if !rng.IsZero() {
		rng.Length = int64(len(data))
	}
	return sdk.MediaContent{Body: io.NopCloser(bytes.NewReader(data)), Type: f.media.Type, Name: f.media.Name, Size: f.media.Size, Range: rng}, nil
}

// LookupPerson implements sdk.Host.
func (h *Host) LookupPerson(_ context.Context, q sdk.PersonQuery) (sdk.Sender, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, ok := h.persons[q.Address]
	if !ok {
		return sdk.Sender{}, sdk.Refuse(sdk.CodeNotFound, "nobody has this address")
	}
	return s, nil
}

// LookupRoom implements sdk.Host.
func (h *Host) LookupRoom(_ context.Context, q sdk.RoomQuery) (sdk.RoomCard, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, ok := h.rooms[q.Address]
	if !ok {
		return sdk.RoomCard{}, sdk.Refuse(sdk.CodeForbidden, "this room stays where it is")
	}
	return c, nil
}

// PublicURL implements sdk.Host.
func (h *Host) PublicURL() string { return h.URL }

// Log implements sdk.Host.
func (h *Host) Log() slog.Handler {
	if h.Logs == nil {
		return slog.DiscardHandler
	}
	return h.Logs
}
