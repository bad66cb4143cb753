package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/storage/sqlite"
)

// The tests of this package run themselves as a child process that is traced or killed; these variables tell it so.
const (
	childDir    = "VIADUCT_SQLITE_CHILD_DIR"
	childFrom   = "VIADUCT_SQLITE_CHILD_FROM"
	childGroups = "VIADUCT_SQLITE_CHILD_GROUPS"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// number reads an environment variable.
func number(name string) int {
	n, _ := strconv.Atoi(os.Getenv(name))
	return n
}

// child commits numbered units in groups and writes the number of each group's last unit to standard output once Commit has returned. With
// no number of groups it goes on until it is killed.
func child(dir string) error {
	ctx := context.Background()
	s, err := sqlite.Open(ctx, childOptions(dir))
	if err != nil {
		return err
	}
	rnd := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 3))
	n, groups := number(childFrom), number(childGroups)
	for g := 0; groups == 0 || g < groups; g++ {
		units := make([]*journal.Unit, 1+rnd.IntN(12))
		for i := range units {
			units[i] = numbered(n)
			n++
		}
		for _, err := range s.Commit(ctx, units) {
			if err != nil {
				return err
			}
		}
		if _, err := fmt.Fprintf(os.Stdout, "acked %d\n", n-1); err != nil {
			return err
		}
	}
	return s.Close()
}

// childOptions have a WAL so small that checkpoints run all the time, also such as hold the writer.
func childOptions(dir string) sqlite.Options {
	return sqlite.Options{Dir: dir, WALSoft: 64 << 10, WALLimit: 256 << 10, CacheKiB: 256}
}

const childSession = "5e55"

// numbered is the unit of a number: rows in several tables, of which all must be there or none.
func numbered(n int) *journal.Unit {
	id := childID(n)
	u := journal.NewUnit(journal.AccountLane("bob@example.org"))
	key := [16]byte{byte(n), byte(n >> 8), byte(n >> 16)}
	u.Add(
		storage.Dedupe{Scope: "bob", Key: key, ID: int64(n)},
		storage.PutMessage{ID: id, Body: childBody(n)},
		storage.PutRef{Ref: storage.Ref{Kind: storage.Archive, Owner: fmt.Sprintf("person%d@example.org", n%50), ID: id, Peer: "bob@example.org"}},
		storage.PutRef{Ref: storage.Ref{Kind: storage.Archive, Owner: "bob@example.org", ID: id}},
		storage.PutRef{Ref: storage.Ref{Kind: storage.Unacked, Owner: childSession, ID: id}},
		storage.PutRow{Table: "t", Owner: "bob", Key: fmt.Sprintf("%09d", n), Value: childBody(n)},
	)
	if n%5 == 0 {
		u.Add(storage.SessionOut{ID: childSession, H: uint32(n), Through: id})
	}
	return u
}

func childID(n int) storage.MessageID { return storage.MessageID(n+1) << 20 }

// childBody is different for each number, and now and then longer than a page.
func childBody(n int) []byte {
	body := fmt.Appendf(nil, "<message id='%d'>", n)
	for len(body) < 100+n%7*50 || n%40 == 0 && len(body) < 6000 {
		body = fmt.Appendf(body, "%d ", n*n)
	}
	return body
}

// checkChild opens what a child left and makes sure that every unit up to acked is there, that every unit is whole, and that there is none
// after the first that is missing. It returns the number of units.
func checkChild(t *testing.T, dir string, acked int) int {
	t.Helper()
	ctx := context.Background()
	s, err := sqlite.Open(ctx, childOptions(dir))
	if err != nil {
		t.Fatal("open what is left:", err)
	}
	defer s.Close()
	if err := s.Check(ctx); err != nil {
		t.Fatal("check:", err)
	}
	rows, err := s.Table("t").Range(ctx, "bob", "", "", 10_000_000, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) <= acked {
		t.Errorf("%d units are left, %d were acknowledged", len(rows), acked+1)
	}
	mine, _, err := s.Messages().List(ctx, storage.Archive, "bob@example.org", storage.Range{Limit: 10_000_000})
	if err != nil {
		t.Fatal(err)
	}
	if len(mine) != len(rows) {
		t.Fatalf("%d archived messages and %d rows", len(mine), len(rows))
	}
	others := 0
	for p := range 50 {
		n, err := s.Messages().Count(ctx, storage.Archive, fmt.Sprintf("person%d@example.org", p), 0)
		if err != nil {
			t.Fatal(err)
		}
		others += n
	}
	if others != len(rows) {
		t.Errorf("%d references of the other people, %d units", others, len(rows))
	}
	for n, row := range rows {
		if row.Key != fmt.Sprintf("%09d", n) || string(row.Value) != string(childBody(n)) ||
			mine[n].ID != childID(n) || string(mine[n].Body) != string(childBody(n)) {
			t.Fatalf("unit %d: row %q, message %d", n, row.Key, mine[n].ID)
		}
	}
	checkUnacked(t, s, len(rows))
	checkRetries(t, s, len(rows))
	return len(rows)
}

// checkUnacked: the acknowledgement of every fifth unit is part of it.
func checkUnacked(t *testing.T, s *sqlite.Store, units int) {
	t.Helper()
	list, _, err := s.Messages().Refs(context.Background(), storage.Unacked, childSession, storage.Range{})
	if err != nil {
		t.Fatal(err)
	}
	if want := max(0, (units-1)%5); len(list) != want {
		t.Errorf("%d unacknowledged messages after %d units, want %d", len(list), units, want)
	}
}

// checkRetries: the last unit is recognised as a repetition, the next is not.
func checkRetries(t *testing.T, s *sqlite.Store, units int) {
	t.Helper()
	ctx := context.Background()
	if units == 0 {
		return
	}
	var dup *journal.DuplicateError
	if err := s.Commit(ctx, []*journal.Unit{numbered(units - 1)})[0]; !errors.As(err, &dup) || dup.ID != int64(units-1) {
		t.Errorf("repeating unit %d: %v", units-1, err)
	}
}

// acks reads the acknowledgements of a child and returns the last.
func acks(r io.Reader, each func(n int)) (last int) {
	last = -1
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if n, err := fmt.Sscanf(lines.Text(), "acked %d", &last); n == 1 && err == nil && each != nil {
			each(last)
		}
	}
	return last
}
