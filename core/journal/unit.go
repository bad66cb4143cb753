package journal

import (
	"errors"
	"sync/atomic"
)

// Errors with which a unit can fail; the after-commit steps receive them, wrapped or as they are.
var (
	// ErrConflict: a compare-and-set of the unit found another value; nothing of the unit was written.
	ErrConflict = errors.New("journal: conflict")
	// ErrStale: the unit's epoch is older than the owner's (cluster fencing); nothing of the unit was written.
	ErrStale = errors.New("journal: stale epoch")
	// ErrStopped: the committer was stopped before the unit could be committed.
	ErrStopped = errors.New("journal: stopped")
	// ErrUnavailable: the transaction failed as a whole (disk full, read-only, I/O error) and nothing of the group was written. A backend
	// wraps it together with the cause; the committer then tries the group's units one by one.
	ErrUnavailable = errors.New("journal: store unavailable")
)

// DuplicateError says that the unit repeats one that was committed before (see storage.Dedupe); nothing of it was written.
// ID is the id of the first one.
type DuplicateError struct{ ID int64 }

func (e *DuplicateError) Error() string { return "journal: duplicate of a committed unit" }

// Op is one row operation. The types are defined by core/storage and known to every backend; journal only carries them.
type Op interface{ JournalOp() }

// LaneKind says what kind of thing a lane orders.
type LaneKind uint8

// The kinds of lanes.
const (
	LaneServer LaneKind = iota // work that belongs to nobody else
	LaneAccount
	LaneRoom
	LaneLink   // a portal or link of a bridge
	LaneDomain // a remote domain
)

// Lane is the key of an order: units of one lane take effect in the order of their submission.
type Lane struct {
	Kind LaneKind
	Key  string // bare JID, room JID, portal key or domain
}

// AccountLane is the lane of an account's bare JID.
func AccountLane(bare string) Lane { return Lane{LaneAccount, bare} }

// RoomLane is the lane of a room's JID.
func RoomLane(room string) Lane { return Lane{LaneRoom, room} }

// LinkLane is the lane of a portal or link of a bridge.
func LinkLane(portal string) Lane { return Lane{LaneLink, portal} }

// DomainLane is the lane of a remote domain.
func DomainLane(domain string) Lane { return Lane{LaneDomain, domain} }

// Poster takes functions to run later, in order, on the owner's behalf. Post never blocks.
type Poster interface{ Post(fn func()) }

// StepPoster is a Poster that takes a step with its outcome as it is, which saves a closure for each. Queue is one.
type StepPoster interface {
	Poster
	PostStep(run func(err error), err error)
}

// Step is what happens after the commit: Run is posted to Queue with the unit's outcome (nil: durable).
type Step struct {
	Queue Poster
	Run   func(err error)
}

// Unit is one piece of durable work: all of its rows are committed or none. It is built by one goroutine at a time and must not be
// touched after Submit.
type Unit struct {
	Lane  Lane
	Epoch uint64 // the writer's epoch as owner of the lane; 0 on a single node

	ops       []Op
	riders    []Op
	after     []Step
	size      int
	submitted atomic.Bool
}

// NewUnit returns an empty unit of the given lane.
func NewUnit(lane Lane) *Unit { return &Unit{Lane: lane} }

// Sized is implemented by ops that carry large values; the sum bounds the bytes that wait in the committer.
type Sized interface{ OpSize() int }

// Add appends row operations; they are executed in this order.
func (u *Unit) Add(ops ...Op) {
	u.ops = append(u.ops, ops...)
	for _, op := range ops {
		if s, ok := op.(Sized); ok {
			u.size += s.OpSize()
		}
	}
}

// Lead puts a row operation before all others: what recognises a repetition must be the first (storage.Dedupe), and whether it is needed is
// known only once the others are there.
func (u *Unit) Lead(op Op) {
	u.Add(op)
	copy(u.ops[1:], u.ops)
	u.ops[0] = op
}

// Ride appends row operations that are written behind the others if there are any, and left out if the unit has no rows of its own: a
// counter that must be exact where something durable happened, and must not make what is not durable wait.
func (u *Unit) Ride(ops ...Op) { u.riders = append(u.riders, ops...) }

// Mark is a state of a unit to which Back returns.
type Mark struct{ ops, after, size int }

// Mark remembers what the unit holds.
func (u *Unit) Mark() Mark { return Mark{len(u.ops), len(u.after), u.size} }

// Back drops the row operations and steps that were added since the mark: what they belonged to was refused in the end. Riders stay, and
// nothing may have been put before the others since (Lead).
func (u *Unit) Back(m Mark) { u.ops, u.after, u.size = u.ops[:m.ops], u.after[:m.after], m.size }

// Submitted tells whether the unit has been handed to the committer. Unlike the rest it may be asked at any time.
func (u *Unit) Submitted() bool { return u.submitted.Load() }

// seal joins the riders to the rows, at Submit.
func (u *Unit) seal() {
	if len(u.ops) > 0 && len(u.riders) > 0 {
		u.Add(u.riders...)
	}
	u.riders = nil
	u.submitted.Store(true)
}

// After appends a step: once the unit is committed or has failed, run is posted to q with the outcome. Steps are posted in the order in
// which they were added. A nil q is not allowed: every step has an owner.
func (u *Unit) After(q Poster, run func(err error)) { u.after = append(u.after, Step{q, run}) }

// Ops returns the row operations; for backends.
func (u *Unit) Ops() []Op { return u.ops }

// Empty tells whether the unit has no rows: then it needs no commit, only its place in the lane.
func (u *Unit) Empty() bool { return len(u.ops) == 0 }

// Size is the sum of the sizes of the ops in bytes, as far as they tell.
func (u *Unit) Size() int { return u.size }

// finish posts the steps with the outcome.
func (u *Unit) finish(err error) {
	for _, s := range u.after {
		if q, ok := s.Queue.(StepPoster); ok {
			q.PostStep(s.Run, err)
			continue
		}
		run := s.Run
		s.Queue.Post(func() { run(err) })
	}
	u.after = nil
}
