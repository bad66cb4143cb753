package upload

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

const (
	// maxSlots is how many slots of one person may be open at once.
	maxSlots = 50
	// maxPuts is how many uploads of one person may be under way at once: a few who send slowly do not keep everybody else from uploading.
	maxPuts = 20
	// forgetAfter is how long the counters of somebody who does nothing stay in memory.
	forgetAfter = time.Hour
	// dayHours is how many hours a day has that began somewhere within the first.
	dayHours = 24
)

// usage is the counters of one owner, or of all. Limits are her own, instead of the server's; nil: the server's.
type usage struct {
	Files   int64           `json:"files"`
	Bytes   int64           `json:"bytes"`
	Profile int64           `json:"profile,omitempty"` // of them with the purpose "profile"
	Hours   map[int64]int64 `json:"hours,omitempty"`   // bytes that came in an hour since 1970; also of files that are gone

	MaxBytes  *int64 `json:"max_bytes,omitempty"`
	MaxPerDay *int64 `json:"max_per_day,omitempty"`
}

func hourOf(t time.Time) int64 { return t.Unix() / 3600 }

// day sums what came in the last 24 hours, and tells when enough of it is older for need bytes below limit.
func (u *usage) day(now time.Time, need, limit int64) (sum int64, retry time.Time) {
	first := hourOf(now) - dayHours
	for h, n := range u.Hours {
		if h > first {
			sum += n
		} else {
			delete(u.Hours, h)
		}
	}
	left := sum
	for h := first + 1; h <= hourOf(now); h++ {
		if left -= u.Hours[h]; left+need <= limit {
			return sum, time.Unix((h+dayHours)*3600, 0)
		}
	}
	return sum, now.Add(24 * time.Hour)
}

// reservation is a slot that is not yet used, or is being used.
type reservation struct {
	size    int64
	profile bool
	until   time.Time
	putting bool
}

// account is what is known of one owner in memory.
type account struct {
	usage
	slots map[string]*reservation // by id
	seen  time.Time
}

// reserved sums the slots that are still good.
func (a *account) reserved(now time.Time) (bytes, profile int64) {
	for id, r := range a.slots {
		if !r.putting && !now.Before(r.until) {
			delete(a.slots, id)
			continue
		}
		bytes += r.size
		if r.profile {
			profile += r.size
		}
	}
	return bytes, profile
}

// putting counts the slots that are being used.
func (a *account) putting() (n int) {
	for _, r := range a.slots {
		if r.putting {
			n++
		}
	}
	return n
}

// quota keeps the counters: in memory while somebody uses them, and as rows that the units write which change them. All units go down one lane and are
// submitted under mu, so that the last value written is the last one computed.
type quota struct {
	o       Options
	t       tables
	journal journal.Submitter

	steps *journal.Queue // runs what follows a commit

	mu       sync.Mutex
	accounts map[string]*account
	open     map[*account]bool // those that have slots
	total    usage
}

func (q *quota) init(o Options, t tables, j journal.Submitter) {
	q.o, q.t, q.journal = o, t, j
	q.accounts, q.open, q.steps = map[string]*account{}, map[*account]bool{}, journal.NewQueue(nil)
}

// load reads the counters of all.
func (q *quota) load(ctx context.Context) error {
	u, err := q.read(ctx, totalOwner)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.total = u
	return err
}

func (q *quota) read(ctx context.Context, owner string) (u usage, err error) {
	raw, err := q.t.count.Get(ctx, owner, usageKey)
	if err == nil {
		err = json.Unmarshal(raw, &u)
	}
	if err != nil && !notFound(err) {
		return usage{}, fmt.Errorf("upload: read counters: %w", err)
	}
	return u, nil
}

func (q *quota) all() (files, bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.total.Files, q.total.Bytes
}

