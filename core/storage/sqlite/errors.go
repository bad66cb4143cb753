package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"modernc.org/sqlite"

	"github.com/viaduct-xmpp/viaduct/core/journal"
)

// Primary result codes (sqlite.org/rescode.html).
const (
	codePerm     = 3
	codeBusy     = 5
	codeLocked   = 6
	codeNoMem    = 7
	codeReadOnly = 8
	codeIOErr    = 10
	codeCorrupt  = 11
	codeFull     = 13
	codeCantOpen = 14
	codeProtocol = 15
	codeNotADB   = 26
)

// ErrCorrupt: the database file is damaged or is none.
var ErrCorrupt = errors.New("sqlite: the database is damaged")

// code returns the primary result code of a driver's error, 0 if it is none.
func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// hints say what to do about an error; %s is the data directory.
var hints = map[int]string{
	codePerm:     "the files in %s may not be opened: give them to the user of the server",
	codeReadOnly: "%s is read-only: make it and its files writable for the user of the server",
	codeCantOpen: "the database in %s cannot be opened: make the directory and its files readable and writable for the user of the server",
	codeFull:     "the disk of %s is full: free some space; the server goes on by itself",
	codeIOErr:    "the disk of %s fails or is full: look at the system's log and its free space",
	codeBusy:     "another program uses the database in %s: end it",
	codeCorrupt:  "the database in %s is damaged: restore a backup (viaduct restore FILE), or save what can be read with sqlite3's .recover",
	codeNotADB:   "the file viaduct.db in %s is not a database: move it away, or restore a backup (viaduct restore FILE)",
}

// explain adds to an error what its cause means for the operator, in the same line.
func explain(op, dir string, err error) error {
	if err == nil {
		return nil
	}
	c := code(err)
	switch {
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		c = codeReadOnly
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		c = codeFull
	}
	hint, ok := hints[c]
	if !ok {
		return fmt.Errorf("sqlite: %s: %w", op, err)
	}
	if c == codeCorrupt || c == codeNotADB {
		return fmt.Errorf("%w: %s: %s (%w)", ErrCorrupt, op, fmt.Sprintf(hint, dir), err)
	}
	return fmt.Errorf("sqlite: %s: %s (%w)", op, fmt.Sprintf(hint, dir), err)
}

// fatal tells whether an error means the whole transaction, not the unit in which it came up.
func fatal(err error) bool {
	switch code(err) {
	case codePerm, codeBusy, codeLocked, codeNoMem, codeReadOnly, codeIOErr, codeCorrupt, codeFull, codeCantOpen, codeProtocol, codeNotADB:
		return true
	}
	return false
}

// unavailable is the outcome of every unit of a transaction that failed as a whole.
func (s *Store) unavailable(err error) error {
	return fmt.Errorf("%w: %w", journal.ErrUnavailable, explain("commit", s.dir, err))
}

// first returns the first error that is one: what failed, not what failed because of it, in one line.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return first(d.Sync(), d.Close())
}
