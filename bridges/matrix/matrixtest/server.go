package matrixtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options are a server's; ServerName is "hs.test" unless it is set.
type Options struct {
	ServerName string
	ASToken    string // of the application service
	HSToken    string
	Bot        string             // its bot's localpart ("xmppbridge")
	NoPing     bool               // as Dendrite: pushes nothing ephemeral, knows no ping
	Ping       func() (int, bool) // what a ping comes to; nil: it succeeds
}

// Event is an event as it travels.
type Event = map[string]any

// Server is the homeserver.
type Server struct {
	URL string
	opt Options
	web *httptest.Server

	mu       sync.Mutex
	changed  chan struct{}
	users    map[string]*user
	rooms    map[string]*room
	aliases  map[string]string
	media    map[string][]byte
	txns     map[string]string // user, room and transaction id -> event id
	unpushed []Event
	hidden   map[string]bool // event ids that /messages does not show
	faults   []*Fault
	requests []string
	next     int
	closing  chan struct{}
}

type user struct {
	name, avatar     string
	presence, status string
}

type room struct {
	id     string
	events []Event
	state  map[string]Event // type, key
	typing map[string]bool
	reads  map[string]string
}

// Fault answers requests in the homeserver's place.
type Fault struct {
	Method string // "" is any
	Path   string // a part of it
	Times  int    // how often; negative: always
	// Handle answers; if it returns false the request goes on to the server.
	Handle func(w http.ResponseWriter, r *http.Request) bool
	// After answers in place of a server that has done what was asked: the answer was lost.
	After func(w http.ResponseWriter)
}

// New starts a homeserver.
func New(opt Options) *Server {
	if opt.ServerName == "" {
		opt.ServerName = "hs.test"
	}
	if opt.Bot == "" {
		opt.Bot = "xmppbridge"
	}
	s := &Server{
		opt: opt, changed: make(chan struct{}), users: map[string]*user{}, rooms: map[string]*room{}, aliases: map[string]string{},
		media: map[string][]byte{}, txns: map[string]string{}, hidden: map[string]bool{}, closing: make(chan struct{}),
	}
	s.users[s.BotID()] = &user{}
	s.web = httptest.NewServer(http.HandlerFunc(s.serve))
	s.URL = s.web.URL
	return s
}

// Close ends the server.
func (s *Server) Close() {
	close(s.closing)
	s.web.CloseClientConnections()
	s.web.Close()
}

// BotID is the bot's user id.
func (s *Server) BotID() string { return "@" + s.opt.Bot + ":" + s.opt.ServerName }

// Fail adds a fault.
func (s *Server) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Heal removes all faults.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Forget loses the transaction ids, as a homeserver does that is killed.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.txns)
}

// Hide hides the newest event of a room from /messages until Show is called, as a
// homeserver does whose parts lag behind each other. It returns its id.
func (s *Server) Hide(room string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	events := s.rooms[room].events
	name := events[len(events)-1]["event_id"].(string)
	s.hidden[name] = true
	return name
}

// Show shows what was hidden.
func (s *Server) Show() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.hidden)
}

// Requests lists "METHOD path" of all requests so far.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// touch wakes those who wait; s.mu is held.
func (s *Server) touch() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Changed is closed at the next change.
func (s *Server) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// CreateRoom makes a public room with one member, a name and usual power levels.
func (s *Server) CreateRoom(creator, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.createRoom(creator, name, "public")
}

func (s *Server) createRoom(creator, name, rule string) string {
	s.next++
	id := fmt.Sprintf("!Room%d:%s", s.next, s.opt.ServerName)
	s.rooms[id] = &room{id: id, state: map[string]Event{}, typing: map[string]bool{}, reads: map[string]string{}}
	if s.users[creator] == nil {
		s.users[creator] = &user{name: strings.Trim(strings.SplitN(creator, ":", 2)[0], "@")}
	}
	s.setState(id, creator, "m.room.create", "", Event{"room_version": "11"})
	s.setMember(id, creator, creator, "join", "")
	s.setState(id, creator, "m.room.power_levels", "", Event{"users": Event{creator: 100}})
	s.setState(id, creator, "m.room.join_rules", "", Event{"join_rule": rule})
	s.setState(id, creator, "m.room.name", "", Event{"name": name})
	return id
}

// Alias names a room.
func (s *Server) Alias(alias, room string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aliases[alias] = room
}

// Say writes a text message and returns the event's id.
func (s *Server) Say(room, sender, text string) string {
	return s.Send(room, sender, "m.room.message", Event{"msgtype": "m.text", "body": text})
}

// Send adds an event.
func (s *Server) Send(room, sender, kind string, content Event) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.append(room, Event{"type": kind, "sender": sender, "content": content})
}

