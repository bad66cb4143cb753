package sqlite

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnfinished: what a crash during a backup or a restoration leaves is gone after the next start, and nothing else is.
func TestUnfinished(t *testing.T) {
	dir := t.TempDir()
	must(t, open(t, Options{Dir: dir}).Close())
	write := func(path string) {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o700))
		must(t, os.WriteFile(filepath.Join(dir, path), []byte("x"), 0o600))
	}
	for _, path := range []string{unfinished + "123/" + dbName, unfinished + "123/" + dbName + "-journal", unfinished + "4/nothing", dbName + restoring, dbName + restoring + "-wal"} {
		write(path)
	}
	kept := []string{"backup-20260101/" + dbName, dbName + ".before-restore", "notes"}
	for _, path := range kept {
		write(path)
	}
	open(t, Options{Dir: dir})
	left, err := filepath.Glob(filepath.Join(dir, "*"+restoring+"*"))
	hidden, err2 := filepath.Glob(filepath.Join(dir, unfinished+"*"))
	if len(left)+len(hidden) > 0 || err != nil || err2 != nil {
		t.Errorf("left: %v %v", left, hidden)
	}
	for _, path := range kept {
		if _, err := os.Stat(filepath.Join(dir, path)); err != nil {
			t.Error(err)
		}
	}
}

func TestRestore(t *testing.T) {
	source := open(t, Options{})
	must(t, commit(source, row("restored", 10)))
	var backup bytes.Buffer
	must(t, source.Backup(t.Context(), &backup))
	if left, err := filepath.Glob(filepath.Join(source.dir, unfinished+"*")); err != nil || len(left) > 0 {
		t.Errorf("the backup left %v", left)
	}
	tooNew := filepath.Join(t.TempDir(), "new")
	fresh(t, tooNew)
	change(t, tooNew, "INSERT INTO schema_version(version_id, is_applied) VALUES(9999, 1)")
	newer, err := os.ReadFile(filepath.Join(tooNew, dbName))
	must(t, err)
	cut := backup.Bytes()[:backup.Len()/2]

	for _, tc := range []struct {
		name    string
		old     func(t *testing.T, dir string)
		from    []byte
		replace bool
		want    string // part of the error
		key     string // what is there afterwards; "": nothing can be opened
	}{
		{"into nothing", nil, backup.Bytes(), false, "", "restored"},
		{"over a database", oldDB, backup.Bytes(), false, "there is a database already", "old"},
		{"over a database, allowed", oldDB, backup.Bytes(), true, "", "restored"},
		{"over a killed database", killedDB, backup.Bytes(), true, "", "restored"},
		{"over a damaged database", func(t *testing.T, dir string) {
			killedDB(t, dir)
			must(t, os.WriteFile(filepath.Join(dir, dbName), []byte(strings.Repeat("nonsense", 1000)), 0o600))
		}, backup.Bytes(), true, "", "restored"},
		{"half a backup", oldDB, cut, true, "cannot be used", "old"},
		{"no backup", oldDB, []byte("nonsense"), true, "cannot be used", "old"},
		{"an empty file", oldDB, nil, true, "no database of this server", "old"},
		{"a newer backup", oldDB, newer, true, "written by a newer version", "old"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			if tc.old != nil {
				tc.old(t, dir)
			}
			err := Restore(t.Context(), RestoreOptions{Dir: dir, From: bytes.NewReader(tc.from), Replace: tc.replace})
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("Restore: %v, want %q", err, tc.want)
			}
			if tc.want == "there is a database already" && !errors.Is(err, ErrExists) {
				t.Error("the error is not ErrExists")
			}
			s := open(t, Options{Dir: dir})
			rows, err := s.Table("t").Range(t.Context(), "o", "", "", 0, false)
			if err != nil || len(rows) != 1 || rows[0].Key != tc.key {
				t.Errorf("rows %v, %v; want %q", rows, err, tc.key)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "*restoring*")); len(left) > 0 {
				t.Errorf("left over: %v", left)
			}
			if _, err := os.Stat(filepath.Join(dir, dbName+".before-restore")); (err == nil) != (tc.key == "restored" && tc.old != nil) {
				t.Errorf("the old database: %v", err)
			}
		})
	}
}

func oldDB(t *testing.T, dir string) {
	t.Helper()
	s, err := Open(t.Context(), Options{Dir: dir})
	must(t, err)
	must(t, commit(s, row("old", 10)))
	must(t, s.Close())
}

// killedDB leaves a database with its WAL, as a killed process does.
func killedDB(t *testing.T, dir string) {
	t.Helper()
	s := open(t, Options{})
	must(t, commit(s, row("old", 10)))
	must(t, os.Mkdir(dir, 0o700))
	for _, name := range []string{dbName, dbName + "-wal"} {
		b, err := os.ReadFile(filepath.Join(s.dir, name))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
}
