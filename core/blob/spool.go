package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Spool is a folder of temporary files: a body is written there before its key is known.
type Spool struct{ dir string }

// OpenSpool makes the folder if need be and removes what a dead process left in it. Nobody else uses it.
func OpenSpool(dir string) (*Spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("blob: make folder: %w", err)
	}
	old, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("blob: read folder: %w", err)
	}
	for _, e := range old {
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return nil, fmt.Errorf("blob: remove unfinished file: %w", err)
		}
	}
	return &Spool{dir}, nil
}

// Spooled is a body in a temporary file.
type Spooled struct {
	File *os.File
	Key  string
	Size int64
}

// Take copies r into a temporary file. Whoever got it discards it.
func (s *Spool) Take(ctx context.Context, r io.Reader) (*Spooled, error) {
	f, err := os.CreateTemp(s.dir, "put-*")
	if err != nil {
		return nil, fmt.Errorf("blob: make temporary file: %w", err)
	}
	sp := &Spooled{File: f}
	h := NewHasher(&reader{ctx, r})
	if _, err := io.Copy(f, h); err != nil {
		return nil, errors.Join(fmt.Errorf("blob: write temporary file: %w", err), sp.Discard())
	}
	sp.Key, sp.Size = h.Key(), h.Size()
	return sp, nil
}

// Discard closes and removes the temporary file, unless it was renamed.
func (s *Spooled) Discard() error {
	err := s.File.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	if rm := os.Remove(s.File.Name()); rm != nil && !errors.Is(rm, os.ErrNotExist) {
		err = errors.Join(err, rm)
	}
	if err != nil {
		return fmt.Errorf("blob: remove temporary file: %w", err)
	}
	return nil
}

// reader ends when its context does.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
