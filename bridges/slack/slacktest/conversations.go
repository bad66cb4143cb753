package slacktest

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// describe is a conversation object.
func (s *Server) describe(c *Channel, user string) M {
	out := M{
		"id": c.ID, "name": c.Name, "is_channel": c.IM == "" && !c.Private, "is_group": c.Private && c.IM == "", "is_im": c.IM != "", "is_mpim": false,
		"is_private": c.Private, "is_archived": c.Archived, "is_member": slices.Contains(c.Members, user), "created": c.createdSec, "creator": c.Creator,
		"topic": M{"value": escape(c.Topic)}, "purpose": M{"value": ""}, "num_members": len(c.Members), "is_org_shared": c.Org, "context_team_id": TeamID,
	}
	if c.IM != "" {
		out["user"] = c.IM
		delete(out, "name")
	}
	return out
}

// page cuts a list by limit and cursor.
func page[T any](r request, list []T, most int) ([]T, M) {
	from, _ := strconv.Atoi(strings.TrimPrefix(r.args["cursor"], "next:"))
	limit, _ := strconv.Atoi(r.args["limit"])
	if limit <= 0 {
		limit = 100
	}
	limit = min(limit, most)
	from = min(max(from, 0), len(list))
	next := ""
	if from+limit < len(list) {
		next = "next:" + strconv.Itoa(from+limit)
	}
	return list[from:min(from+limit, len(list))], M{"next_cursor": next}
}

func (s *Server) listChannels(r request, member bool) M {
	types := r.args["types"]
	if types == "" {
		types = "public_channel"
	}
	for kind, scope := range map[string]string{"private_channel": "groups:read", "im": "im:read", "mpim": "mpim:read"} {
		if r.bot && slices.Contains(strings.Split(types, ","), kind) && !slices.Contains(s.scopes, scope) {
			return M{"ok": false, "error": "missing_scope", "needed": scope, "provided": strings.Join(s.scopes, ",")}
		}
	}
	var out []M
	for _, id := range s.names {
		c := s.channels[id]
		kind := "public_channel"
		switch {
		case c.IM != "":
			kind = "im"
		case c.Private:
			kind = "private_channel"
		}
		in := slices.Contains(c.Members, r.user)
		if !slices.Contains(strings.Split(types, ","), kind) || (member || c.Private) && !in || c.Archived && r.args["exclude_archived"] == "true" {
			continue
		}
		out = append(out, s.describe(c, r.user))
	}
	list, meta := page(r, out, 1000)
	return good(M{"channels": list, "response_metadata": meta})
}

// visible finds the channel of a call that the caller may see.
func (s *Server) visible(r request) (*Channel, string) {
	c := s.channels[r.args["channel"]]
	if c == nil || c.Private && !slices.Contains(c.Members, r.user) {
		return nil, "channel_not_found"
	}
	return c, ""
}

func (s *Server) channelInfo(r request) M {
	c, code := s.visible(r)
	if code != "" {
		return failure(code)
	}
	return good(M{"channel": s.describe(c, r.user)})
}

func (s *Server) channelMembers(r request) M {
	c, code := s.visible(r)
	if code != "" {
		return failure(code)
	}
	if cur := r.args["cursor"]; cur != "" && !strings.HasPrefix(cur, "next:") {
		return failure("invalid_cursor")
	}
	list, meta := page(r, c.Members, 1000)
	return good(M{"members": list, "response_metadata": meta})
}

// inHistory: replies are not in the history of the channel, unless they were broadcast.
func inHistory(m *Message) bool {
	return m.ThreadTS == "" || m.ThreadTS == m.TS || m.Subtype == "thread_broadcast"
}

// between applies oldest, latest and inclusive.
func between(r request, ts string) bool {
	oldest, latest := r.args["oldest"], r.args["latest"]
	inclusive := r.args["inclusive"] == "true" || r.args["inclusive"] == "1"
	if oldest != "" && oldest != "0" && (ts < oldest || ts == oldest && !inclusive) {
		return false
	}
	return latest == "" || ts < latest || ts == latest && inclusive
}

