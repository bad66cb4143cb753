package discordtest

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/coder/websocket"
)

// event is something to tell the bots.
type event struct {
	kind    string
	guild   string
	channel string
	intent  int
	data    M
	message *Message // instead of data: each bot sees what it may
	only    *session
}

// session is a bot's stream of events; it outlives connections.
type session struct {
	id      string
	app     *App
	intents int
	log     [][]byte // [seq-1]
	conn    *conn
	dead    bool
	large   int
}

// conn is one connection.
type conn struct {
	s      *Server
	ws     *websocket.Conn
	cancel context.CancelFunc
	sess   *session
	next   int // how many of the session's events were sent
	out    []any
	wake   chan struct{}
	closed websocket.StatusCode
	mute   bool // heartbeats are not acknowledged
}

func (c *conn) kick() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// kill breaks the connection without a word; the lock is held.
func (c *conn) kill() { c.cancel() }

func (c *conn) push(v any) { c.out = append(c.out, v); c.kick() }

// end closes with a code after what is queued was sent.
func (c *conn) end(code int) { c.closed = websocket.StatusCode(code); c.kick() }

func (s *Server) serveGateway(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	refuse := s.refuseNew
	s.mu.Unlock()
	if refuse || s.fault("GET", "/gw") != nil {
		page(w, 502, "Bad gateway")
		return
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	ws.SetReadLimit(4096)
	ctx, cancel := context.WithCancel(context.Background())
	c := &conn{s: s, ws: ws, cancel: cancel, wake: make(chan struct{}, 1)}
	s.mu.Lock()
	s.conns[c] = true
	c.push(M{"op": 10, "s": nil, "t": nil, "d": M{"heartbeat_interval": s.opt.Heartbeat.Milliseconds(), "_trace": []string{"fake"}}})
	if v := r.URL.Query().Get("v"); v != "9" && v != "10" || r.URL.Query().Get("encoding") != "json" {
		c.end(4012)
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() { defer close(done); c.write(ctx) }()
	c.read(ctx)
	cancel()
	<-done
	_ = ws.CloseNow()
	s.mu.Lock()
	delete(s.conns, c)
	if c.sess != nil && c.sess.conn == c {
		c.sess.conn = nil
	}
	s.touch()
	s.mu.Unlock()
}

func (c *conn) write(ctx context.Context) {
	for {
		c.s.mu.Lock()
		var batch [][]byte
		for _, v := range c.out {
			b, _ := json.Marshal(v)
			batch = append(batch, b)
		}
		c.out = nil
		if c.sess != nil && c.sess.conn == c {
			batch = append(batch, c.sess.log[c.next:]...)
			c.next = len(c.sess.log)
		}
		closed := c.closed
		c.s.mu.Unlock()
		for _, b := range batch {
			if c.ws.Write(ctx, websocket.MessageText, b) != nil {
				return
			}
		}
		if closed != 0 {
			_ = c.ws.Close(closed, "")
			return
		}
		select {
		case <-c.wake:
		case <-ctx.Done():
			return
		}
	}
}

func (c *conn) read(ctx context.Context) {
	for {
		_, raw, err := c.ws.Read(ctx)
		if err != nil {
			return
		}
		var p struct {
			Op int             `json:"op"`
			D  json.RawMessage `json:"d"`
		}
		c.s.mu.Lock()
		switch {
		case json.Unmarshal(raw, &p) != nil:
			c.end(4002)
		case p.Op == 1 && !c.mute:
			c.push(M{"op": 11})
		case p.Op == 1:
		case p.Op == 2:
			c.s.identified(c, p.D)
		case p.Op == 6:
			c.s.resumed(c, p.D)
		case c.sess == nil:
			c.end(4003)
		case p.Op == 8:
			c.s.chunks(c.sess, p.D)
		case p.Op == 3, p.Op == 4:
		default:
			c.end(4001)
		}
		c.s.touch()
		c.s.mu.Unlock()
	}
}

// identified begins a session ("Identify"); the lock is held.
func (s *Server) identified(c *conn, raw json.RawMessage) {
	var d struct {
		Token   string `json:"token"`
		Intents *int   `json:"intents"`
		Large   int    `json:"large_threshold"`
	}
	if json.Unmarshal(raw, &d) != nil || d.Intents == nil {
		c.end(4002)
		return
	}
	if len(d.Token) > 4 && d.Token[:4] == "Bot " {
		d.Token = d.Token[4:]
	}
	app := s.bot("Bot " + d.Token)
	s.identify++
	const privileged = IntentMembers | IntentPresences | IntentContent
	switch {
	case c.sess != nil:
		c.end(4005)
	case app == nil:
		c.end(4004)
	case *d.Intents < 0 || *d.Intents&^knownIntents != 0:
		c.end(4013)
	case *d.Intents&privileged&^app.Privileged != 0:
		c.end(4014)
	default:
		sess := &session{id: "session-" + s.newID(), app: app, intents: *d.Intents, conn: c, large: max(d.Large, 50)}
		s.sessions[sess.id] = sess
		c.sess = sess
		s.ready(sess)
	}
}

// ready sends READY and the guilds.
func (s *Server) ready(sess *session) {
	var unavailable []M
	var mine []*Guild
	for _, id := range s.order {
		if g := s.guilds[id]; g.member(sess.app.User.ID) != nil {
			unavailable = append(unavailable, M{"id": g.ID, "unavailable": true})
			mine = append(mine, g)
		}
	}
	sess.add("READY", M{
		"v": 10, "user": sess.app.User.json(), "guilds": unavailable, "session_id": sess.id, "resume_gateway_url": s.gatewayURL(),
		"application": M{"id": sess.app.ID, "flags": 0}, "private_channels": []M{},
	})
	for _, g := range mine {
		if sess.intents&IntentGuilds != 0 && !g.Down {
			sess.add("GUILD_CREATE", s.guildCreate(sess, g))
		}
	}
}

// Outage makes a guild unavailable, and available again ("Guild Availability").
func (s *Server) Outage(guild string, down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.guilds[guild]
	g.Down = down
	for _, sess := range s.sessions {
		switch {
		case g.member(sess.app.User.ID) == nil || sess.intents&IntentGuilds == 0:
		case down:
			sess.add("GUILD_DELETE", M{"id": g.ID, "unavailable": true})
		default:
			sess.add("GUILD_CREATE", s.guildCreate(sess, g))
		}
	}
	s.touch()
}

func (s *Server) guildCreate(sess *session, g *Guild) M {
	j := s.guildJSON(g)
	me := sess.app.User.ID
	members, presences := []M{}, []M{}
	for _, m := range g.Members {
		// Members are complete only with the intent, and only in small guilds.
		if m.User.ID == me || sess.intents&IntentMembers != 0 && len(g.Members) <= sess.large {
			members = append(members, s.memberJSON(g, m, true))
		}
		if sess.intents&IntentPresences != 0 && m.Status != "" && m.Status != "offline" {
			presences = append(presences, presenceJSON(g, m))
		}
	}
	j["members"], j["presences"] = members, presences
	j["member_count"], j["large"], j["unavailable"], j["joined_at"] = len(g.Members), len(g.Members) > sess.large, false, stamp(g.member(me).Joined)
	j["channels"] = s.channelsOf(g, func(c *Channel) bool { return !c.thread() })
	j["threads"] = s.channelsOf(g, func(c *Channel) bool { return c.thread() && !c.Archived && s.permissions(me, c)&PermView != 0 })
	return j
}

// resumed goes on with a session and replays ("Resume"); the lock is held.
func (s *Server) resumed(c *conn, raw json.RawMessage) {
	var d struct {
		Token   string `json:"token"`
		Session string `json:"session_id"`
		Seq     int    `json:"seq"`
	}
	sess := (*session)(nil)
	if json.Unmarshal(raw, &d) == nil {
		sess = s.sessions[d.Session]
	}
	switch {
	case s.bot("Bot "+strings.TrimPrefix(d.Token, "Bot ")) == nil:
		c.end(4004)
		return
	case sess == nil || sess.dead || s.noResume:
		c.push(M{"op": 9, "d": false})
		return
	case d.Seq > len(sess.log):
		c.end(4007)
		return
	}
	s.resumes++
	if sess.conn != nil {
		sess.conn.sess = nil
		sess.conn.kill()
	}
	sess.conn, c.sess, c.next = c, sess, d.Seq
	sess.add("RESUMED", M{})
}

func (s *session) add(kind string, data M) {
	b, _ := json.Marshal(M{"op": 0, "t": kind, "s": len(s.log) + 1, "d": data})
	s.log = append(s.log, b)
	if s.conn != nil {
		s.conn.kick()
	}
}

// dispatch tells an event to whoever may know; the lock is held.
func (s *Server) dispatch(e event) {
	for _, sess := range s.sessions {
		if sess.dead || e.only != nil && e.only != sess || sess.intents&e.intent == 0 {
			continue
		}
		me := sess.app.User.ID
		if e.guild != "" && (s.guilds[e.guild].member(me) == nil || s.guilds[e.guild].Down) {
			continue
		}
		if c := s.channels[e.channel]; c != nil && s.permissions(me, c)&PermView == 0 && e.kind != "CHANNEL_DELETE" && e.kind != "CHANNEL_UPDATE" {
			continue
		}
		data := e.data
		if e.message != nil {
			data = s.seenBy(e.message, sess.app, sess.intents&IntentContent != 0)
			if g := s.guilds[e.guild]; g != nil {
				data["guild_id"] = g.ID
				if m := g.member(e.message.Author.ID); m != nil && e.message.Webhook == "" {
					data["member"] = s.memberJSON(g, m, false)
				}
			}
		}
		sess.add(e.kind, data)
	}
	s.touch()
}

// chunks answers Request Guild Members.
func (s *Server) chunks(sess *session, raw json.RawMessage) {
	var d struct {
		Guild     string `json:"guild_id"`
		Presences bool   `json:"presences"`
		Nonce     string `json:"nonce"`
	}
	g := s.guilds[d.Guild]
	if json.Unmarshal(raw, &d) == nil {
		g = s.guilds[d.Guild]
	}
	if g == nil || sess.intents&IntentMembers == 0 {
		return
	}
	list := slices.Collect(slices.Chunk(g.Members, 1000))
	for i, part := range list {
		members, presences := []M{}, []M{}
		for _, m := range part {
			members = append(members, s.memberJSON(g, m, true))
			if sess.intents&IntentPresences != 0 && m.Status != "" {
				presences = append(presences, presenceJSON(g, m))
			}
		}
		sess.add("GUILD_MEMBERS_CHUNK", M{"guild_id": g.ID, "members": members, "presences": presences, "chunk_index": i, "chunk_count": len(list), "nonce": d.Nonce})
	}
}

// Cut breaks every connection of the gateway without a word.
func (s *Server) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.kill()
	}
}

// CloseWith closes every connection with a code.
func (s *Server) CloseWith(code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.end(code)
	}
}

// Reconnect asks the bots to reconnect (op 7).
func (s *Server) Reconnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.push(M{"op": 7, "d": nil})
	}
}

// Deafen leaves heartbeats without an answer on the connections there are.
func (s *Server) Deafen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.mute = true
	}
}

// Invalidate ends all sessions: a bot that resumes gets Invalid Session (op 9).
func (s *Server) Invalidate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sess := range s.sessions {
		sess.dead = true
	}
}

// Refuse lets no new connection to the gateway in until Heal.
func (s *Server) Refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuseNew = true
}

// Counts are how often bots have identified and resumed.
func (s *Server) Counts() (identified, resumed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.identify, s.resumes
}

// Connected reports how many bots have a connection with a session.
func (s *Server) Connected() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, sess := range s.sessions {
		if sess.conn != nil && !sess.dead {
			n++
		}
	}
	return n
}
