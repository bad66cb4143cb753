package discordtest

import (
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// bucket is a rate limit of one resource.
type bucket struct {
	left  int
	reset time.Time
}

// route names the limits that a request counts against: its own with the resource
// it is per, and one that a resource shares.
func (s *Server) route(r *http.Request) (name, resource, shared string) {
	p := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case p[0] == "webhooks" && len(p) >= 3:
		s.mu.Lock()
		defer s.mu.Unlock()
		if h := s.hooks[p[1]]; h != nil && r.Method == http.MethodPost {
			shared = h.Channel
		}
		return "webhook", p[1], shared
	case len(p) >= 6 && p[4] == "reactions":
		return "reactions", p[1], ""
	case len(p) >= 3 && p[2] == "messages" && r.Method == http.MethodPost:
		return "messages", p[1], ""
	case len(p) == 2 && p[0] == "channels" && r.Method == http.MethodPatch:
		return "channel", p[1], ""
	}
	return "other", p[0], ""
}

// limited answers 429 if a limit is used up; otherwise it writes the headers.
func (s *Server) limited(w http.ResponseWriter, r *http.Request) bool {
	name, resource, shared := s.route(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.opt.Now()
	if after, _, ok := s.take("global", "", now); !ok && r.Header.Get("Authorization") != "" {
		w.Header().Set("X-RateLimit-Global", "true")
		s.tooMany(w, after, "global")
		return true
	}
	after, left, ok := s.take(name, resource, now)
	limit := s.limit(name)
	w.Header().Set("X-RateLimit-Limit", strconv.Itoa(limit.Count))
	w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(left))
	w.Header().Set("X-RateLimit-Reset", strconv.FormatFloat(float64(now.Add(after).UnixMilli())/1000, 'f', 3, 64))
	w.Header().Set("X-RateLimit-Reset-After", seconds(after))
	w.Header().Set("X-RateLimit-Bucket", "bucket-"+name)
	if !ok {
		s.tooMany(w, after, "user")
		return true
	}
	if shared != "" {
		if after, _, ok := s.take("webhook-channel", shared, now); !ok {
			s.tooMany(w, after, "shared")
			return true
		}
	}
	return false
}

func (s *Server) limit(name string) Limit {
	if l, ok := s.opt.Limits[name]; ok {
		return l
	}
	return Limit{Count: 100_000, Per: time.Second}
}

func (s *Server) take(name, resource string, now time.Time) (after time.Duration, left int, ok bool) {
	limit := s.limit(name)
	key := name + "/" + resource
	b := s.buckets[key]
	if b == nil || !now.Before(b.reset) {
		b = &bucket{left: limit.Count, reset: now.Add(limit.Per)}
		s.buckets[key] = b
	}
	if b.left == 0 {
		return b.reset.Sub(now), 0, false
	}
	b.left--
	return b.reset.Sub(now), b.left, true
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) }

func (s *Server) tooMany(w http.ResponseWriter, after time.Duration, scope string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(after.Seconds()))))
	w.Header().Set("X-RateLimit-Scope", scope)
	w.WriteHeader(http.StatusTooManyRequests)
	text := "You are being rate limited."
	if scope == "shared" {
		text = "The resource is being rate limited."
	}
	_ = json.NewEncoder(w).Encode(M{"message": text, "retry_after": after.Seconds(), "global": scope == "global"})
}

// Fault is something that goes wrong on purpose.
type Fault struct {
	Method string // "" for any
	Path   string // a part of the path
	Times  int    // negative: until Heal
	Skip   int    // so many requests pass before
	// After: the request is carried out, and only its answer is lost or replaced.
	After  bool
	Reset  bool          // the connection breaks
	Hold   chan struct{} // the answer waits for it
	Status int           // of the answer; 0 with After: none
	Body   string        // "" is a page of Cloudflare's
	Header map[string]string
}

// Fail orders a fault.
func (s *Server) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Heal ends all faults and the ban.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.banned, s.invalid, s.refuseNew = nil, false, 0, false
}

func (s *Server) fault(method, path string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if f.Times == 0 || f.Method != "" && f.Method != method || !strings.Contains(path, f.Path) {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		if f.Times > 0 {
			f.Times--
		}
		return f
	}
	return nil
}

func (f *Fault) answer(w http.ResponseWriter) {
	for k, v := range f.Header {
		w.Header().Set(k, v)
	}
	if f.Body == "" {
		page(w, max(f.Status, 200), "error")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.Status)
	_, _ = w.Write([]byte(f.Body))
}

// Ban puts Cloudflare's ban on at once.
func (s *Server) Ban() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.banned = true
}

// Invalid counts the requests that were answered 401, 403 or 429.
func (s *Server) Invalid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.invalid
}

func unescape(path string) string {
	if p, err := url.PathUnescape(path); err == nil {
		return p
	}
	return path
}
