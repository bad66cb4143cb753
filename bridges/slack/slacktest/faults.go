package slacktest

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Fault answers requests in the server's place.
type Fault struct {
	Method  string // a Web API method, "link", "upload", "files"; "" is any
	Channel string // only requests that name this channel
	Times   int    // how often; negative: always
	// Handle answers; nil or false: the request goes on to the server.
	Handle func(w http.ResponseWriter, r *http.Request) bool
	// After answers in place of a server that has done what was asked.
	After func(w http.ResponseWriter)
}

// RateLimit answers 429 with Retry-After.
func RateLimit(method string, seconds, times int) Fault {
	return Fault{Method: method, Times: times, Handle: func(w http.ResponseWriter, _ *http.Request) bool {
		tooMany(w, seconds)
		return true
	}}
}

func tooMany(w http.ResponseWriter, seconds int) {
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusTooManyRequests)
	_, _ = w.Write([]byte(`{"ok":false,"error":"ratelimited"}`))
}

// HTML answers a page, as what stands in front of Slack does.
func HTML(method string, status, times int) Fault {
	return Fault{Method: method, Times: times, Handle: func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, "<html><body><h1>%d</h1>Server Error</body></html>", status)
		return true
	}}
}

// Reset ends the connection before anything was done.
func Reset(method string, times int) Fault {
	return Fault{Method: method, Times: times, Handle: func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }}
}

// LoseAnswer does what was asked and ends the connection in the middle of the answer.
func LoseAnswer(method string, times int) Fault {
	return Fault{Method: method, Times: times, After: func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte(`{"ok":tr`))
		panic(http.ErrAbortHandler)
	}}
}

// Refuse answers with an error of the Web API.
func Refuse(method, code string, times int) Fault {
	return Fault{Method: method, Times: times, Handle: func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"ok":false,"error":%q}`, code)
		return true
	}}
}

// Fail adds a fault.
func (s *Server) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Heal removes all faults and limits.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.limits = nil, nil
}

// limit allows so many calls in a window of time.
type limit struct {
	method  string
	channel bool
	count   int
	window  time.Duration
	used    map[string][]time.Time
}

// Limit gives a method a small bucket: count calls in each window, per channel if so
// said; more are answered 429 with the time that is left.
func (s *Server) Limit(method string, perChannel bool, count int, window time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = append(s.limits, &limit{method: method, channel: perChannel, count: count, window: window, used: map[string][]time.Time{}})
}

// limited takes from the buckets of a call; s.mu is held.
func (s *Server) limited(method, channel string) (seconds int, yes bool) {
	now := s.opt.Now()
	for _, l := range s.limits {
		if l.method != method {
			continue
		}
		key := ""
		if l.channel {
			key = channel
		}
		used := l.used[key]
		for len(used) > 0 && now.Sub(used[0]) >= l.window {
			used = used[1:]
		}
		l.used[key] = used
		if len(used) >= l.count {
			left := l.window - now.Sub(used[0])
			return int((left + time.Second - 1) / time.Second), true
		}
		l.used[key] = append(used, now)
	}
	return 0, false
}

// fault lets the first fault that fits answer; handled says that it did. args may be nil.
func (s *Server) fault(w http.ResponseWriter, r *http.Request, method string, args map[string]string) (handled bool) {
	f := s.pick(method, args, func(f *Fault) bool { return f.Handle != nil })
	return f != nil && f.Handle(w, r)
}

// pick takes a fault.
func (s *Server) pick(method string, args map[string]string, want func(*Fault) bool) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if f.Times == 0 || f.Method != "" && f.Method != method || f.Channel != "" && args["channel"] != f.Channel && args["channel_id"] != f.Channel || !want(f) {
			continue
		}
		if f.Times > 0 {
			f.Times--
		}
		return f
	}
	return nil
}

// Late makes files.info tell where a file stands only after so many questions.
func (s *Server) Late(questions int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lateShare = questions
}

// BareFiles leaves names and addresses out of the files in events; they say
// file_access: check_file_info instead.
func (s *Server) BareFiles(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bareFiles = yes
}
