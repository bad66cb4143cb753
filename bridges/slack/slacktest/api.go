package slacktest

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
)

// request is a call with its arguments, and who calls.
type request struct {
	method string
	args   map[string]string
	token  string
	user   string // id
	bot    bool
}

// M is an answer.
type M = map[string]any

// failure is an answer that is an error.
func failure(code string) M { return M{"ok": false, "error": code} }

func good(more M) M {
	out := M{"ok": true}
	for k, v := range more {
		out[k] = v
	}
	return out
}

// method is what a method of the Web API does, with s.mu held, and which scope it needs.
type method struct {
	scope string
	do    func(s *Server, r request) M
}

func methods() map[string]method {
	return map[string]method{
		"api.test":               {"", func(*Server, request) M { return good(nil) }},
		"auth.test":              {"", (*Server).authTest},
		"chat.postMessage":       {"chat:write", (*Server).postMessage},
		"chat.update":            {"chat:write", (*Server).updateMessage},
		"chat.delete":            {"chat:write", (*Server).deleteMessage},
		"reactions.add":          {"reactions:write", func(s *Server, r request) M { return s.reactCall(r, true) }},
		"reactions.remove":       {"reactions:write", func(s *Server, r request) M { return s.reactCall(r, false) }},
		"conversations.list":     {"channels:read", func(s *Server, r request) M { return s.listChannels(r, false) }},
		"users.conversations":    {"channels:read", func(s *Server, r request) M { return s.listChannels(r, true) }},
		"conversations.info":     {"read", (*Server).channelInfo},
		"conversations.members":  {"read", (*Server).channelMembers},
		"conversations.history":  {"history", (*Server).history},
		"conversations.replies":  {"history", (*Server).replies},
		"conversations.join":     {"channels:join", (*Server).joinCall},
		"conversations.leave":    {"leave", (*Server).leaveCall},
		"conversations.open":     {"im:write", (*Server).openCall},
		"conversations.setTopic": {"manage", (*Server).topicCall},
		"conversations.invite":   {"manage", (*Server).inviteCall},
		"conversations.kick":     {"manage", (*Server).kickCall},
		"users.info":             {"users:read", (*Server).userInfo},
		"users.list":             {"users:read", (*Server).userList},
		"users.lookupByEmail":    {"users:read.email", (*Server).userByEmail},
		"users.getPresence":      {"users:read", (*Server).userPresence},
		"bots.info":              {"users:read", (*Server).botInfo},
		"emoji.list":             {"emoji:read", func(s *Server, _ request) M { return good(M{"emoji": s.emoji}) }},
		"usergroups.list": {"usergroups:read", func(*Server, request) M {
			return good(M{"usergroups": []any{M{"id": "S0DEVS", "handle": "devs", "name": "Developers"}}})
		}},
		"files.getUploadURLExternal":   {"files:write", (*Server).uploadURL},
		"files.completeUploadExternal": {"files:write", (*Server).completeUpload},
		"files.info":                   {"files:read", (*Server).fileInfo},
		"files.delete":                 {"files:write", (*Server).fileDelete},
	}
}

// readArgs takes the arguments from the query, a form of either sort, or JSON.
func readArgs(r *http.Request) (map[string]string, string) {
	args := map[string]string{}
	for k, v := range r.URL.Query() {
		args[k] = v[0]
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "application/json" {
		var body map[string]json.RawMessage
		raw, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil || len(raw) > 0 && json.Unmarshal(raw, &body) != nil {
			return nil, "invalid_json"
		}
		for k, v := range body {
			var s string
			if json.Unmarshal(v, &s) != nil {
				s = string(v)
			}
			args[k] = s
		}
		return args, ""
	}
	if err := r.ParseMultipartForm(1 << 20); err != nil && !errors.Is(err, http.ErrNotMultipart) {
		return nil, "invalid_form_data"
	}
	for k, v := range r.PostForm {
		args[k] = v[0]
	}
	return args, ""
}

func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request, name string) {
	args, broken := readArgs(r)
	if broken != "" {
		s.write(w, request{method: name}, failure(broken))
		return
	}
	req := request{method: name, args: args, token: args["token"]}
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		req.token = bearer
	}
	delete(args, "token")
	if s.fault(w, r, name, args) {
		s.record(req, "fault")
		return
	}
	s.mu.Lock()
	if seconds, yes := s.limited(name, args["channel"]); yes {
		s.mu.Unlock()
		s.record(req, "ratelimited")
		tooMany(w, seconds)
		return
	}
	out := s.run(&req)
	s.mu.Unlock()
	if f := s.pick(name, args, func(f *Fault) bool { return f.After != nil }); f != nil {
		s.record(req, "answer lost")
		f.After(w)
		return
	}
	s.write(w, req, out)
}

// run carries a call out; s.mu is held.
func (s *Server) run(r *request) M {
	if r.method == "apps.connections.open" {
		if r.token != AppToken {
			return failure("invalid_auth")
		}
		ticket := s.id("ticket")
		s.tickets[ticket] = true
		return good(M{"url": "ws" + strings.TrimPrefix(s.web.URL, "http") + "/link?ticket=" + ticket + "&app_id=" + AppID})
	}
	m, known := methods()[r.method]
	if !known {
		return failure("unknown_method")
	}
	if code := s.who(r); code != "" {
		return failure(code)
	}
	if need := s.scopeOf(m.scope, r); need != "" && r.bot && !slices.Contains(s.scopes, need) {
		return M{"ok": false, "error": "missing_scope", "needed": need, "provided": strings.Join(s.scopes, ",")}
	}
	return m.do(s, *r)
}

// who finds whose token it is.
func (s *Server) who(r *request) string {
	switch {
	case r.token == "":
		return "not_authed"
	case r.token == BotToken:
		r.user, r.bot = BotUser, true
		if s.revoked {
			return "token_revoked"
		}
		return ""
	}
	for _, u := range s.users {
		if u.Token == r.token {
			r.user = u.ID
			return ""
		}
	}
	return "invalid_auth"
}

// scopeOf is the scope that a call needs, which depends on the sort of the channel.
func (s *Server) scopeOf(scope string, r *request) string {
	if strings.Contains(scope, ":") || scope == "" {
		return scope
	}
	kind, c := "channels", s.channels[r.args["channel"]]
	switch {
	case c != nil && c.IM != "":
		kind = "im"
	case c != nil && c.Private:
		kind = "groups"
	}
	switch {
	case scope != "manage" && scope != "leave":
		return kind + ":" + scope
	case kind == "channels":
		return "channels:manage"
	}
	return kind + ":write"
}

func (s *Server) write(w http.ResponseWriter, r request, out M) {
	code, _ := out["error"].(string)
	s.record(r, code)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if r.bot {
		s.mu.Lock()
		w.Header().Set("X-OAuth-Scopes", strings.Join(s.scopes, ","))
		s.mu.Unlock()
	}
	_ = json.NewEncoder(w).Encode(out)
}

func (s *Server) record(r request, code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, Call{r.method, r.args, r.token, code})
	s.touch()
}

func (s *Server) authTest(r request) M {
	u := s.users[r.user]
	out := M{"url": "https://" + s.opt.Domain + ".slack.com/", "team": "Acme", "user": u.Name, "team_id": TeamID, "user_id": u.ID}
	if r.bot {
		out["bot_id"] = BotID
	}
	if s.opt.Enterprise != "" {
		out["enterprise_id"], out["is_enterprise_install"] = s.opt.Enterprise, true
	}
	return good(out)
}
