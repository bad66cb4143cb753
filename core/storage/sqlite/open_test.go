package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"modernc.org/sqlite"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

func open(t *testing.T, o Options) *Store {
	t.Helper()
	if o.Dir == "" {
		o.Dir = filepath.Join(t.TempDir(), "data")
	}
	s, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error("Close:", err)
		}
	})
	return s
}

func commit(s *Store, ops ...journal.Op) error {
	u := journal.NewUnit(journal.Lane{})
	u.Add(ops...)
	return s.Commit(context.Background(), []*journal.Unit{u})[0]
}

func row(key string, size int) journal.Op {
	return storage.PutRow{Table: "t", Owner: "o", Key: key, Value: bytes.Repeat([]byte("x"), size)}
}

func TestEveryConnectionIsDurable(t *testing.T) {
	s := open(t, Options{Readers: 4})
	check := func(name string, c *conn) {
		for _, e := range expected {
			if got, err := pragma(c.dc, e.pragma); err != nil || got != e.value {
				t.Errorf("%s: PRAGMA %s is %v (%v), want %v", name, e.pragma, got, err, e.value)
			}
		}
	}
	check("writer", s.w.c)
	check("checkpointer", s.check.c)
	var readers []*conn
	for range cap(s.readers.free) { // all of them, so that none is checked twice
		c := <-s.readers.free
		if c == nil {
			var err error
			if c, err = s.readers.c.open(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		readers = append(readers, c)
	}
	for i, c := range readers {
		check(fmt.Sprint("reader ", i), c)
		s.readers.free <- c
	}
	if len(readers) != 4 {
		t.Errorf("%d readers, want 4", len(readers))
	}
}

func TestConnectionThatIsNotDurableIsRefused(t *testing.T) {
	for name, params := range map[string]string{
		"synchronous":     "?_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=wal_autocheckpoint(0)",
		"journal mode":    "?_pragma=journal_mode(DELETE)&_pragma=synchronous(FULL)&_pragma=wal_autocheckpoint(0)",
		"auto-checkpoint": "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)",
	} {
		t.Run(name, func(t *testing.T) {
			inner, err := sqlite.NewConnector(filepath.Join(t.TempDir(), "x.db") + params)
			if err != nil {
				t.Fatal(err)
			}
			c, err := (&connector{inner}).Connect(t.Context())
			if err == nil {
				_ = c.Close()
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), "refusing to run") {
				t.Error(err)
			}
		})
	}
}

func TestModes(t *testing.T) {
	s := open(t, Options{})
	if err := commit(s, row("k", 10)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{"": 0o700, dbName: 0o600, dbName + "-wal": 0o600, dbName + "-shm": 0o600, lockName: 0o600} {
		fi, err := os.Stat(filepath.Join(s.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := fi.Mode().Perm(); got != want {
			t.Errorf("%q has mode %o, want %o", name, got, want)
		}
	}
}

func TestLocked(t *testing.T) {
	s := open(t, Options{})
	_, err := Open(t.Context(), Options{Dir: s.dir})
	if !errors.Is(err, storage.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("process %d ", os.Getpid())) {
		t.Errorf("second Open: %v", err)
	}
	if err := Restore(t.Context(), RestoreOptions{Dir: s.dir, Replace: true, From: strings.NewReader("")}); !errors.Is(err, storage.ErrLocked) {
		t.Errorf("Restore: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := commit(s, row("k", 1)); !errors.Is(err, journal.ErrUnavailable) {
		t.Errorf("commit after Close: %v", err)
	}
	if _, err := s.Table("t").Get(t.Context(), "o", "k"); err == nil {
		t.Error("read after Close succeeded")
	}
	open(t, Options{Dir: s.dir})
}

// asNobody calls fn with the file access of nobody if the test runs as root. The thread on which it does so ends with it.
func asNobody(t *testing.T, fn func()) {
	t.Helper()
	if os.Getuid() != 0 {
		fn()
		return
	}
	failed := make(chan syscall.Errno, 1)
	go func() {
		defer close(failed)
		runtime.LockOSThread()
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETFSUID, 65534, 0, 0); errno != 0 {
			failed <- errno
			return
		}
		fn()
	}()
	if errno, bad := <-failed; bad {
		t.Skip("cannot give up root:", errno)
	}
}

func TestBadDirectories(t *testing.T) {
	for _, tc := range []struct {
		name string
		make func(t *testing.T, dir string)
		want string
		is   error
	}{
		{"read-only", func(t *testing.T, dir string) {
			must(t, os.Mkdir(dir, 0o500))
		}, "is read-only: make it and its files writable", nil},
		{"a file", func(t *testing.T, dir string) {
			must(t, os.WriteFile(dir, nil, 0o600))
		}, "make the data directory", nil},
		{"not a database", func(t *testing.T, dir string) {
			must(t, os.Mkdir(dir, 0o700))
			must(t, os.WriteFile(filepath.Join(dir, dbName), bytes.Repeat([]byte("nonsense"), 1000), 0o600))
		}, "is not a database: move it away, or restore a backup", ErrCorrupt},
		{"damaged", func(t *testing.T, dir string) {
			fresh(t, dir)
			f, err := os.OpenFile(filepath.Join(dir, dbName), os.O_WRONLY, 0)
			must(t, err)
			_, err = f.WriteAt(bytes.Repeat([]byte{0xab}, 8000), 100) // the schema
			must(t, err)
			must(t, f.Close())
		}, "is damaged: restore a backup", ErrCorrupt},
		{"of another program", func(t *testing.T, dir string) {
			must(t, os.Mkdir(dir, 0o700))
			change(t, dir, "CREATE TABLE theirs(x)")
		}, "is a database of another program", nil},
		{"too new", func(t *testing.T, dir string) {
			fresh(t, dir)
			change(t, dir, "INSERT INTO schema_version(version_id, is_applied) VALUES(9999, 1)")
		}, "install that version, or restore a backup of this one", storage.ErrTooNew},
	} {
		t.Run(tc.name, func(t *testing.T) {
			parent := t.TempDir()
			must(t, os.Chmod(parent, 0o755))
			must(t, os.Chmod(filepath.Dir(parent), 0o755))
			dir := filepath.Join(parent, "data")
			tc.make(t, dir)
			var s *Store
			var err error
			try := func() { s, err = Open(t.Context(), Options{Dir: dir}) }
			if tc.name == "read-only" {
				asNobody(t, try)
			} else {
				try()
			}
			if err == nil {
				_ = s.Close()
				t.Fatal("opened")
			}
			if msg := err.Error(); !strings.Contains(msg, tc.want) || strings.Contains(msg, "\n") || !strings.Contains(msg, dir) {
				t.Errorf("error %q, want one line with %q and the directory", msg, tc.want)
			}
			if tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("error %v is not %v", err, tc.is)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func fresh(t *testing.T, dir string) {
	t.Helper()
	s, err := Open(t.Context(), Options{Dir: dir})
	must(t, err)
	must(t, s.Close())
}

// change runs a statement on the database of a directory.
func change(t *testing.T, dir, query string) {
	t.Helper()
	from, err := newConnector(filepath.Join(dir, dbName), 1000)
	must(t, err)
	c, err := from.open(t.Context())
	must(t, err)
	_, err = c.exec(query)
	must(t, err)
	must(t, c.close())
}
