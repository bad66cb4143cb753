package discord

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// limits keep what Discord allows ("Rate Limits"): a bucket for each route and
// resource, all requests together, and invalid requests: after 10,000 of those in
// ten minutes Cloudflare shuts the whole address out. Nobody waits longer than
// maxWait for a bucket; the server tries again, and does other things meanwhile.
type limits struct {
	now func() time.Time

	mu      sync.Mutex
	buckets map[string]*allowance
	global  time.Time // nothing before
	second  int64     // requests of this second
	count   int
	invalid []time.Time          // of the last ten minutes
	denied  map[string]time.Time // routes that were forbidden lately
	dead    bool                 // the token is not valid
}

type allowance struct {
	left  int
	reset time.Time
}

const (
	maxWait        = 3 * time.Second
	perSecond      = 45 // of the 50 that are allowed
	invalidWindow  = 10 * time.Minute
	invalidBreaker = 5_000 // half of what brings the ban
	deniedFor      = 30 * time.Second
	maxBuckets     = 10_000
)

func newLimits(now func() time.Time) *limits {
	return &limits{now: now, buckets: map[string]*allowance{}, denied: map[string]time.Time{}}
}

// wait waits until a request may be made, or says when it may.
func (l *limits) wait(ctx context.Context, key string, anon bool, after func(time.Duration) <-chan time.Time) error {
	for {
		pause, err := l.take(key, anon)
		if err != nil {
			return err
		}
		if pause <= 0 {
			return ctx.Err()
		}
		if deadline, ok := ctx.Deadline(); pause > maxWait || ok && time.Until(deadline) < pause {
			return later(pause, errLimit)
		}
		select {
		case <-after(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var errLimit = &apiError{Status: http.StatusTooManyRequests, Message: "the rate limit is used up"}

// take counts a request, or gives the pause before it may be made.
func (l *limits) take(key string, anon bool) (time.Duration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if l.dead && !anon {
		return 0, sdk.Refuse(sdk.CodeBadCredentials, "Discord does not take the bot's token; make a new one in the developer portal")
	}
	if until, ok := l.denied[key]; ok {
		if now.Before(until) {
			return 0, &apiError{Status: http.StatusForbidden, Code: codeMissingRight, Message: "Missing Permissions, as a moment ago"}
		}
		delete(l.denied, key)
	}
	if now.Before(l.global) {
		return l.global.Sub(now), nil
	}
	for len(l.invalid) > 0 && now.Sub(l.invalid[0]) > invalidWindow {
		l.invalid = l.invalid[1:]
	}
	if len(l.invalid) >= invalidBreaker {
		return l.invalid[0].Add(invalidWindow).Sub(now) + time.Millisecond, nil
	}
	if b := l.buckets[key]; b != nil {
		if now.Before(b.reset) && b.left <= 0 {
			return b.reset.Sub(now), nil
		}
		b.left--
	}
	if anon {
		return 0, nil // webhooks do not count against the bot's second
	}
	if l.second != now.Unix() {
		l.second, l.count = now.Unix(), 0
	}
	if l.count >= perSecond {
		return time.Unix(l.second+1, 0).Sub(now), nil
	}
	l.count++
	return 0, nil
}

// seen reads the headers of an answer.
func (l *limits) seen(key string, resp *http.Response) {
	left, err := strconv.Atoi(resp.Header.Get("X-RateLimit-Remaining"))
	after, err2 := strconv.ParseFloat(resp.Header.Get("X-RateLimit-Reset-After"), 64)
	if err != nil || err2 != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if len(l.buckets) > maxBuckets {
		for k, b := range l.buckets {
			if now.After(b.reset) {
				delete(l.buckets, k)
			}
		}
	}
	l.buckets[key] = &allowance{left: left, reset: now.Add(time.Duration(after * float64(time.Second)))}
}

// pause closes a route, or all of them.
func (l *limits) pause(key string, d time.Duration, all bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	until := l.now().Add(d)
	if all {
		l.global = until
		return
	}
	l.buckets[key] = &allowance{reset: until}
}

// refused counts what Discord counts as invalid, and remembers what is forbidden so
// that nobody asks again at once.
func (l *limits) refused(key string, status int, shared bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	switch status {
	case http.StatusUnauthorized:
		l.dead = l.dead || !strings.Contains(key, " /webhooks/") // a webhook's token is another
	case http.StatusForbidden:
		l.denied[key] = now.Add(deniedFor)
	case http.StatusTooManyRequests:
		if shared {
			return
		}
	default:
		return
	}
	l.invalid = append(l.invalid, now)
}

// forgive forgets what was forbidden: rights have changed.
func (l *limits) forgive() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.denied)
}

// invalidRequests is how many there were in the last ten minutes.
func (l *limits) invalidRequests() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.invalid)
}
