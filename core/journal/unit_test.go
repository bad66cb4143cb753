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
