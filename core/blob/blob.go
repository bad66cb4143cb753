// Package blob is the contract of a store of files: bodies by the hash of what they hold, and nothing else. Who owns a file, what it is called and how
// long it stays is for those who use a store (core/modules/upload).
//
// A body that Put has kept survives kill -9 and the loss of power; one that it has not is nowhere to be seen under its key. core/blob/dir keeps
// bodies in a folder, core/blob/s3 in a bucket; core/blob/blobtest is what a store must pass.
//
// What it is not: it counts no references. Two files with the same bytes are one body, and whoever deletes it has seen to it that nobody needs it.
//
// Goroutines: none of its own.
//
//	err := store.Put(ctx, r, func(key string, size int64) error { return nil })
//	body, size, err := store.Open(ctx, key) // errors.Is(err, fs.ErrNotExist)
package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"time"
)

// KeyLen is the length of a key: SHA-256 in lower-case hexadecimal digits.
const KeyLen = 2 * sha256.Size

// ErrKey says that a text cannot be the key of a body.
var ErrKey = errors.New("blob: this is no key")

// Store keeps bodies. It is safe for concurrent use.
type Store interface {
	// Put reads r to its end and keeps it durably under its key. Before anything is kept, and before it looks whether the body is there
	// already, it calls claim with the key and the size; an error of claim ends it, is returned as it is, and nothing is kept.
	Put(ctx context.Context, r io.Reader, claim func(key string, size int64) error) error
	// Open returns a body and its size; an error that is fs.ErrNotExist if there is none.
	Open(ctx context.Context, key string) (io.ReadSeekCloser, int64, error)
	// Delete removes a body. It is no error if there is none.
	Delete(ctx context.Context, key string) error
	// Walk calls fn for every body with a key greater than after, in their order, until fn returns an error, which it returns. A body that is
	// written or removed meanwhile may be left out.
	Walk(ctx context.Context, after string, fn func(key string, size int64, written time.Time) error) error
}

// CheckKey returns an error for what cannot be a key.
func CheckKey(key string) error {
	if len(key) != KeyLen {
		return fmt.Errorf("%w: it has %d characters", ErrKey, len(key))
	}
	for i := range len(key) {
		if c := key[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ErrKey
		}
	}
	return nil
}

// NotFound is the error for a body that is not there.
func NotFound(key string) error { return fmt.Errorf("blob: %s: %w", key, fs.ErrNotExist) }

// Hasher copies what is read through it into a hash and counts it.
type Hasher struct {
	r    io.Reader
	hash hash.Hash
	size int64
}

// NewHasher returns a reader of r that also finds out its key.
func NewHasher(r io.Reader) *Hasher { return &Hasher{r: r, hash: sha256.New()} }

// Read implements io.Reader.
func (h *Hasher) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	h.hash.Write(p[:n])
	h.size += int64(n)
	return n, err
}

// Key returns the key of what has been read.
func (h *Hasher) Key() string { return hex.EncodeToString(h.hash.Sum(nil)) }

// Size returns how much has been read.
func (h *Hasher) Size() int64 { return h.size }
