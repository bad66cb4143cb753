package matrix

import (
	"strconv"
	"time"
)

// counter follows the names of transactions where they are numbers that go up by one.
//
// COMPAT(Synapse 1.160): a transaction that it makes while it is just coming to believe
// that the bridge is back is left lying until the next outage, while those behind it are
// sent: a number is left out. With other application services on the homeserver
// numbers are left out all the time, so looks for this reason have a budget.
type counter struct {
	last  uint64 // 0: not known
	looks int    // left
	at    time.Time
}

const (
	skipLooks  = 20               // at once
	skipRefill = 10 * time.Second // one more
	maxCounter = 1 << 40          // above, names are no counter: Dendrite's are times
)

// skipped tells whether rooms are to be read back before a transaction is taken.
func (s *pushServer) skipped(txn string) bool {
	n, err := strconv.ParseUint(txn, 10, 64)
	if err != nil || n > maxCounter {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.count.last
	s.count.last = n
	if last == 0 || n == last+1 {
		return false
	}
	now := s.c.now()
	if more := int(now.Sub(s.count.at) / skipRefill); s.count.at.IsZero() || s.count.looks+more >= skipLooks {
		s.count.looks, s.count.at = skipLooks, now
	} else if more > 0 {
		s.count.looks, s.count.at = s.count.looks+more, s.count.at.Add(time.Duration(more)*skipRefill)
	}
	if s.count.looks == 0 {
		return false
	}
	s.count.looks--
	return true
}

// doubt makes the budget whole: there was an outage, after which transactions are left out.
func (s *pushServer) doubt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count.looks, s.count.at = skipLooks, s.c.now()
}
