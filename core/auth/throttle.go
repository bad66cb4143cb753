package auth

import (
	"net/netip"
	"sync"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/module"
)

// Throttle counts failed logins. Each address, and each account as seen from one address, has some attempts free and then one in every Refill; a person who
// mistypes does not notice, and somebody else's failures never lock a person out. It is safe for concurrent use.
type Throttle struct {
	o  ThrottleOptions
	mu sync.Mutex
	by map[throttleKey]*failures
}

// ThrottleOptions of a Throttle; zero values take the defaults.
type ThrottleOptions struct {
	Clock      module.Clock
	PerAddress int           // failures an address (IPv6: its /64) has free; 50
	PerAccount int           // failures an account has free from one address; 10
	Refill     time.Duration // one failure is forgotten in this time; 20 s
	MaxEntries int           // 100,000; beyond, those that are nearly forgotten go first
}

type throttleKey struct {
	from    netip.Prefix
	account string // "" : the address as such
}

// failures is a leaky bucket: level failures at a time.
type failures struct {
	level float64
	at    time.Time
}

// NewThrottle returns a throttle that has seen nothing.
func NewThrottle(o ThrottleOptions) *Throttle {
	if o.Clock == nil {
		o.Clock = module.RealClock{}
	}
	if o.PerAddress <= 0 {
		o.PerAddress = 50
	}
	if o.PerAccount <= 0 {
		o.PerAccount = 10
	}
	if o.Refill <= 0 {
		o.Refill = 20 * time.Second
	}
	if o.MaxEntries <= 0 {
		o.MaxEntries = 100_000
	}
	return &Throttle{o: o, by: map[throttleKey]*failures{}}
}

func prefixOf(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.Prefix(bits)
	if err != nil { // no address: all such share one
		return netip.Prefix{}
	}
	return p
}

// Allow tells whether another attempt may be made. It is asked before the attempt, for known and unknown accounts alike.
func (t *Throttle) Allow(from netip.Addr, account string) bool {
	p, now := prefixOf(from), t.o.Clock.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.level(throttleKey{p, ""}, now)+1 <= float64(t.o.PerAddress) &&
		(account == "" || t.level(throttleKey{p, account}, now)+1 <= float64(t.o.PerAccount))
}

// level is the present count of a key; mu is held.
func (t *Throttle) level(k throttleKey, now time.Time) float64 {
	f := t.by[k]
	if f == nil {
		return 0
	}
	return max(0, f.level-float64(now.Sub(f.at))/float64(t.o.Refill))
}

// Failed notes a failed attempt.
func (t *Throttle) Failed(from netip.Addr, account string) {
	p, now := prefixOf(from), t.o.Clock.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(throttleKey{p, ""}, now)
	if account != "" {
		t.add(throttleKey{p, account}, now)
	}
}

func (t *Throttle) add(k throttleKey, now time.Time) {
	level := t.level(k, now) + 1
	if f := t.by[k]; f != nil {
		f.level, f.at = level, now
		return
	}
	if len(t.by) >= t.o.MaxEntries {
		t.sweep(now)
	}
	t.by[k] = &failures{level, now}
}

// sweep forgets what has decayed, and more and more of the rest until a tenth is free.
func (t *Throttle) sweep(now time.Time) {
	for below := 0.0; len(t.by) > t.o.MaxEntries*9/10; below = below*2 + 1 {
		for k := range t.by {
			if t.level(k, now) <= below {
				delete(t.by, k)
			}
		}
	}
}
