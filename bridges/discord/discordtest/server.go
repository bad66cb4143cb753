package discordtest

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options of a server; the zero value is a lenient one.
type Options struct {
	Now func() time.Time
	// Heartbeat is what the gateway asks for (41.25 s).
	Heartbeat time.Duration
	// Limits are rate limits by the name of their route: "webhook", "webhook-channel"
	// (shared by the webhooks of a channel), "messages", "channel" (changing one),
	// "reactions", "global". A route that is not named has none that matters.
	Limits map[string]Limit
	// InvalidLimit is how many requests with 401, 403 or 429 bring Cloudflare's ban (10,000).
	InvalidLimit int
	// SignedFor is how long the address of an attachment is good (24 h).
	SignedFor time.Duration
	// MaxFile is the size of an attachment (10 MiB).
	MaxFile int
}

// Limit is a rate limit.
type Limit struct {
	Count int
	Per   time.Duration
}

// Server is a Discord.
type Server struct {
	URL string
	opt Options
	web *httptest.Server

	mu        sync.Mutex
	changed   chan struct{}
	lastID    uint64
	apps      []*App
	users     map[string]*User
	guilds    map[string]*Guild
	order     []string // guilds
	channels  map[string]*Channel
	listed    []string // channels
	messages  map[string][]*Message
	hooks     map[string]*Webhook
	pictures  map[string][]byte // what the CDN has besides attachments, by path
	sessions  map[string]*session
	conns     map[*conn]bool
	buckets   map[string]*bucket
	invalid   int
	banned    bool
	faults    []*Fault
	calls     []Call
	secret    string
	identify  int
	resumes   int
	noResume  bool
	refuseNew bool
}

// New starts a server; Close ends it.
func New(o Options) *Server {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = 41250 * time.Millisecond
	}
	if o.InvalidLimit == 0 {
		o.InvalidLimit = 10_000
	}
	if o.SignedFor == 0 {
		o.SignedFor = 24 * time.Hour
	}
	if o.MaxFile == 0 {
		o.MaxFile = 10 << 20
	}
	s := &Server{
		opt: o, changed: make(chan struct{}), users: map[string]*User{}, guilds: map[string]*Guild{}, channels: map[string]*Channel{},
		messages: map[string][]*Message{}, hooks: map[string]*Webhook{}, pictures: map[string][]byte{}, sessions: map[string]*session{},
		conns: map[*conn]bool{}, buckets: map[string]*bucket{}, secret: "fake",
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/gw/", s.serveGateway)
	mux.HandleFunc("/gw", s.serveGateway)
	mux.HandleFunc("/cdn/", s.serveCDN)
	mux.Handle("/api/", s.rest())
	s.web = httptest.NewServer(mux)
	s.URL = s.web.URL
	return s
}

// Close ends the server and every connection.
func (s *Server) Close() {
	s.mu.Lock()
	for c := range s.conns {
		c.kill()
	}
	s.mu.Unlock()
	s.web.CloseClientConnections()
	s.web.Close()
}

// touch wakes those who wait; the lock is held.
func (s *Server) touch() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Changed is closed when something has happened.
func (s *Server) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// newID makes a snowflake; the lock is held.
func (s *Server) newID() string {
	id := uint64(max(s.opt.Now().UnixMilli()-1420070400000, 0)) << 22
	s.lastID = max(s.lastID+1, id)
	return strconv.FormatUint(s.lastID, 10)
}

// AddUser makes an account.
func (s *Server) AddUser(username, globalName string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := &User{ID: s.newID(), Username: username, GlobalName: globalName}
	s.users[u.ID] = u
	return u.ID
}

// AddBot makes a bot that may ask for every intent.
func (s *Server) AddBot(name string) App {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := &User{ID: s.newID(), Username: name, Bot: true}
	s.users[u.ID] = u
	a := &App{ID: u.ID, Token: "bot." + u.ID + ".token", User: u, Privileged: IntentMembers | IntentPresences | IntentContent}
	s.apps = append(s.apps, a)
	return *a
}

// Privileged sets which privileged intents a bot may ask for.
func (s *Server) Privileged(bot string, intents int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.apps {
		if a.User.ID == bot {
			a.Privileged = intents
		}
	}
}

// AddGuild makes a guild with an owner; everybody has PermDefault in it.
func (s *Server) AddGuild(name, owner string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := &Guild{ID: s.newID(), Name: name, Owner: owner}
	g.Roles = []*Role{{ID: g.ID, Name: "@everyone", Permissions: PermDefault}}
	s.guilds[g.ID] = g
	s.order = append(s.order, g.ID)
	s.join(g, owner)
	return g.ID
}

// AddRole makes a role.
func (s *Server) AddRole(guild, name string, permissions uint64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.guilds[guild]
	r := &Role{ID: s.newID(), Name: name, Permissions: permissions, Position: len(g.Roles), Color: 0x3366cc}
	g.Roles = append(g.Roles, r)
	s.dispatch(event{kind: "GUILD_ROLE_CREATE", guild: guild, intent: IntentGuilds, data: M{"guild_id": guild, "role": r.json()}})
	return r.ID
}

// AddChannel makes a text channel.
func (s *Server) AddChannel(guild, name string) string {
	return s.AddChannelOf(guild, name, TypeText)
}

// AddChannelOf makes a channel of another type.
func (s *Server) AddChannelOf(guild, name string, kind int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &Channel{ID: s.newID(), Guild: guild, Name: name, Type: kind}
	s.addChannel(c)
	s.dispatch(event{kind: "CHANNEL_CREATE", guild: guild, channel: c.ID, intent: IntentGuilds, data: s.channelJSON(c)})
	return c.ID
}

func (s *Server) addChannel(c *Channel) {
	s.channels[c.ID] = c
	s.listed = append(s.listed, c.ID)
}

// Transport sends requests for discord.com and its CDN to this server, for
// libraries whose addresses are fixed.
func (s *Server) Transport() http.RoundTripper { return rewriter{s.URL} }

type rewriter struct{ base string }

func (t rewriter) RoundTrip(r *http.Request) (*http.Response, error) {
	to, err := url.Parse(t.base)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	if strings.HasPrefix(r.URL.Host, "cdn.") {
		r.URL.Path, r.URL.RawPath = "/cdn"+r.URL.Path, ""
	}
	r.URL.Scheme, r.URL.Host, r.Host = to.Scheme, to.Host, to.Host
	return http.DefaultTransport.RoundTrip(r)
}
