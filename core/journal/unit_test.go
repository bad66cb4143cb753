package journal

import (
	"context"
	"testing"
)

type namedOp string

func (namedOp) JournalOp() {}

type nullBackend struct{}

func (nullBackend) Commit(_ context.Context, units []*Unit) []error { return make([]error, len(units)) }

func TestRide(t *testing.T) {
	for _, tc := range []struct {
		name string
		ops  []Op
		want []Op
	}{
		{"behind the unit's own rows", []Op{namedOp("a"), namedOp("b")}, []Op{namedOp("a"), namedOp("b"), namedOp("rider")}},
		{"left out without rows", nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := New(Options{Backend: nullBackend{}})
			c.Start()
			u := NewUnit(AccountLane("bob@example.org"))
			u.Ride(namedOp("rider"))
			u.Add(tc.ops...)
			if u.Empty() != (len(tc.ops) == 0) {
				t.Errorf("Empty is %v with %d rows", u.Empty(), len(tc.ops))
			}
			if u.Submitted() {
				t.Error("submitted before Submit")
			}
			c.Submit(u)
			if err := c.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !u.Submitted() {
				t.Error("not submitted after Submit")
			}
			got := u.Ops()
			if len(got) != len(tc.want) {
				t.Fatalf("rows %v, want %v", got, tc.want)
			}
			for i := range got {
				if got[i] != tc.want[i] {
					t.Errorf("row %d is %v, want %v", i, got[i], tc.want[i])
				}
			}
		})
	}
}

func TestUnitBack(t *testing.T) {
	q := NewQueue(nil)
	u := NewUnit(AccountLane("a@example.org"))
	u.Add(sizedOp(3))
	u.After(q, func(error) {})
	m := u.Mark()
	u.Add(sizedOp(5), sizedOp(7))
	u.After(q, func(error) {})
	u.Back(m)
	if len(u.Ops()) != 1 || u.Size() != 3 || len(u.after) != 1 {
		t.Errorf("after Back: %d rows, %d bytes, %d steps; want 1, 3, 1", len(u.Ops()), u.Size(), len(u.after))
	}
	u.Add(sizedOp(2))
	if got := u.Ops()[1]; got != Op(sizedOp(2)) {
		t.Errorf("the row behind the mark is %v", got)
	}
}

type sizedOp int

func (sizedOp) JournalOp()    {}
func (s sizedOp) OpSize() int { return int(s) }
