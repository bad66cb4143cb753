package discordtest

import (
	"slices"
	"strconv"
	"strings"
)

func (s *Server) routes() map[string]handler {
	return map[string]handler{
		"GET /gateway": func(*request) (any, error) { return M{"url": s.gatewayURL()}, nil },
		"GET /gateway/bot": func(*request) (any, error) {
			return M{"url": s.gatewayURL(), "shards": 1, "session_start_limit": M{"total": 1000, "remaining": 1000 - s.identify, "reset_after": 86_400_000, "max_concurrency": 1}}, nil
		},
		"GET /users/@me":                                                      func(r *request) (any, error) { return r.app.User.json(), nil },
		"GET /users/{user}":                                                   s.getUser,
		"GET /users/@me/guilds":                                               s.getMyGuilds,
		"POST /users/@me/channels":                                            s.createDM,
		"GET /applications/@me":                                               s.getApplication,
		"GET /guilds/{guild}":                                                 s.getGuild,
		"GET /guilds/{guild}/channels":                                        s.getGuildChannels,
		"GET /guilds/{guild}/roles":                                           s.getRoles,
		"GET /guilds/{guild}/threads/active":                                  s.getActiveThreads,
		"GET /guilds/{guild}/members":                                         s.getMembers,
		"GET /guilds/{guild}/members/search":                                  s.searchMembers,
		"GET /guilds/{guild}/members/{user}":                                  s.getMember,
		"GET /channels/{channel}":                                             s.getChannel,
		"PATCH /channels/{channel}":                                           s.patchChannel,
		"POST /channels/{channel}/typing":                                     s.postTyping,
		"GET /channels/{channel}/webhooks":                                    s.getWebhooks,
		"POST /channels/{channel}/webhooks":                                   s.createWebhook,
		"GET /channels/{channel}/messages":                                    s.getMessages,
		"POST /channels/{channel}/messages":                                   s.createMessage,
		"GET /channels/{channel}/messages/{message}":                          s.getMessage,
		"PATCH /channels/{channel}/messages/{message}":                        s.editMessage,
		"DELETE /channels/{channel}/messages/{message}":                       s.deleteMessage,
		"POST /channels/{channel}/messages/{message}/threads":                 s.startThread,
		"PUT /channels/{channel}/thread-members/@me":                          s.joinThread,
		"GET /channels/{channel}/messages/{message}/reactions/{emoji}":        s.getReactions,
		"PUT /channels/{channel}/messages/{message}/reactions/{emoji}/@me":    s.putReaction,
		"DELETE /channels/{channel}/messages/{message}/reactions/{emoji}/@me": s.deleteReaction,
		"DELETE /webhooks/{hook}":                                             s.deleteWebhook,
		"POST /webhooks/{hook}/{token}":                                       s.executeWebhook,
		"GET /webhooks/{hook}/{token}/messages/{message}":                     s.getWebhookMessage,
		"PATCH /webhooks/{hook}/{token}/messages/{message}":                   s.editWebhookMessage,
		"DELETE /webhooks/{hook}/{token}/messages/{message}":                  s.deleteWebhookMessage,
	}
}

func (s *Server) gatewayURL() string { return "ws" + strings.TrimPrefix(s.URL, "http") + "/gw/" }

func (s *Server) getUser(r *request) (any, error) {
	if u := s.users[r.PathValue("user")]; u != nil {
		return u.json(), nil
	}
	return nil, unknown(10013, "User")
}

func (s *Server) getApplication(r *request) (any, error) {
	flags := 0
	for bit, flag := range map[int]int{IntentPresences: 1 << 12, IntentMembers: 1 << 14, IntentContent: 1 << 18} {
		if r.app.Privileged&bit != 0 {
			flags |= flag << 1 // the "limited" flags: bots in fewer than 100 guilds
		}
	}
	return M{"id": r.app.ID, "name": r.app.User.Username, "bot": r.app.User.json(), "flags": flags}, nil
}

func (s *Server) getMyGuilds(r *request) (any, error) {
	out := []M{}
	for _, id := range s.order {
		if g := s.guilds[id]; g.member(r.app.User.ID) != nil {
			out = append(out, M{"id": g.ID, "name": g.Name, "permissions": strconv.FormatUint(s.guildPermissions(r.app.User.ID, g), 10)})
		}
	}
	return out, nil
}

// guild finds a guild that the bot is in.
func (s *Server) guild(r *request) (*Guild, error) {
	g := s.guilds[r.PathValue("guild")]
	if g == nil {
		return nil, unknown(10004, "Guild")
	}
	if g.member(r.app.User.ID) == nil {
		return nil, errAccess
	}
	return g, nil
}

func (s *Server) getGuild(r *request) (any, error) {
	g, err := s.guild(r)
	if err != nil {
		return nil, err
	}
	return s.guildJSON(g), nil
}

func (s *Server) guildJSON(g *Guild) M {
	roles := []M{}
	for _, role := range g.Roles {
		roles = append(roles, role.json())
	}
	return M{"id": g.ID, "name": g.Name, "owner_id": g.Owner, "roles": roles, "emojis": []M{}, "features": []string{}, "premium_tier": 0, "approximate_member_count": len(g.Members)}
}

