package turn

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the draft says so; it is a MAC
	"encoding/base64"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	pion "github.com/pion/turn/v5"
)

// users is who uses the relay now.
type users struct {
	mu    sync.Mutex
	of    map[string]*user
	total int
	empty chan struct{} // made by stop: no more come in, and it is closed when the last has left
}

// user is one account, by its opaque name.
type user struct {
	allocations int
	limit       *rate.Limiter
}

// authenticate is pion's AuthHandler: a name is EXPIRY:OPAQUE, the password its MAC.
func (s *Server) authenticate(ra *pion.RequestAttributes) (userID string, key []byte, ok bool) {
	end, opaque, found := strings.Cut(ra.Username, ":")
	t, err := strconv.ParseInt(end, 10, 64)
	if !found || opaque == "" || len(opaque) > 64 || err != nil || s.o.Now().Unix() >= t {
		return "", nil, false
	}
	h := hmac.New(sha1.New, s.o.Secret)
	h.Write([]byte(ra.Username))
	password := base64.StdEncoding.EncodeToString(h.Sum(nil))
	return opaque, pion.GenerateAuthKey(ra.Username, ra.Realm, password), true
}

// room tells whether a user may have one more allocation; pion's QuotaHandler.
func (s *Server) room(name string) bool {
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	u := s.users.of[name]
	return s.users.total < s.o.MaxAllocations && (u == nil || u.allocations < s.o.PerUser)
}

// enter counts an allocation.
func (s *Server) enter(name string) (*user, bool) {
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	u := s.users.of[name]
	if u == nil {
		u = &user{limit: rate.NewLimiter(rate.Limit(s.o.BytesPerSecond), max(2*s.o.BytesPerSecond, 1<<16))}
	}
	if s.users.empty != nil || s.users.total >= s.o.MaxAllocations || u.allocations >= s.o.PerUser {
		return nil, false
	}
	s.users.of[name] = u
	u.allocations++
	s.users.total++
	return u, true
}

// leave is enter's end.
func (s *Server) leave(name string) {
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	if s.users.total--; s.users.total == 0 && s.users.empty != nil {
		close(s.users.empty)
	}
	if u := s.users.of[name]; u != nil {
		if u.allocations--; u.allocations == 0 {
			delete(s.users.of, name)
		}
	}
}

// end lets nobody in any more; what it returns is closed when all have left.
func (s *Server) end() <-chan struct{} {
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	s.users.empty = make(chan struct{})
	if s.users.total == 0 {
		close(s.users.empty)
	}
	return s.users.empty
}

// Allocations returns how many there are, for the metrics page.
func (s *Server) Allocations() int {
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	return s.users.total
}

func (u *user) allow(now time.Time, n int) bool { return u.limit.AllowN(now, n) }
