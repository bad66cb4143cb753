package offline

import (
	"strings"
	"sync"
)

// maxSizes bounds how many sizes are remembered; when they are too many, all are forgotten and read again as they are needed.
const maxSizes = 16384

type size struct{ messages, bytes int }

// sizes remembers how much waits for the accounts that get messages now. It is a little too large where a commit has failed.
type sizes struct {
	mu sync.Mutex
	of map[string]size
}

func (s *sizes) init() { s.of = map[string]size{} }

func (s *sizes) get(account string) (size, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.of[account]
	return v, ok
}

func (s *sizes) put(account string, v size) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.of) >= maxSizes {
		clear(s.of)
	}
	s.of[strings.Clone(account)] = v
}

func (s *sizes) add(account string, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.of[account]; ok {
		s.of[account] = size{v.messages + 1, v.bytes + bytes}
	}
}

func (s *sizes) drop(account string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.of, account)
}
