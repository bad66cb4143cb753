package register

import (
	"net/netip"
	"sync"
	"time"
)

// maxAddresses bounds how many addresses are remembered; beyond it, registration waits until the oldest are forgotten.
const maxAddresses = 16384

// limiter counts accounts by address.
type limiter struct {
	most int
	per  time.Duration

	mu   sync.Mutex
	seen map[netip.Addr][]time.Time
}

func (l *limiter) init(most int, per time.Duration) {
	l.most, l.per, l.seen = most, per, map[netip.Addr][]time.Time{}
}

// allow tells whether the address may make another account, and counts it.
func (l *limiter) allow(from netip.Addr, now time.Time) bool {
	from = addressOf(from)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.seen) >= maxAddresses {
		l.sweep(now)
	}
	recent := l.recent(from, now)
	if len(recent) >= l.most || len(recent) == 0 && len(l.seen) >= maxAddresses {
		return false
	}
	l.seen[from] = append(recent, now)
	return true
}

func (l *limiter) recent(from netip.Addr, now time.Time) []time.Time {
	times := l.seen[from]
	for len(times) > 0 && now.Sub(times[0]) >= l.per {
		times = times[1:]
	}
	return times
}

func (l *limiter) sweep(now time.Time) {
	for a := range l.seen {
		if len(l.recent(a, now)) == 0 {
			delete(l.seen, a)
		}
	}
}
