package matrixtest

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// call is one request, taken apart.
type call struct {
	s    *Server
	w    http.ResponseWriter
	r    *http.Request
	as   string // the user it is made as
	p    []string
	body Event
	raw  []byte
}

// route is an endpoint: a method and a path whose "*" are the call's p.
type route struct {
	method, path string
	handle       func(*call)
}

func routes() []route {
	return []route{
		{"GET", "/_matrix/client/versions", (*call).versions},
		{"GET", "/_matrix/client/v3/account/whoami", (*call).whoami},
		{"POST", "/_matrix/client/v3/register", (*call).register},
		{"GET", "/_matrix/client/v3/profile/*", (*call).profile},
		{"GET", "/_matrix/client/v3/profile/*/displayname", (*call).profile},
		{"PUT", "/_matrix/client/v3/profile/*/*", (*call).setProfile},
		{"POST", "/_matrix/client/v3/join/*", (*call).join},
		{"POST", "/_matrix/client/v3/createRoom", (*call).createRoom},
		{"GET", "/_matrix/client/v3/directory/room/*", (*call).directory},
		{"GET", "/_matrix/client/v3/joined_rooms", (*call).joinedRooms},
		{"PUT", "/_matrix/client/v3/rooms/*/send/*/*", (*call).send},
		{"PUT", "/_matrix/client/v3/rooms/*/redact/*/*", (*call).redact},
		{"PUT", "/_matrix/client/v3/rooms/*/state/*/*", (*call).putState},
		{"GET", "/_matrix/client/v3/rooms/*/state/*/*", (*call).getState},
		{"GET", "/_matrix/client/v3/rooms/*/joined_members", (*call).joinedMembers},
		{"GET", "/_matrix/client/v3/rooms/*/messages", (*call).messages},
		{"GET", "/_matrix/client/v1/rooms/*/relations/*/*/*", (*call).relations},
		{"POST", "/_matrix/client/v3/rooms/*/*", (*call).moderate},
		{"PUT", "/_matrix/client/v3/rooms/*/typing/*", (*call).typing},
		{"POST", "/_matrix/client/v3/rooms/*/receipt/*/*", (*call).receipt},
		{"PUT", "/_matrix/client/v3/presence/*/status", (*call).presence},
		{"GET", "/_matrix/client/v3/sync", (*call).sync},
		{"POST", "/_matrix/client/v1/appservice/*/ping", (*call).ping},
		{"POST", "/_matrix/media/v3/upload", (*call).uploadMedia},
		{"GET", "/_matrix/client/v1/media/download/*/*", (*call).download},
		{"GET", "/_matrix/client/v1/media/thumbnail/*/*", (*call).download},
	}
}

func match(pattern string, path []string) ([]string, bool) {
	want := strings.Split(pattern, "/")
	if len(want) != len(path) {
		return nil, false
	}
	var params []string
	for i, w := range want {
		if w == "*" {
			params = append(params, path[i])
		} else if w != path[i] {
			return nil, false
		}
	}
	return params, true
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(io.LimitReader(r.Body, 64<<20))
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	fault := s.fault(r)
	s.mu.Unlock()
	if fault != nil && fault.Handle != nil && fault.Handle(w, r) {
		return
	}
	if fault != nil && fault.After != nil {
		s.dispatch(discard{http.Header{}}, r, raw)
		fault.After(w)
		return
	}
	s.dispatch(w, r, raw)
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

func (s *Server) fault(r *http.Request) *Fault {
	for i, f := range s.faults {
		if f.Method != "" && f.Method != r.Method || !strings.Contains(r.URL.Path, f.Path) {
			continue
		}
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				s.faults = slices.Delete(slices.Clone(s.faults), i, i+1)
			}
		}
		return f
	}
	return nil
}

