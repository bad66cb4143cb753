package discordtest

import (
	"fmt"
	"hash/fnv"
	"net/url"
	"slices"
	"strconv"
	"time"
)

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000+00:00") }

func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (u *User) json() M {
	return M{"id": u.ID, "username": u.Username, "global_name": null(u.GlobalName), "avatar": null(u.Avatar), "bot": u.Bot, "discriminator": "0"}
}

func (r *Role) json() M {
	return M{"id": r.ID, "name": r.Name, "permissions": strconv.FormatUint(r.Permissions, 10), "color": r.Color, "position": r.Position, "hoist": r.Position > 0, "managed": false, "mentionable": false}
}

func (s *Server) memberJSON(g *Guild, m *Member, full bool) M {
	j := M{"nick": null(m.Nick), "avatar": null(m.Avatar), "roles": append([]string{}, m.Roles...), "joined_at": stamp(m.Joined), "deaf": false, "mute": false, "flags": 0}
	if full {
		j["user"], j["guild_id"] = m.User.json(), g.ID
	}
	return j
}

func presenceJSON(g *Guild, m *Member) M {
	activities := []M{}
	if m.Custom != "" {
		activities = append(activities, M{"name": "Custom Status", "type": 4, "state": m.Custom, "created_at": 1})
	}
	status := m.Status
	if status == "" {
		status = "offline"
	}
	return M{"user": M{"id": m.User.ID}, "guild_id": g.ID, "status": status, "activities": activities, "client_status": M{"desktop": status}}
}

func (s *Server) channelJSON(c *Channel) M {
	j := M{"id": c.ID, "type": c.Type, "last_message_id": null(c.Last)}
	if c.Guild == "" {
		var recipients []M
		for _, id := range c.Recipients {
			recipients = append(recipients, s.users[id].json())
		}
		j["recipients"] = recipients
		return j
	}
	j["guild_id"], j["name"], j["parent_id"] = c.Guild, c.Name, null(c.Parent)
	if c.thread() {
		j["thread_metadata"] = M{"archived": c.Archived, "auto_archive_duration": 1440, "archive_timestamp": stamp(s.opt.Now()), "locked": false}
		return j
	}
	overwrites := []M{}
	for _, o := range c.Overwrites {
		kind := 1
		if s.guilds[c.Guild].role(o.ID) != nil {
			kind = 0
		}
		overwrites = append(overwrites, M{"id": o.ID, "type": kind, "allow": strconv.FormatUint(o.Allow, 10), "deny": strconv.FormatUint(o.Deny, 10)})
	}
	j["topic"], j["position"], j["permission_overwrites"], j["nsfw"] = null(c.Topic), slices.Index(s.listed, c.ID), overwrites, false
	return j
}

// messageJSON is a message as a user sees it.
func (s *Server) messageJSON(m *Message, me string) M {
	author := m.Author.json()
	j := M{
		"id": m.ID, "channel_id": m.Channel, "author": author, "content": m.Content, "type": m.Type, "flags": m.Flags, "timestamp": stamp(m.Time),
		"edited_timestamp": nil, "tts": false, "pinned": m.Pinned, "mention_everyone": slices.Contains(m.Called, "everyone"), "mention_roles": []string{}, "embeds": append([]M{}, m.Embeds...), "attachments": s.filesJSON(m),
	}
	mentions := []M{}
	for _, id := range m.Shown {
		if u := s.users[id]; u != nil {
			mentions = append(mentions, u.json())
		}
	}
	j["mentions"] = mentions
	if !m.Edited.IsZero() {
		j["edited_timestamp"] = stamp(m.Edited)
	}
	if m.Webhook != "" {
		j["webhook_id"], j["application_id"] = m.Webhook, null(m.App)
		author["discriminator"] = "0000"
	}
	if m.Nonce != "" {
		j["nonce"] = m.Nonce
	}
	for key, list := range map[string][]M{"message_snapshots": m.Snapshots, "sticker_items": m.Stickers} {
		if len(list) > 0 {
			j[key] = list
		}
	}
	if m.Reference != nil {
		j["message_reference"] = m.Reference
		if id, _ := m.Reference["message_id"].(string); m.Type == 19 {
			j["referenced_message"] = nil
			if to := s.message(fmt.Sprint(m.Reference["channel_id"]), id); to != nil && to.Type != 19 {
				j["referenced_message"] = s.messageJSON(to, me)
			}
		}
	}
	if list := reactionsJSON(m, me); len(list) > 0 {
		j["reactions"] = list
	}
	return j
}

func reactionsJSON(m *Message, me string) []M {
	var out []M
	for _, r := range m.Reactions {
		i := slices.IndexFunc(out, func(o M) bool { e := o["emoji"].(M); return e["name"] == r.Name && e["id"] == null(r.ID) })
		if i < 0 {
			out = append(out, M{"emoji": M{"name": r.Name, "id": null(r.ID)}, "count": 0, "me": false})
			i = len(out) - 1
		}
		out[i]["count"] = out[i]["count"].(int) + 1
		if r.User == me {
			out[i]["me"] = true
		}
	}
	return out
}

func (s *Server) filesJSON(m *Message) []M {
	out := []M{}
	for _, f := range m.Files {
		address := s.signed(m.Channel, f)
		j := M{"id": f.ID, "filename": f.Name, "size": len(f.Data), "content_type": f.Type, "url": address, "proxy_url": address}
		if f.Waveform != "" {
			j["duration_secs"], j["waveform"] = f.Duration, f.Waveform
		}
		out = append(out, j)
	}
	return out
}

// signed makes an attachment's address, good for a while ("Signed Attachment CDN URLs").
func (s *Server) signed(channel string, f File) string {
	path := "/attachments/" + channel + "/" + f.ID + "/" + url.PathEscape(f.Name)
	expires := strconv.FormatInt(s.opt.Now().Add(s.opt.SignedFor).Unix(), 16)
	return s.URL + "/cdn" + path + "?ex=" + expires + "&is=" + strconv.FormatInt(s.opt.Now().Unix(), 16) + "&hm=" + s.hash(path, expires) + "&"
}

func (s *Server) hash(path, expires string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s.secret + path + expires))
	return strconv.FormatUint(h.Sum64(), 16)
}
