// Package dir keeps bodies in a folder: FOLDER/ab/HASH for a hash that begins with ab, and FOLDER/tmp for what is being written.
//
// A body is written to a temporary file, synced, renamed to its key, and the folder is synced: after kill -9 or the loss of power a key has the whole
// body or none. What was left in tmp is removed at the next start.
//
// What it is not: shared. One process uses a folder at a time; the lock of the data directory sees to that.
//
// Goroutines: none.
//
//	store, err := dir.Open(filepath.Join(dataDir, "files"))
package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/blob"
)

const (
	tmpName   = "tmp"
	prefixLen = 2
)

// Store implements blob.Store.
type Store struct {
	root  string
	spool *blob.Spool
	sync  func(f *os.File) error // (*os.File).Sync; tests break it
}

var _ blob.Store = (*Store)(nil)

// Open returns the store of a folder, which is made if it is not there.
func Open(root string) (*Store, error) {
	s := &Store{root: root, sync: (*os.File).Sync}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("blob: make folder: %w", err)
	}
	var err error
	if s.spool, err = blob.OpenSpool(filepath.Join(root, tmpName)); err != nil {
		return nil, err
	}
	return s, s.syncDir(filepath.Dir(root))
}

func (s *Store) folder(key string) string { return filepath.Join(s.root, key[:prefixLen]) }

func (s *Store) path(key string) string { return filepath.Join(s.folder(key), key) }

// Put implements blob.Store.
func (s *Store) Put(ctx context.Context, r io.Reader, claim func(key string, size int64) error) (err error) {
	sp, err := s.spool.Take(ctx, r)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sp.Discard()) }()
	if err := s.sync(sp.File); err != nil {
		return fmt.Errorf("blob: sync file: %w", err)
	}
	if err := claim(sp.Key, sp.Size); err != nil {
		return err
	}
	if err := s.makeFolder(sp.Key); err != nil {
		return err
	}
	to := s.path(sp.Key)
	if info, err := os.Stat(to); err == nil && info.Size() == sp.Size {
		// The same bytes are there. Whether its folder was synced is not known, so it is; the time keeps it from being taken for an old orphan.
		now := time.Now()
		if err := os.Chtimes(to, now, now); err != nil {
			return fmt.Errorf("blob: touch file: %w", err)
		}
		return s.syncDir(s.folder(sp.Key))
	}
	if err := os.Rename(sp.File.Name(), to); err != nil {
		return fmt.Errorf("blob: name file: %w", err)
	}
	return s.syncDir(s.folder(sp.Key))
}

func (s *Store) makeFolder(key string) error {
	err := os.Mkdir(s.folder(key), 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("blob: make folder: %w", err)
	}
	return s.syncDir(s.root)
}

func (s *Store) syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("blob: open folder: %w", err)
	}
	if err := errors.Join(s.sync(d), d.Close()); err != nil {
		return fmt.Errorf("blob: sync folder: %w", err)
	}
	return nil
}

// Open implements blob.Store.
func (s *Store) Open(_ context.Context, key string) (io.ReadSeekCloser, int64, error) {
	if err := blob.CheckKey(key); err != nil {
		return nil, 0, err
	}
	f, err := os.Open(s.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, blob.NotFound(key)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("blob: open file: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("blob: open file: %w", err), f.Close())
	}
	return f, info.Size(), nil
}

// Delete implements blob.Store. The folder is not synced: a body that comes back with the power is an orphan and found again.
func (s *Store) Delete(_ context.Context, key string) error {
	if err := blob.CheckKey(key); err != nil {
		return err
	}
	if err := os.Remove(s.path(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("blob: delete file: %w", err)
	}
	return nil
}

// Walk implements blob.Store. Names that are no keys are left alone.
func (s *Store) Walk(ctx context.Context, after string, fn func(key string, size int64, written time.Time) error) error {
	folders, err := os.ReadDir(s.root)
	if err != nil {
		return fmt.Errorf("blob: read folder: %w", err)
	}
	for _, d := range folders {
		if !d.IsDir() || len(d.Name()) != prefixLen || len(after) >= prefixLen && d.Name() < after[:prefixLen] {
			continue
		}
		if err := s.walkFolder(ctx, d.Name(), after, fn); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) walkFolder(ctx context.Context, name, after string, fn func(key string, size int64, written time.Time) error) error {
	files, err := os.ReadDir(filepath.Join(s.root, name))
	if err != nil {
		return fmt.Errorf("blob: read folder: %w", err)
	}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if f.Name() <= after || blob.CheckKey(f.Name()) != nil {
			continue
		}
		info, err := f.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("blob: read file: %w", err)
		}
		if err := fn(f.Name(), info.Size(), info.ModTime()); err != nil {
			return err
		}
	}
	return nil
}
