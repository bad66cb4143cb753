package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
)

// writer owns the writing connection and what is known of the committed state beside it.
type writer struct {
	mu      sync.Mutex
	c       *conn
	closed  bool
	open    bool // a transaction is
	owners  *names
	peers   *names
	epochs  map[journal.Lane]uint64
	ownIDs  int64 // the highest id that is not a body's, as in meta
	indexed int64 // as in meta: how far the index of words is
	mapped  int64 // as in meta: no block of a list ends behind it
	retries *retries
	clock   func() time.Time
	b       batch // scratch of one group
}

func newWriter(c *conn, r *retries, clock func() time.Time) (*writer, error) {
	w := &writer{c: c, owners: newNames(), peers: newNames(), epochs: map[journal.Lane]uint64{}, retries: r, clock: clock}
	w.b.init(w)
	if err := w.loadEpochs(); err != nil {
		return nil, err
	}
	for key, at := range map[string]*int64{"last_id": &w.ownIDs, "indexed": &w.indexed, "mapped": &w.mapped} {
		v, _, err := c.one(`SELECT value FROM meta WHERE key = ?`, key)
		if err != nil {
			return nil, err
		}
		*at = integer(v)
	}
	return w, nil
}

func (w *writer) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	w.closed = true
	_, err := w.c.exec("PRAGMA wal_checkpoint(TRUNCATE)")
	return first(err, w.c.close())
}

// errCareful: something came up in a group that was not expected; it is rolled back and done again with a savepoint around each unit.
var errCareful = errors.New("sqlite: the group needs savepoints")

// Commit implements journal.Backend. ctx is only looked at before the transaction begins: a group is never cut short.
func (s *Store) Commit(ctx context.Context, units []*journal.Unit) []error {
	errs := make([]error, len(units))
	if len(units) == 0 {
		return errs
	}
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	err := ctx.Err()
	if err == nil && s.w.closed {
		err = errClosed
	}
	start := s.o.Clock()
	if err == nil {
		err = s.w.transaction(units, errs, false, s.o.beforeSync)
		if errors.Is(err, errCareful) {
			clear(errs)
			s.stats.careful.Add(1)
			err = s.w.transaction(units, errs, true, s.o.beforeSync)
		}
	}
	if err != nil {
		err = s.unavailable(err)
		for i := range errs {
			errs[i] = err
		}
	}
	s.stats.commit(len(units), s.o.Clock().Sub(start), err)
	s.check.wrote(units)
	return errs
}

// transaction writes a group. In careful mode each unit has a savepoint and is written out before the next. The error means the group.
func (w *writer) transaction(units []*journal.Unit, errs []error, careful bool, beforeSync func()) (err error) {
	if w.open { // what a panic left
		w.rollback()
	}
	if _, err := w.c.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	w.open = true
	w.b.reset()
	w.b.careful = careful
	defer func() {
		if err != nil {
			w.rollback()
		}
	}()
	for i, u := range units {
		if errs[i], err = w.unit(u, careful); err != nil {
			return err
		}
	}
	if err := w.b.flush(); err != nil {
		return careless(err, careful)
	}
	if beforeSync != nil {
		beforeSync()
	}
	if _, err := w.c.exec("COMMIT"); err != nil {
		return err
	}
	w.open = false
	w.b.publish()
	return nil
}

func (w *writer) rollback() {
	// SQLite may have ended the transaction by itself (sqlite.org/lang_transaction.html §2.3): then this fails, and nothing is open either.
	_, _ = w.c.exec("ROLLBACK")
	w.open = false
	w.b.back(bookmark{})
}

// careless turns an error that is not the store's into errCareful, unless savepoints were there already.
func careless(err error, careful bool) error {
	if fatal(err) || careful {
		return err
	}
	return errCareful
}

// unit writes one unit: outcome is why nothing of it was written, err means the whole group.
func (w *writer) unit(u *journal.Unit, careful bool) (outcome, err error) {
	guarded, err := w.guarded(u)
	if err != nil {
		return err, nil
	}
	if careful || guarded {
		return w.inSavepoint(u)
	}
	if u.Epoch < w.b.epoch(u.Lane) {
		return journal.ErrStale, nil
	}
	for i, op := range u.Ops() {
		if err := w.b.apply(op); err != nil {
			if i == 0 && expectedFailure(err) { // it has written nothing
				return err, nil
			}
			return nil, careless(err, false)
		}
	}
	return nil, nil
}

// guarded tells whether a unit can fail after it has written something: one of its operations but the first is conditional.
func (w *writer) guarded(u *journal.Unit) (bool, error) {
	for i, op := range u.Ops() {
		h, ok := handlerOf(op)
		if !ok {
			return false, fmt.Errorf("sqlite: unknown operation %T", op)
		}
		if h.conditional && i > 0 {
			return true, nil
		}
	}
	return u.Epoch > w.b.epoch(u.Lane), nil // it raises the epoch before it can fail
}

func expectedFailure(err error) bool {
	var dup *journal.DuplicateError
	return errors.Is(err, journal.ErrConflict) || errors.Is(err, journal.ErrStale) || errors.As(err, &dup)
}

// inSavepoint writes a unit so that it can be taken back alone.
func (w *writer) inSavepoint(u *journal.Unit) (outcome, err error) {
	if err := w.b.flush(); err != nil {
		return nil, careless(err, false)
	}
	if _, err := w.c.exec("SAVEPOINT unit"); err != nil {
		return nil, err
	}
	mark := w.b.mark()
	outcome = w.b.claim(u.Lane, u.Epoch)
	for _, op := range u.Ops() {
		if outcome == nil {
			outcome = w.b.apply(op)
		}
	}
	if outcome == nil {
		outcome = w.b.flush()
	}
	if outcome == nil {
		_, err = w.c.exec("RELEASE unit")
		return nil, err
	}
	if fatal(outcome) || errors.Is(outcome, errCareful) {
		return nil, outcome
	}
	w.b.back(mark)
	if _, err := w.c.exec("ROLLBACK TO unit"); err != nil {
		return nil, err
	}
	_, err = w.c.exec("RELEASE unit")
	return outcome, err
}

// stats count what the store did.
func (s *stats) commit(units int, d time.Duration, err error) {
	s.commits.Add(1)
	s.units.Add(int64(units))
	s.commitNanos.Add(int64(d))
	if err != nil {
		s.failed.Add(1)
	}
}