// with calls fn with an owner's counters under the lock. They are read before it is taken; who comes second finds those of the first.
func (q *quota) with(ctx context.Context, owner string, now time.Time, fn func(a *account) error) error {
	q.mu.Lock()
	a := q.accounts[owner]
	q.mu.Unlock()
	var fresh usage
	if a == nil {
		var err error
		if fresh, err = q.read(ctx, rowsOf(owner)); err != nil {
			return err
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if a = q.accounts[owner]; a == nil {
		if fresh.Hours == nil {
			fresh.Hours = map[int64]int64{}
		}
		a = &account{usage: fresh, slots: map[string]*reservation{}}
		q.accounts[owner] = a
	}
	a.seen = now
	return fn(a)
}

// forget drops the counters of those who have not used them for long.
func (q *quota) forget(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for owner, a := range q.accounts {
		if a.reserved(now); len(a.slots) == 0 && now.Sub(a.seen) > forgetAfter {
			delete(q.accounts, owner)
		}
	}
}

// limits returns what holds for an account; 0 is no limit.
func (q *quota) limits(a *account) (bytes, perDay int64) {
	bytes, perDay = q.o.PerUserBytes, q.o.PerDayBytes
	if a.MaxBytes != nil {
		bytes = *a.MaxBytes
	}
	if a.MaxPerDay != nil {
		perDay = *a.MaxPerDay
	}
	return bytes, perDay
}

// overQuota says which quota stands against a file.
type overQuota struct {
	text  string
	retry time.Time // zero: nobody knows
	// of the user's own bytes: the end of one of her files makes room.
	own bool
	// never: the file is larger than the quota itself.
	never int64
	// busy: it is not about bytes.
	busy bool
}

func (e *overQuota) Error() string { return "upload: " + e.text }

// check holds a file against all quotas; reserved bytes count. It is called under mu.
func (q *quota) check(a *account, size int64, isProfile bool, now time.Time) error {
	bytes, perDay := q.limits(a)
	held, heldProfile := a.reserved(now)
	for _, limit := range []int64{bytes, perDay, q.o.TotalBytes} {
		if limit > 0 && size > limit {
			return &overQuota{text: "the file is larger than the quota", never: limit}
		}
	}
	if isProfile && size > q.o.ProfileBytes {
		return &overQuota{text: "the file is larger than the quota", never: q.o.ProfileBytes}
	}
	if perDay > 0 {
		if sum, retry := a.day(now, size+held, perDay); sum+held+size > perDay {
			return &overQuota{text: fmt.Sprintf("You may upload %d bytes in 24 hours.", perDay), retry: retry}
		}
	}
	switch {
	case bytes > 0 && a.Bytes+held+size > bytes:
		return &overQuota{text: fmt.Sprintf("You may have %d bytes here.", bytes), own: true}
	case isProfile && a.Profile+heldProfile+size > q.o.ProfileBytes:
		return &overQuota{text: fmt.Sprintf("You may have %d bytes of pictures of yourself here.", q.o.ProfileBytes)}
	case q.o.TotalBytes > 0 && q.total.Bytes+q.allReserved(now)+size > q.o.TotalBytes:
		return &overQuota{text: "The server has no room for more files now.", retry: now.Add(time.Hour)}
	}
	return nil
}

func (q *quota) allReserved(now time.Time) (sum int64) {
	for a := range q.open {
		n, _ := a.reserved(now)
		sum += n
		if len(a.slots) == 0 {
			delete(q.open, a)
		}
	}
	return sum
}

// reserve keeps room for a slot.
func (q *quota) reserve(ctx context.Context, sl slot, now time.Time) error {
	return q.with(ctx, sl.User, now, func(a *account) error {
		if err := q.check(a, sl.Size, sl.Purpose == profile, now); err != nil {
			return err
		}
		if len(a.slots) >= maxSlots {
			return &overQuota{text: "Too many uploads have been announced.", retry: now.Add(q.o.SlotTime)}
		}
		q.hold(a, sl, false)
		return nil
	})
}

func (q *quota) hold(a *account, sl slot, putting bool) {
	a.slots[sl.ID] = &reservation{size: max(sl.Size, 0), profile: sl.Purpose == profile, until: time.Unix(sl.Until, 0), putting: putting}
	q.open[a] = true
}

// begin marks a slot as being used; false: it is used already. One that is not known (the server was started anew) is held against the quotas again.
func (q *quota) begin(ctx context.Context, sl slot, exempt bool, now time.Time) (ok bool, err error) {
	err = q.with(ctx, sl.User, now, func(a *account) error {
		r := a.slots[sl.ID]
		switch {
		case r != nil && r.putting:
			return nil
		case !exempt && a.putting() >= maxPuts:
			return &overQuota{text: "Too many of your uploads are under way.", busy: true}
		case r == nil && exempt:
			if q.o.TotalBytes > 0 && q.total.Bytes+max(sl.Size, 0) > q.o.TotalBytes {
				return &overQuota{text: "The server has no room for more files now."}
			}
		case r == nil:
			if err := q.check(a, sl.Size, sl.Purpose == profile, now); err != nil {
				return err
			}
		}
		q.hold(a, sl, true)
		ok = true
		return nil
	})
	return ok, err
}

// giveBack ends the use of a slot of which nothing came: it can be used again until it ends.
func (q *quota) giveBack(sl slot) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if a := q.accounts[sl.User]; a != nil {
		if r := a.slots[sl.ID]; r != nil {
			r.putting = false
		}
	}
}

// abandon forgets a slot that nobody will use.
func (q *quota) abandon(sl slot) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if a := q.accounts[sl.User]; a != nil {
		delete(a.slots, sl.ID)
	}
}