// shown is a message in a history: metadata only if it was asked for.
func (s *Server) shown(r request, m *Message) M {
	raw, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	var out M
	if err := json.Unmarshal(raw, &out); err != nil {
		panic(err)
	}
	all := r.args["include_all_metadata"] == "true" || r.args["include_all_metadata"] == "1"
	if !all || r.bot && !slices.Contains(s.scopes, "metadata.message:read") {
		delete(out, "metadata")
	}
	return out
}

func (s *Server) history(r request) M {
	c, code := s.into(r)
	if code != "" && code != "is_archived" {
		return failure(code)
	}
	if c == nil {
		c = s.channels[r.args["channel"]]
	}
	var out []M
	for _, m := range slices.Backward(c.Messages) {
		if inHistory(m) && between(r, m.TS) {
			out = append(out, s.shown(r, m))
		}
	}
	list, meta := page(r, out, 999)
	return good(M{"messages": list, "has_more": meta["next_cursor"] != "", "response_metadata": meta})
}

func (s *Server) replies(r request) M {
	c, code := s.into(r)
	if code != "" {
		return failure(code)
	}
	asked := find(c, r.args["ts"])
	if asked == nil {
		return failure("thread_not_found")
	}
	var out []M
	for _, m := range c.Messages {
		root := m == asked && (m.ThreadTS == "" || m.ThreadTS == m.TS)
		switch {
		case asked.ThreadTS != "" && asked.ThreadTS != asked.TS: // a reply was asked for: it alone
			if m == asked {
				out = append(out, s.shown(r, m))
			}
		case root, m.ThreadTS == asked.TS && between(r, m.TS):
			out = append(out, s.shown(r, m))
		}
	}
	list, meta := page(r, out, 1000)
	return good(M{"messages": list, "has_more": meta["next_cursor"] != "", "response_metadata": meta})
}

func (s *Server) joinCall(r request) M {
	c := s.channels[r.args["channel"]]
	switch {
	case c == nil || c.Private:
		return failure("channel_not_found")
	case c.Archived:
		return failure("is_archived")
	}
	s.join(c, r.user, "")
	return good(M{"channel": s.describe(c, r.user)})
}

func (s *Server) leaveCall(r request) M {
	c := s.channels[r.args["channel"]]
	if c == nil {
		return failure("channel_not_found")
	}
	if !slices.Contains(c.Members, r.user) {
		return good(M{"not_in_channel": true})
	}
	s.leave(c, r.user)
	return good(nil)
}

func (s *Server) openCall(r request) M {
	user := r.args["users"]
	switch u := s.users[user]; {
	case strings.Contains(user, ","):
		return failure("method_not_supported_for_channel_type")
	case u == nil:
		return failure("user_not_found")
	case u.Deleted:
		return failure("user_disabled")
	case u.IsBot:
		return failure("cannot_dm_bot")
	}
	return good(M{"channel": M{"id": s.openDM(user).ID}})
}

func (s *Server) topicCall(r request) M {
	c, code := s.into(r)
	if code != "" {
		return failure(code)
	}
	if len(r.args["topic"]) > 250 {
		return failure("too_long")
	}
	s.topic(c, r.user, strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(r.args["topic"]))
	return good(M{"channel": s.describe(c, r.user)})
}

func (s *Server) inviteCall(r request) M {
	c, code := s.into(r)
	if code != "" {
		return failure(code)
	}
	user := r.args["users"]
	switch {
	case s.users[user] == nil:
		return failure("user_not_found")
	case slices.Contains(c.Members, user):
		return failure("already_in_channel")
	}
	s.join(c, user, r.user)
	return good(M{"channel": s.describe(c, r.user)})
}

func (s *Server) kickCall(r request) M {
	c, code := s.into(r)
	if code != "" {
		return failure(code)
	}
	user := r.args["user"]
	switch {
	case s.users[user] == nil:
		return failure("user_not_found")
	case !slices.Contains(c.Members, user):
		return failure("not_in_channel")
	}
	s.leave(c, user)
	return good(M{"errors": M{}})
}