// Poison adds an event as old room versions allow it: with a time that no integer holds.
func (s *Server) Poison(room string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ev := Event{"type": "m.room.message", "sender": "@evil:elsewhere.test", "content": Event{"msgtype": "m.text", "body": "poison"}}
	s.append(room, ev)
	ev["origin_server_ts"] = 1e40
}

// SetState adds a state event.
func (s *Server) SetState(room, sender, kind, key string, content Event) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.setState(room, sender, kind, key, content)
}

// Member changes a membership.
func (s *Server) Member(room, sender, user, membership string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.setMember(room, sender, user, membership, "")
}

func (s *Server) setMember(room, sender, name, membership, reason string) string {
	content := Event{"membership": membership}
	if u := s.users[name]; u != nil && membership == "join" {
		if u.name != "" {
			content["displayname"] = u.name
		}
		if u.avatar != "" {
			content["avatar_url"] = u.avatar
		}
	}
	if reason != "" {
		content["reason"] = reason
	}
	return s.setState(room, sender, "m.room.member", name, content)
}

func (s *Server) setState(room, sender, kind, key string, content Event) string {
	ev := Event{"type": kind, "sender": sender, "state_key": key, "content": content}
	if before, ok := s.rooms[room].state[kind+"\x00"+key]; ok {
		ev["unsigned"] = Event{"prev_content": before["content"]}
	}
	id := s.append(room, ev)
	s.rooms[room].state[kind+"\x00"+key] = ev
	return id
}

func (s *Server) append(name string, ev Event) string {
	s.next++
	id := fmt.Sprintf("$ev%d", s.next)
	ev["event_id"], ev["room_id"], ev["origin_server_ts"] = id, name, time.Now().UnixMilli()
	r := s.rooms[name]
	r.events = append(r.events, ev)
	s.unpushed = append(s.unpushed, ev)
	s.touch()
	return id
}

// Events lists the events of a room.
func (s *Server) Events(room string) []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Event
	for _, ev := range s.rooms[room].events {
		out = append(out, maps.Clone(ev))
	}
	return out
}

// Texts lists the bodies of the messages that a sender wrote into a room.
func (s *Server) Texts(room, sender string) []string {
	var out []string
	for _, ev := range s.Events(room) {
		content, _ := ev["content"].(Event)
		body, ok := content["body"].(string)
		if ok && ev["sender"] == sender && ev["type"] == "m.room.message" {
			out = append(out, body)
		}
	}
	return out
}

// Membership is somebody's in a room, "" if there never was one.
func (s *Server) Membership(room, user string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.membership(room, user)
}

func (s *Server) membership(name, user string) string {
	r := s.rooms[name]
	if r == nil {
		return ""
	}
	content, _ := r.state["m.room.member\x00"+user]["content"].(Event)
	m, _ := content["membership"].(string)
	return m
}

// Profile is a user's name, face and presence; ok is false if there is no such user.
func (s *Server) Profile(name string) (display, avatar, presence, status string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[name]
	if u == nil {
		return "", "", "", "", false
	}
	return u.name, u.avatar, u.presence, u.status, true
}

// SetProfile changes a user's name and face, and shows it in all rooms.
func (s *Server) SetProfile(name, display, avatar string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[name]
	u.name, u.avatar = display, avatar
	for id := range s.rooms {
		if s.membership(id, name) == "join" {
			s.setMember(id, name, name, "join", "")
		}
	}
}

// Name is what a room is called, Topic what it is about.
func (s *Server) Name(room string) string { return s.text(room, "m.room.name", "name") }

// Topic is what a room is about.
func (s *Server) Topic(room string) string { return s.text(room, "m.room.topic", "topic") }

func (s *Server) text(room, kind, key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	content, _ := s.rooms[room].state[kind+"\x00"]["content"].(Event)
	text, _ := content[key].(string)
	return text
}

// Members lists who is in a room.
func (s *Server) Members(room string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, ev := range s.rooms[room].state {
		content, _ := ev["content"].(Event)
		if name, ok := ev["state_key"].(string); ok && ev["type"] == "m.room.member" && content["membership"] == "join" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Media is a file that was uploaded.
func (s *Server) Media(uri string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.media[uri[strings.LastIndexByte(uri, '/')+1:]]
}

// Typing and Read tell what a user showed in a room.
func (s *Server) Typing(room, user string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rooms[room].typing[user]
}

// Read is the event up to which a user has read.
func (s *Server) Read(room, user string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rooms[room].reads[user]
}

// Upload keeps a file and returns its address.
func (s *Server) Upload(raw []byte) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.upload(raw)
}

func (s *Server) upload(raw []byte) string {
	s.next++
	id := fmt.Sprintf("media%d", s.next)
	s.media[id] = raw
	return "mxc://" + s.opt.ServerName + "/" + id
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, status int, code, text string) {
	reply(w, status, map[string]string{"errcode": code, "error": text})
}
