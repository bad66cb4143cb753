package matrix

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// maxTransaction bounds a transaction's body: far above what a homeserver sends
// (100 events of 64 KiB), far below what hurts.
const maxTransaction = 64 << 20

// handling is the longest a transaction is worked on; it goes on although the
// homeserver gave up waiting, so that a big one does not begin anew for ever.
const handling = 5 * time.Minute

// pushServer takes what the homeserver pushes.
//
// Transactions are handled one at a time, in the order in which they got the
// turn; waiting ones are bounded by the homeserver, which sends one at a time,
// and give up with their request.
type pushServer struct {
	c    *Connector
	mux  *http.ServeMux
	http *http.Server
	turn chan struct{}

	mu     sync.Mutex
	closed bool
	done   []receipt // the last transactions that were acknowledged
	count  counter
	idle   chan struct{} // closed when nothing is under way after closed
	busy   int
}

// rememberedTxns is only a short cut: the host recognises events.
const rememberedTxns = 64

// receipt is what a transaction is known by when it is sent again: its content as
// much as its name.
//
// COMPAT(Synapse 1.160 on SQLite): it counts transactions from the highest that still
// waits when it starts, so that after a restart names come again with other events.
type receipt [sha256.Size]byte

func receiptOf(txn string, body []byte) receipt {
	return sha256.Sum256(slices.Concat([]byte(txn), []byte{0}, body))
}

func newPushServer(c *Connector) *pushServer {
	s := &pushServer{c: c, mux: http.NewServeMux(), turn: make(chan struct{}, 1), idle: make(chan struct{})}
	// Application Service API, "Legacy routes": servers before v1.1 of the
	// specification know the paths without a version only.
	for _, prefix := range []string{"/_matrix/app/v1", ""} {
		s.mux.HandleFunc("PUT "+prefix+"/transactions/{txn}", s.authorised(s.transaction))
		s.mux.HandleFunc("GET "+prefix+"/users/{user}", s.authorised(s.queryUser))
		s.mux.HandleFunc("GET "+prefix+"/rooms/{alias}", s.authorised(s.queryRoom))
	}
	s.mux.HandleFunc("POST /_matrix/app/v1/ping", s.authorised(s.ping))
	s.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, http.StatusNotFound, "M_UNRECOGNIZED", "no such endpoint")
	})
	return s
}

// serve listens until ctx is done.
func (s *pushServer) serve(ctx context.Context, l net.Listener, work *sync.WaitGroup) {
	s.http = &http.Server{Handler: s.mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 2 * time.Minute, IdleTimeout: 5 * time.Minute}
	work.Add(2)
	go func() {
		defer work.Done()
		if err := s.http.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.c.log.Error("listener for the homeserver ended", "error", err)
		}
	}()
	go func() {
		defer work.Done()
		<-ctx.Done()
		s.refuse()
		_ = s.http.Close()
	}()
}

// refuse answers 503 from now on.
func (s *pushServer) refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		if s.busy == 0 {
			close(s.idle)
		}
	}
}

// shut refuses new transactions and waits for those under way.
func (s *pushServer) shut(ctx context.Context) error {
	s.refuse()
	select {
	case <-s.idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *pushServer) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.busy++
	return true
}

func (s *pushServer) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy--
	if s.closed && s.busy == 0 {
		close(s.idle)
	}
}

// authorised lets only the homeserver in. Application Service API, "Homeserver ->
// Application Service API": bearer token; servers before v1.4 send a parameter.
func (s *pushServer) authorised(next http.HandlerFunc) http.HandlerFunc {
	want := sha256.Sum256([]byte(s.c.reg.ServerToken))
	return func(w http.ResponseWriter, r *http.Request) {
		given, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !bearer {
			given = r.URL.Query().Get("access_token")
		}
		if given == "" {
			writeError(w, http.StatusUnauthorized, "M_MISSING_TOKEN", "a token is needed")
			return
		}
		got := sha256.Sum256([]byte(given))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			writeError(w, http.StatusForbidden, "M_FORBIDDEN", "this is not the hs_token of the registration")
			return
		}
		if !s.begin() {
			writeError(w, http.StatusServiceUnavailable, "M_UNKNOWN", "shutting down")
			return
		}
		defer s.end()
		next(w, r)
	}
}

// pushed is a transaction. Events are parsed one by one, so that a broken one
// spoils nothing else.
type pushed struct {
	Events       []json.RawMessage `json:"events"`
	Ephemeral    []json.RawMessage `json:"ephemeral"`
	OldEphemeral []json.RawMessage `json:"de.sorunome.msc2409.ephemeral"`
}

func (s *pushServer) transaction(w http.ResponseWriter, r *http.Request) {
	txn := r.PathValue("txn")
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxTransaction))
	if err != nil {
		writeError(w, http.StatusBadRequest, "M_NOT_JSON", "the body cannot be read")
		return
	}
	var p pushed
	if err := json.Unmarshal(raw, &p); err != nil {
		writeError(w, http.StatusBadRequest, "M_BAD_JSON", "the body is no transaction")
		return
	}
	select {
	case s.turn <- struct{}{}:
	case <-r.Context().Done():
		writeError(w, http.StatusServiceUnavailable, "M_UNKNOWN", "busy")
		return
	}
	defer func() { <-s.turn }()
	got := receiptOf(txn, raw)
	if s.acknowledged(got) {
		writeJSON(w, http.StatusOK, struct{}{})
		return
	}
	if s.skipped(txn) {
		s.c.rooms.suspectAll()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), handling)
	defer cancel()
	if err := s.c.take(ctx, p); err != nil {
		s.c.log.Warn("transaction not taken, the homeserver will send it again", "txn", txn, "events", len(p.Events), "error", err)
		writeError(w, http.StatusServiceUnavailable, "M_UNKNOWN", "not taken; try again")
		return
	}
	s.remember(got)
	s.c.heard(true)
	writeJSON(w, http.StatusOK, struct{}{})
}

