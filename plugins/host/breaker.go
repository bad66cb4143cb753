package host

import "time"

// breaker decides how long to wait after a failure. It is pure.
type breaker struct {
	tune     Tuning
	rand     func() float64
	failures []time.Time // within tune.Within
	row      int         // failures since it last ran steadily
	tripped  bool        // broken until it runs steadily, or somebody acts
}

// failed takes a failure after the plugin ran for a while; final says that only a
// person can mend it. It returns the pause and whether the bridge counts as broken.
func (b *breaker) failed(now time.Time, ran time.Duration, final bool) (time.Duration, bool) {
	if ran >= b.tune.Steady {
		b.reset()
	}
	b.row++
	b.failures = append(b.failures, now)
	for len(b.failures) > 0 && now.Sub(b.failures[0]) > b.tune.Within {
		b.failures = b.failures[1:]
	}
	if b.tripped = b.tripped || final || len(b.failures) >= b.tune.Crashes; b.tripped {
		return b.jitter(b.tune.SlowRetry), true
	}
	pause := b.tune.BackoffMax
	if shift := b.row - 1; shift < 30 {
		pause = min(b.tune.BackoffMin<<shift, b.tune.BackoffMax)
	}
	return b.jitter(pause), false
}

func (b *breaker) reset() { b.failures, b.row, b.tripped = nil, 0, false }

// jitter keeps bridges that failed together from starting together: 75 to 125 %.
func (b *breaker) jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.75 + b.rand()/2))
}
