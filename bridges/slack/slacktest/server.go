package slacktest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options are a workspace's; zero values are defaults.
type Options struct {
	Domain     string        // of the workspace ("acme")
	Enterprise string        // id of the organisation the app is installed in, if it is one
	Scopes     []string      // of the bot (AllScopes)
	AckTimeout time.Duration // after which an envelope is sent again (3 s)
	Metadata   bool          // message events carry metadata
	Now        func() time.Time
}

// Ids and tokens of the app.
const (
	TeamID    = "T0ACME"
	AppID     = "A0BRIDGE"
	BotID     = "B0BRIDGE"
	BotUser   = "U0BRIDGE"
	BotToken  = "xoxb-test"
	AppToken  = "xapp-test"
	botName   = "bridge"
	maxResend = 3
)

// AllScopes are those that the bridge's manifest asks for.
func AllScopes() []string {
	return []string{
		"bookmarks:read", "channels:history", "channels:join", "channels:manage", "channels:read", "chat:write", "chat:write.customize", "chat:write.public", "dnd:read", "emoji:read",
		"files:read", "files:write", "groups:history", "groups:read", "groups:write", "im:history", "im:read", "im:write", "metadata.message:read", "mpim:history",
		"mpim:read", "mpim:write", "reactions:read", "reactions:write", "team:read", "users.profile:read", "users:read", "users:read.email", "usergroups:read",
	}
}

// Server is the workspace.
type Server struct {
	URL string // of the Web API, ending in "/api/"

	opt  Options
	web  *httptest.Server
	done chan struct{}
	work sync.WaitGroup

	mu       sync.Mutex
	changed  chan struct{}
	users    map[string]*User
	order    []string // of users
	channels map[string]*Channel
	names    []string // channel ids in order
	files    map[string]*File
	uploads  map[string]*File
	bots     map[string]string // bot id -> name
	emoji    map[string]string
	next     int
	lastTS   int64
	scopes   []string
	revoked  bool

	sockets   []*socket
	tickets   map[string]bool
	turn      int
	pending   map[string]*envelope
	held      []*envelope
	hold      bool
	lose      int
	repeat    int
	deaf      bool // acknowledgements are not heard
	most      int  // sockets open at the same time
	opened    int
	faults    []*Fault
	limits    []*limit
	calls     []Call
	acks      []Ack
	lateShare int
	bareFiles bool
	dndUsers  map[string]bool
}

// New starts a workspace.
func New(opt Options) *Server {
	if opt.Domain == "" {
		opt.Domain = "acme"
	}
	if opt.Scopes == nil {
		opt.Scopes = AllScopes()
	}
	if opt.AckTimeout == 0 {
		opt.AckTimeout = 3 * time.Second
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	s := &Server{
		opt: opt, done: make(chan struct{}), changed: make(chan struct{}), users: map[string]*User{}, channels: map[string]*Channel{}, files: map[string]*File{},
		uploads: map[string]*File{}, bots: map[string]string{BotID: botName}, emoji: map[string]string{}, scopes: opt.Scopes, tickets: map[string]bool{},
		pending: map[string]*envelope{}, dndUsers: map[string]bool{},
	}
	s.web = httptest.NewServer(http.HandlerFunc(s.serve))
	s.URL = s.web.URL + "/api/"
	s.users[BotUser] = &User{ID: BotUser, TeamID: TeamID, Name: botName, RealName: "Bridge", IsBot: true, Token: BotToken, presence: "active",
		Profile: Profile{RealName: "Bridge", DisplayName: botName, BotID: BotID, APIAppID: AppID}}
	s.order = append(s.order, BotUser)
	return s
}

// Close ends the workspace.
func (s *Server) Close() {
	s.mu.Lock()
	close(s.done)
	for _, e := range s.pending {
		e.stop()
	}
	for _, k := range s.sockets {
		k.kill()
	}
	s.mu.Unlock()
	s.web.CloseClientConnections()
	s.work.Wait()
	s.web.Close()
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

// id makes an id with a prefix.
func (s *Server) id(prefix string) string {
	s.next++
	return fmt.Sprintf("%s0TEST%04X", prefix, s.next)
}

// ts makes a timestamp that is later than all before it.
func (s *Server) ts() string {
	now := s.opt.Now().UnixMicro()
	s.lastTS = max(now, s.lastTS+1)
	return fmt.Sprintf("%d.%06d", s.lastTS/1_000_000, s.lastTS%1_000_000)
}

// Channel is a copy of a conversation as it is now, its messages oldest first, replies
// among them.
func (s *Server) Channel(id string) Channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := *s.channels[id]
	c.Members = slices.Clone(c.Members)
	c.Messages = nil
	for _, m := range s.channels[id].Messages {
		c.Messages = append(c.Messages, s.copyOf(m))
	}
	return c
}

// copyOf copies a message deeply enough for tests.
func (s *Server) copyOf(m *Message) *Message {
	raw, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	var out Message
	if err := json.Unmarshal(raw, &out); err != nil {
		panic(err)
	}
	return &out
}

// FileData is what a file holds.
func (s *Server) FileData(id string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.files[id]; f != nil {
		return f.data
	}
	return nil
}

// UserToken is the token with which a person uses the Web API.
func (s *Server) UserToken(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.users[id].Token
}

// Calls are all requests to the Web API so far, of one method if it is named.
func (s *Server) Calls(method string) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Call
	for _, c := range s.calls {
		if method == "" || c.Method == method {
			out = append(out, c)
		}
	}
	return out
}

// Acks are the acknowledgements that were heard.
func (s *Server) Acks() []Ack {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.acks)
}

// Sockets tells how many connections are open, were open at most at a time, and were
// opened in all.
func (s *Server) Sockets() (open, most, all int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sockets), s.most, s.opened
}

// SetScopes changes what the bot may do.
func (s *Server) SetScopes(scopes []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scopes = slices.Clone(scopes)
}

// Revoke makes the bot's token invalid.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoked = true
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/api/"):
		s.serveAPI(w, r, strings.TrimPrefix(path, "/api/"))
	case path == "/link":
		s.serveSocket(w, r)
	case strings.HasPrefix(path, "/upload/"), strings.HasPrefix(path, "/files/"), strings.HasPrefix(path, "/avatar/"):
		if s.fault(w, r, strings.SplitN(path, "/", 3)[1], nil) {
			return
		}
		s.serveFile(w, r)
	default:
		http.NotFound(w, r)
	}
}