func (s *Server) getRoles(r *request) (any, error) {
	g, err := s.guild(r)
	if err != nil {
		return nil, err
	}
	return s.guildJSON(g)["roles"], nil
}

func (s *Server) getGuildChannels(r *request) (any, error) {
	g, err := s.guild(r)
	if err != nil {
		return nil, err
	}
	return s.channelsOf(g, func(c *Channel) bool { return !c.thread() }), nil
}

func (s *Server) channelsOf(g *Guild, want func(*Channel) bool) []M {
	out := []M{}
	for _, id := range s.listed {
		if c := s.channels[id]; c.Guild == g.ID && !c.Gone && want(c) {
			out = append(out, s.channelJSON(c))
		}
	}
	return out
}

func (s *Server) getActiveThreads(r *request) (any, error) {
	g, err := s.guild(r)
	if err != nil {
		return nil, err
	}
	list := s.channelsOf(g, func(c *Channel) bool {
		return c.thread() && !c.Archived && s.permissions(r.app.User.ID, c)&PermView != 0
	})
	return M{"threads": list, "members": []M{}}, nil
}

func (s *Server) getMembers(r *request) (any, error) {
	g, err := s.guild(r)
	if err != nil {
		return nil, err
	}
	if r.app.Privileged&IntentMembers == 0 {
		return nil, errAccess // the endpoint is restricted by the GUILD_MEMBERS intent
	}
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	limit = min(max(limit, 1), 1000)
	list := slices.Clone(g.Members)
	slices.SortFunc(list, func(a, b *Member) int { return byID(a.User.ID, b.User.ID) })
	out := []M{}
	for _, m := range list {
		if byID(m.User.ID, r.URL.Query().Get("after")) > 0 && len(out) < limit {
			out = append(out, s.memberJSON(g, m, true))
		}
	}
	return out, nil
}

func byID(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

func (s *Server) searchMembers(r *request) (any, error) {
	g, err := s.guild(r)
	if err != nil {
		return nil, err
	}
	out := []M{}
	query := strings.ToLower(r.URL.Query().Get("query"))
	for _, m := range g.Members {
		if strings.HasPrefix(strings.ToLower(m.User.Username), query) || strings.HasPrefix(strings.ToLower(m.Nick), query) {
			out = append(out, s.memberJSON(g, m, true))
		}
	}
	return out, nil
}

func (s *Server) getMember(r *request) (any, error) {
	g, err := s.guild(r)
	if err != nil {
		return nil, err
	}
	if m := g.member(r.PathValue("user")); m != nil {
		return s.memberJSON(g, m, true), nil
	}
	if s.users[r.PathValue("user")] == nil {
		return nil, unknown(10013, "User")
	}
	return nil, unknown(10007, "Member")
}

// channel finds a channel that the bot sees, with permissions it needs there.
func (s *Server) channel(r *request, need uint64) (*Channel, error) {
	c := s.channels[r.PathValue("channel")]
	if c == nil || c.Gone {
		return nil, unknown(10003, "Channel")
	}
	have := s.permissions(r.app.User.ID, c)
	if have&PermView == 0 {
		return nil, errAccess
	}
	if have&need != need {
		return nil, errPermission
	}
	return c, nil
}

func (s *Server) getChannel(r *request) (any, error) {
	c, err := s.channel(r, 0)
	if err != nil {
		return nil, err
	}
	return s.channelJSON(c), nil
}

func (s *Server) patchChannel(r *request) (any, error) {
	c, err := s.channel(r, PermManageChannel)
	if err != nil {
		return nil, err
	}
	if topic := r.str("topic"); r.has("topic") {
		if len([]rune(topic)) > 1024 {
			return nil, fail(400, 50035, "Invalid Form Body")
		}
		c.Topic = topic
	}
	if name := r.str("name"); r.has("name") {
		c.Name = name
	}
	if archived, ok := r.body["archived"].(bool); ok {
		c.Archived = archived
	}
	s.channelChanged(c)
	return s.channelJSON(c), nil
}

func (s *Server) channelChanged(c *Channel) {
	kind := "CHANNEL_UPDATE"
	if c.thread() {
		kind = "THREAD_UPDATE"
	}
	s.dispatch(event{kind: kind, guild: c.Guild, channel: c.ID, intent: IntentGuilds, data: s.channelJSON(c)})
}

func (s *Server) postTyping(r *request) (any, error) {
	c, err := s.channel(r, PermSend)
	if err == nil {
		s.typing(c, r.app.User.ID)
	}
	return nil, err
}

func (s *Server) createDM(r *request) (any, error) {
	to := r.str("recipient_id")
	if s.users[to] == nil {
		return nil, unknown(10013, "User")
	}
	for _, id := range s.listed {
		if c := s.channels[id]; c.Type == TypeDM && slices.Contains(c.Recipients, to) && slices.Contains(c.Recipients, r.app.User.ID) {
			return s.channelJSON(c), nil
		}
	}
	c := &Channel{ID: s.newID(), Type: TypeDM, Recipients: []string{to, r.app.User.ID}}
	s.addChannel(c)
	return s.channelJSON(c), nil
}
