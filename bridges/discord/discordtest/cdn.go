package discordtest

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// serveCDN gives attachments as long as their address is good, and pictures for ever.
func (s *Server) serveCDN(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/cdn")
	if fault := s.fault(r.Method, "/cdn"+path); fault != nil {
		if fault.Reset {
			panic(http.ErrAbortHandler)
		}
		if fault.Hold != nil {
			select {
			case <-fault.Hold:
			case <-r.Context().Done():
				return
			}
		}
		fault.answer(w)
		return
	}
	s.mu.Lock()
	s.calls = append(s.calls, Call{Method: r.Method, Path: "/cdn" + path, Query: r.URL.RawQuery, Status: 200, Time: s.opt.Now()})
	data, kind, ok := s.content(path, r)
	s.mu.Unlock()
	if !ok {
		http.Error(w, "This content is no longer available.", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", kind)
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(data)))
}

func (s *Server) content(path string, r *http.Request) ([]byte, string, bool) {
	if data, ok := s.pictures[path]; ok {
		return data, "image/png", true
	}
	p := strings.Split(strings.Trim(path, "/"), "/")
	if len(p) != 4 || p[0] != "attachments" {
		return nil, "", false
	}
	expires := r.URL.Query().Get("ex")
	unix, err := strconv.ParseInt(expires, 16, 64)
	if err != nil || r.URL.Query().Get("hm") != s.hash(path, expires) || !s.opt.Now().Before(time.Unix(unix, 0)) {
		return nil, "", false
	}
	for _, m := range s.messages[p[1]] {
		for _, f := range m.Files {
			if f.ID == p[2] && !m.Deleted {
				kind := f.Type
				if kind == "" {
					kind = "application/octet-stream"
				}
				return f.Data, kind, true
			}
		}
	}
	return nil, "", false
}

// SetAvatar gives a user a face; guild "" is for everywhere.
func (s *Server) SetAvatar(guild, user string, png []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	hash := s.hash(string(png), user)
	if guild != "" {
		g := s.guilds[guild]
		m := g.member(user)
		m.Avatar = hash
		s.pictures["/guilds/"+guild+"/users/"+user+"/avatars/"+hash+".png"] = png
		s.memberChanged(g, m)
		return
	}
	s.users[user].Avatar = hash
	s.pictures["/avatars/"+user+"/"+hash+".png"] = png
	s.userChanged(user)
}
