package slacktest

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/coder/websocket"
)

// socket is one Socket Mode connection.
type socket struct {
	conn    *websocket.Conn
	out     chan []byte
	cancel  context.CancelFunc
	leaving bool // told to disconnect: takes no more events
}

// kill ends the connection without a word.
func (k *socket) kill() { k.cancel() }

// envelope is an event under way.
type envelope struct {
	id, event string
	attempt   int
	payload   json.RawMessage
	timer     *time.Timer
}

func (e *envelope) stop() {
	if e.timer != nil {
		e.timer.Stop()
	}
}

// serveSocket takes a connection that apps.connections.open has given a ticket for.
func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request) {
	ticket := r.URL.Query().Get("ticket")
	s.mu.Lock()
	ok := s.tickets[ticket]
	delete(s.tickets, ticket) // each is good for one connection
	s.mu.Unlock()
	if !ok {
		http.Error(w, "no such ticket", http.StatusNotFound)
		return
	}
	if s.fault(w, r, "link", nil) {
		return
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	k := &socket{conn: conn, out: make(chan []byte, 10_000), cancel: cancel}
	s.mu.Lock()
	select {
	case <-s.done:
		s.mu.Unlock()
		cancel()
		_ = conn.CloseNow()
		return
	default:
	}
	s.work.Add(1)
	defer s.work.Done()
	s.sockets = append(s.sockets, k)
	s.opened++
	s.most = max(s.most, len(s.sockets))
	k.send(map[string]any{
		"type": "hello", "num_connections": len(s.sockets), "connection_info": map[string]any{"app_id": AppID},
		"debug_info": map[string]any{"host": "applink-1", "build_number": 1, "approximate_connection_time": 18060},
	})
	s.touch()
	s.mu.Unlock()
	go k.write(ctx)
	s.read(ctx, k)
	cancel()
	_ = conn.CloseNow()
	s.gone(k)
}

func (k *socket) send(v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	select {
	case k.out <- raw:
	default:
		k.cancel() // a reader that slow is dead
	}
}

func (k *socket) write(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case b := <-k.out:
			if len(b) == 0 {
				_ = k.conn.Close(websocket.StatusNormalClosure, "")
				return
			}
			if k.conn.Write(ctx, websocket.MessageText, b) != nil {
				return
			}
		}
	}
}

func (s *Server) read(ctx context.Context, k *socket) {
	for {
		_, raw, err := k.conn.Read(ctx)
		if err != nil {
			return
		}
		var ack struct {
			EnvelopeID string `json:"envelope_id"`
		}
		if json.Unmarshal(raw, &ack) == nil && ack.EnvelopeID != "" {
			s.acknowledged(ack.EnvelopeID)
		}
	}
}

func (s *Server) acknowledged(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.pending[id]
	if s.deaf || e == nil {
		return
	}
	e.stop()
	delete(s.pending, id)
	s.acks = append(s.acks, Ack{id, e.event, e.attempt})
	s.touch()
}

// gone forgets a connection.
func (s *Server) gone(k *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sockets = slices.DeleteFunc(s.sockets, func(o *socket) bool { return o == k })
	s.touch()
}

// event delivers an event of the Events API; s.mu is held.
func (s *Server) event(ev map[string]any) {
	if ev["event_ts"] == nil {
		ev["event_ts"] = s.ts()
	}
	id := s.id("Ev")
	raw, err := json.Marshal(map[string]any{
		"token": "verification", "team_id": TeamID, "api_app_id": AppID, "type": "event_callback", "event_id": id, "event_time": s.opt.Now().Unix(), "event": ev,
		"authorizations": []any{map[string]any{"team_id": TeamID, "user_id": BotUser, "is_bot": true}},
	})
	if err != nil {
		panic(err)
	}
	e := &envelope{id: id + "-envelope", event: id, payload: raw}
	if s.hold {
		s.held = append(s.held, e)
		return
	}
	s.dispatch(e, "")
}

// dispatch sends an envelope to one of the connections, in turns; without a
// connection it is lost. s.mu is held.
func (s *Server) dispatch(e *envelope, reason string) {
	var open []*socket
	for _, k := range s.sockets {
		if !k.leaving {
			open = append(open, k)
		}
	}
	if len(open) == 0 {
		delete(s.pending, e.id)
		return
	}
	s.pending[e.id] = e
	s.turn++
	k := open[s.turn%len(open)]
	frame := map[string]any{
		"envelope_id": e.id, "type": "events_api", "accepts_response_payload": false, "payload": e.payload, "retry_attempt": e.attempt, "retry_reason": reason,
	}
	if s.lose > 0 {
		s.lose--
	} else {
		k.send(frame)
		if s.repeat > 0 {
			s.repeat--
			k.send(frame)
		}
	}
	e.timer = time.AfterFunc(s.opt.AckTimeout, func() { s.unheard(e) })
}

// unheard sends an envelope again that was not acknowledged in time.
func (s *Server) unheard(e *envelope) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending[e.id] != e {
		return
	}
	select {
	case <-s.done:
		return
	default:
	}
	if e.attempt >= maxResend {
		delete(s.pending, e.id)
		return
	}
	e.attempt++
	s.dispatch(e, "timeout")
}

// Hold keeps events back until Release.
func (s *Server) Hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold = true
}

// Release sends what was held, in the order that the test wants: nil is as they came.
func (s *Server) Release(reverse bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold = false
	held := s.held
	s.held = nil
	if reverse {
		slices.Reverse(held)
	}
	for _, e := range held {
		s.dispatch(e, "")
	}
}

// Lose loses the next envelopes on their way; Repeat sends the next ones twice; Deaf
// hears no acknowledgement until it is called with false.
func (s *Server) Lose(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lose = n
}

// Repeat sends the next envelopes twice.
func (s *Server) Repeat(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repeat = n
}

// Deaf hears no acknowledgement, until it is called with false.
func (s *Server) Deaf(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deaf = yes
}

// Drop cuts all connections.
func (s *Server) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.sockets {
		k.kill()
	}
}

// Disconnect tells the connections to go ("warning", "refresh_requested",
// "link_disabled"). After a warning they still get events and stay open; otherwise they
// get no more, and are closed by CloseOld or by the client.
func (s *Server) Disconnect(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.sockets {
		k.send(map[string]any{"type": "disconnect", "reason": reason, "debug_info": map[string]any{"host": "applink-1"}})
		if reason != "warning" {
			k.leaving = true
		}
	}
}

// CloseOld closes the connections that were told to go.
func (s *Server) CloseOld() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.sockets {
		if k.leaving {
			select {
			case k.out <- nil:
			default:
				k.kill()
			}
		}
	}
}

// Event sends any event, for tests of what a bridge does not expect.
func (s *Server) Event(ev map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.event(ev)
}

// Raw sends a frame as it is to every connection.
func (s *Server) Raw(frame string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.sockets {
		select {
		case k.out <- []byte(frame):
		default:
		}
	}
}
