package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

const (
	eraseHall = "hall@rooms.example.org"
	eraseDen  = "den@rooms.example.org"
)

// talked is what alice, bob and eve have written: to each other, and in two rooms. Every second message is alice's.
func talked(t *testing.T) (*Archives, map[string]func() []int) {
	t.Helper()
	s, j := kept(t)
	var units []*journal.Unit
	add := func(n int, kind storage.RefKind, from, to string, owners ...string) {
		id := storage.MessageID(noon.Add(-time.Duration(n)*time.Hour).UnixMilli() << 20)
		u := journal.NewUnit(journal.Lane{})
		u.Add(storage.PutMessage{ID: id, Body: fmt.Appendf(nil, "<message xmlns='jabber:client' from='%s/x' to='%s'><body>%d</body></message>", from, to, n)})
		for _, o := range owners {
			peer := to
			if o == to || kind == storage.Room {
				peer = from
			}
			u.Add(storage.PutRef{Ref: storage.Ref{Kind: kind, Owner: o, ID: id, Peer: peer}})
		}
		units = append(units, u)
	}
	const alice, carol = "alice@example.org", "carol@example.org"
	for n := 1; n <= 300; n++ {
		who, other := alice, carol
		if n%2 == 0 {
			who, other = other, who
		}
		add(n, storage.Archive, who, other, alice, carol)
		add(1000+n, storage.Room, who, "", eraseHall)
	}
	add(2000, storage.Room, carol, "", eraseDen)
	add(2001, storage.Archive, carol, "x@example.net", carol)
	for _, err := range s.Commit(t.Context(), units) {
		if err != nil {
			t.Fatal(err)
		}
	}
	left := func(kind storage.RefKind, owner string) func() []int {
		return func() (ns []int) {
			refs, _, err := s.Messages().Refs(t.Context(), kind, owner, storage.Range{Limit: 10_000, Before: storage.MessageID(noon.UnixMilli() << 20)})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range refs {
				ns = append(ns, int(noon.Sub(r.ID.Time())/time.Hour))
			}
			slices.Sort(ns)
			return ns
		}
	}
	a := &Archives{Messages: s.Messages(), Journal: j, IsAccountDomain: func(d string) bool { return d == "example.org" }}
	return a, map[string]func() []int{
		"alice": left(storage.Archive, alice), "carol": left(storage.Archive, carol), "hall": left(storage.Room, eraseHall), "den": left(storage.Room, eraseDen),
	}
}

func numbers(from, to, step int, more ...int) (ns []int) {
	for n := from; n <= to; n += step {
		ns = append(ns, n)
	}
	return append(ns, more...)
}

// What a person has written goes from where the admin says, and nothing else does.
func TestErasePerson(t *testing.T) {
	all, rooms := numbers(1, 300, 1), numbers(1001, 1300, 1)
	for _, tc := range []struct {
		name, want string
		flags      map[string]string
		left       map[string][]int
		forgot     []string
	}{
		{"own", "300 messages were deleted from the archive of alice@example.org.", nil,
			map[string][]int{"carol": append(all, 2001), "hall": rooms, "den": {2000}}, nil},
		{"rooms", "300 messages were deleted from the archive of alice@example.org.\n150 that she wrote were deleted from rooms.", nil,
			map[string][]int{"carol": append(all, 2001), "hall": numbers(1002, 1300, 2), "den": {2000}}, []string{eraseHall}},
		{"everywhere", "\n150 that she wrote were deleted from rooms.\n150 that she wrote were deleted from the archives of others.", nil,
			map[string][]int{"carol": numbers(2, 300, 2, 2001), "hall": numbers(1002, 1300, 2), "den": {2000}}, []string{eraseHall}},
		{"everywhere", "201 messages were deleted from the archive of alice@example.org.\n150 that she wrote were deleted from rooms.\n100 that",
			map[string]string{"before": noon.Add(-99*time.Hour - time.Minute).Format(time.RFC3339)},
			map[string][]int{"alice": numbers(1, 99, 1), "carol": append(numbers(1, 99, 1), numbers(100, 300, 2, 2001)...), "hall": numbers(1002, 1300, 2), "den": {2000}},
			[]string{eraseHall}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, left := talked(t)
			var forgot []string
			a.Forget = func(_ context.Context, room jid.JID) error {
				forgot = append(forgot, room.String())
				return errors.New("asleep") // is no failure of the command
			}
			flags := map[string]string{"yes": "true", "scope": tc.name}
			for k, v := range tc.flags {
				flags[k] = v
			}
			told := int64(0)
			res, err := a.erase(t.Context(), &Request{Args: []string{"alice@example.org"}, Flags: flags, Progress: func(done, _ int64, _ string) { told = done }})
			if err != nil || !strings.Contains(res.Text, tc.want) || told == 0 {
				t.Errorf("got %q, %v; told %d", res.Text, err, told)
			}
			for who, got := range left {
				if d := cmp.Diff(tc.left[who], got()); d != "" {
					t.Errorf("%s (-want +got):\n%s", who, d)
				}
			}
			if d := cmp.Diff(tc.forgot, forgot); d != "" {
				t.Errorf("forgot (-want +got):\n%s", d)
			}
		})
	}
}

// A work that panics is not waited for.
func TestWaitedPanics(t *testing.T) {
	_, j := kept(t)
	a := &Archives{Journal: j}
	if err := a.wait(t.Context(), panics{}); !errors.Is(err, errPanicked) {
		t.Errorf("error %v", err)
	}
}

type panics struct{}

func (panics) Next(context.Context, time.Duration, error) (*journal.Unit, error) { panic("broken") }