func (s *pushServer) acknowledged(r receipt) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.done, r)
}

func (s *pushServer) remember(r receipt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = append(s.done, r)
	if len(s.done) > rememberedTxns {
		s.done = s.done[1:]
	}
}

// take hands a transaction to the host. It returns nil when every event of it is
// durable there.
func (c *Connector) take(ctx context.Context, p pushed) error {
	if _, err := c.me(); err != nil {
		return err
	}
	events := c.parse(p.Events)
	names := map[id.RoomID]bool{}
	for _, ev := range events {
		names[ev.RoomID] = true
	}
	rooms, err := c.takeLanes(ctx, names)
	defer releaseAll(rooms)
	if err != nil {
		return err
	}
	for _, r := range rooms {
		// The first push after a start: what was missed comes before it.
		if err := c.fillFirst(ctx, r); err != nil {
			return err
		}
	}
	if err := c.deliver(ctx, events, false); err != nil {
		return err
	}
	for _, r := range rooms {
		r.stir()
	}
	for _, ev := range events {
		c.welcome(ev)
		c.follow(ev)
	}
	for _, ev := range c.parse(append(p.Ephemeral, p.OldEphemeral...)) {
		if isEphemeral(ev.Type.Type) {
			c.ephemeralEvent(ctx, ev)
		}
	}
	return nil
}

func (c *Connector) parse(raw []json.RawMessage) []*event.Event {
	out := make([]*event.Event, 0, len(raw))
	for _, r := range raw {
		ev := &event.Event{}
		if err := json.Unmarshal(r, ev); err != nil {
			c.log.Warn("event cannot be read", "error", err)
			continue
		}
		out = append(out, ev)
	}
	return out
}

// takeLanes takes the lanes of rooms in the order of their names, so that two
// never wait for each other.
func (c *Connector) takeLanes(ctx context.Context, names map[id.RoomID]bool) ([]*room, error) {
	sorted := make([]id.RoomID, 0, len(names))
	for name := range names {
		if name != "" {
			sorted = append(sorted, name)
		}
	}
	slices.Sort(sorted)
	var out []*room
	for _, name := range sorted {
		r := c.rooms.get(name)
		if err := r.take(ctx); err != nil {
			return out, err
		}
		out = append(out, r)
	}
	return out, nil
}

func releaseAll(rooms []*room) {
	for _, r := range rooms {
		r.release()
	}
}

// deliver hands events over in order and waits until all are durable; the lanes of
// their rooms are held. late marks what comes from the past. The rooms' cursors go
// with the last batch, so that they are durable only if everything is.
func (c *Connector) deliver(ctx context.Context, events []*event.Event, late bool) error {
	fresh := slices.DeleteFunc(slices.Clone(events), func(ev *event.Event) bool { return c.rooms.get(ev.RoomID).known.has(ev.ID) })
	if len(fresh) == 0 {
		return nil
	}
	names := map[*room][]uint64{}
	for _, ev := range fresh {
		r := c.rooms.get(ev.RoomID)
		names[r] = append(names[r], brief(ev.ID))
	}
	var marks []sdk.CursorMark
	for r, more := range names {
		if r.portal && r.verified != "" {
			marks = append(marks, r.cursor(more))
		}
	}
	if err := c.deliverBatches(ctx, c.batches(ctx, fresh, marks, late)); err != nil {
		return err
	}
	for _, ev := range fresh {
		c.meetMark(ev)
	}
	for r, more := range names {
		for _, h := range more {
			r.known.add(h)
		}
		r.since = append(r.since, more...)
		r.since = slices.Clone(r.since[max(0, len(r.since)-sinceEvents):])
	}
	return nil
}

// batches translates events and packs them.
func (c *Connector) batches(ctx context.Context, events []*event.Event, marks []sdk.CursorMark, late bool) []sdk.Batch {
	var out []sdk.Batch
	var batch sdk.Batch
	size := 0
	for _, ev := range events {
		for _, e := range c.translate(ctx, ev) {
			e.Head().History = late
			if len(batch.Events) >= sdk.MaxBatch || size > maxBatchBytes {
				out = append(out, batch)
				batch, size = sdk.Batch{}, 0
			}
			batch.Events = append(batch.Events, e)
			size += len(ev.Content.VeryRaw) + 512
		}
	}
	batch.Cursors = marks
	if len(batch.Events)+len(batch.Cursors) > 0 {
		out = append(out, batch)
	}
	return out
}

func (c *Connector) deliverBatches(ctx context.Context, batches []sdk.Batch) error {
	tickets := make([]*sdk.Ticket, 0, len(batches))
	for _, b := range batches {
		t, err := c.host.DeliverAsync(ctx, b)
		if err != nil {
			return err
		}
		tickets = append(tickets, t)
	}
	for _, t := range tickets {
		receipt, err := t.Wait(ctx)
		if err != nil {
			return err
		}
		for _, p := range receipt.Problems {
			c.log.Warn("event not taken by the host", "outcome", int(p.Outcome), "text", p.Text)
		}
	}
	return nil
}

// maxBatchBytes keeps a batch below what a frame of the plugin protocol takes.
const maxBatchBytes = 512 << 10

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func writeError(w http.ResponseWriter, status int, code, text string) {
	writeJSON(w, status, map[string]string{"errcode": code, "error": text})
}