// add counts files that come, writes the counters in u and submits it. done gets the outcome, after the counters of a unit that failed are corrected.
func (q *quota) add(ctx context.Context, u *journal.Unit, f *file, now time.Time, done func(error)) error {
	brought := func(a *account, sign int64) {
		q.count(a, f, sign)
		a.Hours[f.Created/time.Hour.Milliseconds()] += sign * f.Size
	}
	return q.with(ctx, f.User, now, func(a *account) error {
		brought(a, 1)
		return q.submit(u, f.User, a, func() { brought(a, -1) }, func(err error) {
			if err == nil {
				delete(a.slots, f.id)
			}
		}, done)
	})
}

// sub counts files of one owner that go, as add does. What they brought today stays counted.
func (q *quota) sub(ctx context.Context, u *journal.Unit, owner string, files []*file, now time.Time, done func(error)) error {
	gone := func(a *account, sign int64) {
		for _, f := range files {
			q.count(a, f, sign)
		}
	}
	return q.with(ctx, owner, now, func(a *account) error {
		gone(a, -1)
		return q.submit(u, owner, a, func() { gone(a, 1) }, func(error) {}, done)
	})
}

func (q *quota) count(a *account, f *file, sign int64) {
	for _, u := range []*usage{&a.usage, &q.total} {
		u.Files += sign
		u.Bytes += sign * f.Size
		if f.Purpose == profile {
			u.Profile += sign * f.Size
		}
	}
}

// submit is called under mu. undo takes back in memory what was counted, if it could not be written.
func (q *quota) submit(u *journal.Unit, owner string, a *account, undo func(), settle, done func(error)) error {
	if err := q.write(u, owner, a); err != nil {
		undo()
		return err
	}
	u.After(q.steps, func(err error) {
		q.mu.Lock()
		if err != nil {
			undo()
		}
		settle(err)
		q.mu.Unlock()
		done(err)
	})
	q.journal.Submit(u)
	return nil
}

func (q *quota) write(u *journal.Unit, owner string, a *account) error {
	own, err := json.Marshal(a.usage)
	if err != nil {
		return fmt.Errorf("upload: write counters: %w", err)
	}
	all, err := json.Marshal(q.total)
	if err != nil {
		return fmt.Errorf("upload: write counters: %w", err)
	}
	u.Add(storage.PutRow{Table: countTable, Owner: rowsOf(owner), Key: usageKey, Value: own},
		storage.PutRow{Table: countTable, Owner: totalOwner, Key: usageKey, Value: all})
	return nil
}
