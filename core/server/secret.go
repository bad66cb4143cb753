package server

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// The server's secret: every key that must be the same after a restart is derived from it. It is made once; a backup holds it.
const (
	secretTable = "server"
	secretOwner = "server"
	secretKey   = "secret"
	secretLen   = 32
)

// secret returns the store's secret, and makes it in a new store.
func (o *Options) secret(ctx context.Context) ([]byte, error) {
	b, err := o.Store.Table(secretTable).Get(ctx, secretOwner, secretKey)
	switch {
	case err == nil && len(b) == secretLen:
		return b, nil
	case err == nil:
		return nil, fmt.Errorf("server: the secret in the store has %d bytes instead of %d", len(b), secretLen)
	case !errors.Is(err, storage.ErrNotFound):
		return nil, fmt.Errorf("server: read secret: %w", err)
	}
	b = make([]byte, secretLen)
	if _, err := io.ReadFull(o.Rand, b); err != nil {
		return nil, fmt.Errorf("server: make secret: %w", err)
	}
	u := journal.NewUnit(journal.Lane{})
	u.Add(storage.CompareAndPut{Table: secretTable, Owner: secretOwner, Key: secretKey, New: b})
	if err := o.Store.Commit(ctx, []*journal.Unit{u})[0]; err != nil {
		return nil, fmt.Errorf("server: store secret: %w", err)
	}
	return b, nil
}

// derive returns the key for one purpose.
func derive(secret []byte, purpose string) ([]byte, error) {
	k, err := hkdf.Key(sha256.New, secret, nil, "viaduct "+purpose, secretLen)
	if err != nil {
		return nil, fmt.Errorf("server: derive key for %s: %w", purpose, err)
	}
	return k, nil
}

// keys is what modules are given of the secret: a key for each purpose, the same after a restart. It is no more than that, because who has
// the secret has all of them.
type keys struct{ secret []byte }

// DeriveKey returns the key for one purpose, 32 bytes.
func (k keys) DeriveKey(purpose string) ([]byte, error) { return derive(k.secret, "module "+purpose) }

// DeriveKey returns the key that a module gets for a purpose: for what runs beside the server and shares one with it (a relay).
func (s *Server) DeriveKey(purpose string) ([]byte, error) { return s.keys.DeriveKey(purpose) }
