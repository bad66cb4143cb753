package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// TestStoreThatCannotWrite has commits fail for a while: each outcome says why and what to do, nothing is written by half, and the store goes
// on when it can.
func TestStoreThatCannotWrite(t *testing.T) {
	for name, tc := range map[string]struct {
		begin, end, want string
	}{
		"full":      {"PRAGMA max_page_count=1", "PRAGMA max_page_count=1000000", "is full: free some space"},
		"read-only": {"PRAGMA query_only=1", "PRAGMA query_only=0", "is read-only: make it and its files writable"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, Options{})
			must(t, commit(s, row("before", 10)))
			_, err := s.w.c.exec(tc.begin)
			must(t, err)
			units := make([]*journal.Unit, 3)
			for i := range units {
				units[i] = journal.NewUnit(journal.Lane{})
				units[i].Add(row(fmt.Sprint("during", i), 100_000),
					storage.PutMessage{ID: storage.MessageID(i + 1), Body: make([]byte, 50_000)},
					storage.PutRef{Ref: storage.Ref{Kind: storage.Archive, Owner: "new owner", ID: storage.MessageID(i + 1)}})
			}
			for i, err := range s.Commit(t.Context(), units) {
				if !errors.Is(err, journal.ErrUnavailable) || !strings.Contains(fmt.Sprint(err), tc.want) || strings.Contains(fmt.Sprint(err), "\n") {
					t.Errorf("unit %d: %v, want one line with %q", i, err, tc.want)
				}
			}
			if rows, err := s.Table("t").Range(t.Context(), "o", "", "", 0, false); err != nil || len(rows) != 1 {
				t.Errorf("reading meanwhile: %d rows, %v", len(rows), err)
			}
			_, err = s.w.c.exec(tc.end)
			must(t, err)
			for i, err := range s.Commit(t.Context(), units) {
				if err != nil {
					t.Errorf("unit %d afterwards: %v", i, err)
				}
			}
			if n, err := s.Messages().Count(t.Context(), storage.Archive, "new owner", 0); err != nil || n != 3 {
				t.Errorf("%d messages afterwards, %v", n, err)
			}
		})
	}
}

// TestFullDisk fills a real file system, through the committer.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=6m"); err != nil {
		t.Skip("cannot mount a small file system here:", err)
	}
	defer func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	s, err := Open(t.Context(), Options{Dir: filepath.Join(dir, "data")})
	must(t, err)
	defer s.Close()
	filler := filepath.Join(dir, "filler")
	must(t, os.WriteFile(filler, make([]byte, 3<<20), 0o600))

	c := journal.New(journal.Options{Backend: s})
	c.Start()
	outcomes := make(chan error, 1)
	q := journal.NewQueue(nil)
	put := func(n int) error {
		u := journal.NewUnit(journal.Lane{})
		u.Add(row(fmt.Sprintf("%04d", n), 20_000))
		u.After(q, func(err error) { outcomes <- err })
		c.Submit(u)
		return <-outcomes
	}
	acked := 0
	for ; err == nil && acked < 1000; acked++ {
		err = put(acked)
	}
	acked--
	if !errors.Is(err, journal.ErrUnavailable) || !strings.Contains(fmt.Sprint(err), "full") {
		t.Fatalf("after %d units: %v", acked, err)
	}
	must(t, os.Remove(filler))
	for n := acked; n < acked+20; n++ {
		if err := put(n); err != nil {
			t.Fatal("with space again:", err)
		}
	}
	must(t, c.Stop(context.Background()))
	must(t, s.Close())
	again, err := Open(t.Context(), Options{Dir: filepath.Join(dir, "data")})
	must(t, err)
	defer again.Close()
	rows, err := again.Table("t").Range(t.Context(), "o", "", "", 10_000, false)
	if err != nil || len(rows) != acked+20 {
		t.Errorf("%d rows, %v; %d were acknowledged", len(rows), err, acked+20)
	}
	must(t, again.Check(t.Context()))
}