func (s *Server) dispatch(w http.ResponseWriter, r *http.Request, raw []byte) {
	if r.URL.Path != "/_matrix/client/versions" && r.Header.Get("Authorization") != "Bearer "+s.opt.ASToken {
		refuse(w, http.StatusUnauthorized, "M_UNKNOWN_TOKEN", "unknown token")
		return
	}
	c := &call{s: s, w: w, r: r, as: r.URL.Query().Get("user_id"), raw: raw, body: Event{}}
	if c.as == "" {
		c.as = s.BotID()
	}
	_ = json.Unmarshal(raw, &c.body)
	path := strings.Split(r.URL.Path, "/")
	for _, route := range routes() {
		params, ok := match(route.path, path)
		if !ok || route.method != r.Method {
			continue
		}
		c.p = params
		if strings.HasSuffix(route.path, "/sync") {
			route.handle(c) // waits, so without the lock
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.users[c.as] == nil && !strings.HasSuffix(route.path, "/register") {
			refuse(w, http.StatusForbidden, "M_FORBIDDEN", "Application service has not registered this user")
			return
		}
		route.handle(c)
		s.touch()
		return
	}
	refuse(w, http.StatusNotFound, "M_UNRECOGNIZED", "unrecognized request")
}

func (c *call) versions() {
	reply(c.w, http.StatusOK, map[string]any{"versions": []string{"v1.1", "v1.11"}})
}

func (c *call) whoami() { reply(c.w, http.StatusOK, map[string]string{"user_id": c.s.BotID()}) }

func (c *call) register() {
	local, _ := c.body["username"].(string)
	id := "@" + local + ":" + c.s.opt.ServerName
	if c.s.users[id] != nil {
		refuse(c.w, http.StatusBadRequest, "M_USER_IN_USE", "taken")
		return
	}
	c.s.users[id] = &user{name: local}
	reply(c.w, http.StatusOK, map[string]string{"user_id": id})
}

func (c *call) profile() {
	u := c.s.users[c.p[0]]
	if u == nil {
		refuse(c.w, http.StatusNotFound, "M_NOT_FOUND", "no such user")
		return
	}
	out := map[string]string{"displayname": u.name}
	if u.avatar != "" {
		out["avatar_url"] = u.avatar
	}
	reply(c.w, http.StatusOK, out)
}

func (c *call) setProfile() {
	u := c.s.users[c.p[0]]
	if u == nil || c.p[0] != c.as {
		refuse(c.w, http.StatusForbidden, "M_FORBIDDEN", "not you")
		return
	}
	value, _ := c.body[c.p[1]].(string)
	if c.p[1] == "displayname" {
		u.name = value
	} else {
		u.avatar = value
	}
	reply(c.w, http.StatusOK, struct{}{})
}

// in says whether the caller is in the room, and refuses if not.
func (c *call) in() bool {
	if c.s.membership(c.p[0], c.as) == "join" {
		return true
	}
	refuse(c.w, http.StatusForbidden, "M_FORBIDDEN", c.as+" is not in the room")
	return false
}

func (c *call) join() {
	id := c.p[0]
	if room, ok := c.s.aliases[id]; ok {
		id = room
	}
	r := c.s.rooms[id]
	if r == nil {
		refuse(c.w, http.StatusNotFound, "M_NOT_FOUND", "no such room")
		return
	}
	rule, _ := r.state["m.room.join_rules\x00"]["content"].(Event)["join_rule"].(string)
	now := c.s.membership(id, c.as)
	if now == "ban" || rule != "public" && now != "invite" && now != "join" {
		refuse(c.w, http.StatusForbidden, "M_FORBIDDEN", "You are not invited to this room.")
		return
	}
	if now != "join" {
		c.s.setMember(id, c.as, c.as, "join", "")
	}
	reply(c.w, http.StatusOK, map[string]string{"room_id": id})
}

func (c *call) createRoom() {
	name, _ := c.body["name"].(string)
	rule := "invite"
	if c.body["preset"] == "public_chat" {
		rule = "public"
	}
	alias, _ := c.body["room_alias_name"].(string)
	full := "#" + alias + ":" + c.s.opt.ServerName
	if alias != "" && c.s.aliases[full] != "" {
		refuse(c.w, http.StatusBadRequest, "M_ROOM_IN_USE", "the alias is taken")
		return
	}
	id := c.s.createRoom(c.as, name, rule)
	if alias != "" {
		c.s.aliases[full] = id
	}
	invited, _ := c.body["invite"].([]any)
	for _, who := range invited {
		c.s.setMember(id, c.as, who.(string), "invite", "")
	}
	reply(c.w, http.StatusOK, map[string]string{"room_id": id})
}

func (c *call) directory() {
	if id, ok := c.s.aliases[c.p[0]]; ok {
		reply(c.w, http.StatusOK, map[string]any{"room_id": id, "servers": []string{c.s.opt.ServerName}})
		return
	}
	refuse(c.w, http.StatusNotFound, "M_NOT_FOUND", "Room alias "+c.p[0]+" not found")
}

func (c *call) joinedRooms() {
	out := []string{}
	for id := range c.s.rooms {
		if c.s.membership(id, c.as) == "join" {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	reply(c.w, http.StatusOK, map[string]any{"joined_rooms": out})
}

// once makes a write idempotent by its transaction id.
func (c *call) once(txn string, write func() string) {
	key := c.as + "\x00" + c.p[0] + "\x00" + txn
	id, ok := c.s.txns[key]
	if !ok {
		id = write()
		c.s.txns[key] = id
	}
	reply(c.w, http.StatusOK, map[string]string{"event_id": id})
}

func (c *call) send() {
	if !c.in() {
		return
	}
	if len(c.raw) > 60<<10 {
		refuse(c.w, http.StatusRequestEntityTooLarge, "M_TOO_LARGE", "event too large")
		return
	}
	c.once(c.p[2], func() string {
		return c.s.append(c.p[0], Event{"type": c.p[1], "sender": c.as, "content": c.body})
	})
}

func (c *call) redact() {
	if !c.in() {
		return
	}
	for _, ev := range c.s.rooms[c.p[0]].events {
		if ev["event_id"] != c.p[1] {
			continue
		}
		if ev["sender"] != c.as && c.level() < 50 {
			refuse(c.w, http.StatusForbidden, "M_FORBIDDEN", "You don't have permission to redact events")
			return
		}
		ev["content"] = Event{}
	}
	c.once(c.p[2], func() string {
		c.body["redacts"] = c.p[1]
		return c.s.append(c.p[0], Event{"type": "m.room.redaction", "sender": c.as, "redacts": c.p[1], "content": c.body})
	})
}

func (c *call) level() int {
	content, _ := c.s.rooms[c.p[0]].state["m.room.power_levels\x00"]["content"].(Event)
	users, _ := content["users"].(Event)
	switch n := users[c.as].(type) {
	case int:
		return n
	case float64:
		return int(n)
	}
	return 0
}

func (c *call) putState() {
	if !c.in() {
		return
	}
	if c.level() < 50 {
		refuse(c.w, http.StatusForbidden, "M_FORBIDDEN", "You don't have permission to post that to the room")
		return
	}
	reply(c.w, http.StatusOK, map[string]string{"event_id": c.s.setState(c.p[0], c.as, c.p[1], c.p[2], c.body)})
}

func (c *call) getState() {
	if !c.in() {
		return
	}
	ev, ok := c.s.rooms[c.p[0]].state[c.p[1]+"\x00"+c.p[2]]
	if !ok {
		refuse(c.w, http.StatusNotFound, "M_NOT_FOUND", "no such state")
		return
	}
	reply(c.w, http.StatusOK, ev["content"])
}

func (c *call) joinedMembers() {
	if !c.in() {
		return
	}
	out := Event{}
	for _, ev := range c.s.rooms[c.p[0]].state {
		content, _ := ev["content"].(Event)
		if ev["type"] == "m.room.member" && content["membership"] == "join" {
			out[ev["state_key"].(string)] = Event{"display_name": content["displayname"], "avatar_url": content["avatar_url"]}
		}
	}
	reply(c.w, http.StatusOK, map[string]any{"joined": out})
}

func (c *call) typing() {
	on, _ := c.body["typing"].(bool)
	c.s.rooms[c.p[0]].typing[c.p[1]] = on
	reply(c.w, http.StatusOK, struct{}{})
}

func (c *call) receipt() {
	c.s.rooms[c.p[0]].reads[c.as] = c.p[2]
	reply(c.w, http.StatusOK, struct{}{})
}

func (c *call) presence() {
	u := c.s.users[c.p[0]]
	u.presence, _ = c.body["presence"].(string)
	u.status, _ = c.body["status_msg"].(string)
	reply(c.w, http.StatusOK, struct{}{})
}

func (c *call) moderate() {
	if c.p[1] == "leave" {
		if now := c.s.membership(c.p[0], c.as); now == "join" || now == "invite" {
			reason, _ := c.body["reason"].(string)
			c.s.setMember(c.p[0], c.as, c.as, "leave", reason)
		}
		reply(c.w, http.StatusOK, struct{}{})
		return
	}
	to := map[string]string{"invite": "invite", "kick": "leave", "ban": "ban", "unban": "leave"}
	membership, ok := to[c.p[1]]
	if !ok {
		refuse(c.w, http.StatusNotFound, "M_UNRECOGNIZED", "unrecognized request")
		return
	}
	if !c.in() {
		return
	}
	if membership != "invite" && c.level() < 50 {
		refuse(c.w, http.StatusForbidden, "M_FORBIDDEN", "You cannot do that")
		return
	}
	target, _ := c.body["user_id"].(string)
	if now := c.s.membership(c.p[0], target); c.p[1] == "invite" && (now == "ban" || now == "join") {
		refuse(c.w, http.StatusForbidden, "M_FORBIDDEN", target+" is banned, or in the room already")
		return
	}
	reason, _ := c.body["reason"].(string)
	c.s.setMember(c.p[0], c.as, target, membership, reason)
	reply(c.w, http.StatusOK, struct{}{})
}

// sync tells the rooms that the caller is invited to, and else nothing; it waits
// for as long as it is asked to.
func (c *call) sync() {
	wait, _ := time.ParseDuration(c.r.URL.Query().Get("timeout") + "ms")
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.r.Context().Done():
	case <-c.s.closing:
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	invited := map[string]any{}
	for id, r := range c.s.rooms {
		if c.s.membership(id, c.as) == "invite" {
			invited[id] = Event{"invite_state": Event{"events": []Event{r.state["m.room.member\x00"+c.as]}}}
		}
	}
	reply(c.w, http.StatusOK, map[string]any{"next_batch": "s1", "rooms": map[string]any{"invite": invited}})
}

func (c *call) ping() {
	if c.s.opt.NoPing {
		refuse(c.w, http.StatusNotFound, "M_UNRECOGNIZED", "unrecognized request")
		return
	}
	if c.s.opt.Ping != nil {
		if code, ok := c.s.opt.Ping(); !ok {
			refuse(c.w, code, "M_CONNECTION_FAILED", "the application service does not answer")
			return
		}
	}
	reply(c.w, http.StatusOK, map[string]int{"duration_ms": 1})
}

func (c *call) uploadMedia() {
	reply(c.w, http.StatusOK, map[string]string{"content_uri": c.s.upload(c.raw)})
}
