package gateway

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// stateStore is a plugin's small memory: rows of tableState, each with eight bytes of revision before the value.
type stateStore struct {
	b    *Bridge
	lost func() bool
}

const (
	maxStateKey   = 512
	maxStateValue = 1 << 20
	revisionBytes = 8
)

func checkKey(key string) error {
	if key == "" || len(key) > maxStateKey || !validID(key) {
		return sdk.Refuse(sdk.CodeInvalid, "a key has 1 to %d bytes", maxStateKey)
	}
	return nil
}

// read returns the stored bytes, nil if there are none, and the entry in them.
func (s *stateStore) read(ctx context.Context, key string) ([]byte, sdk.Entry, error) {
	if s.lost() {
		return nil, sdk.Entry{}, sdk.ErrSessionLost
	}
	if err := checkKey(key); err != nil {
		return nil, sdk.Entry{}, err
	}
	raw, err := s.b.m.d.Store.Table(tableState).Get(ctx, s.b.spec.Name, key)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, sdk.Entry{Key: key}, nil
	}
	if err != nil {
		return nil, sdk.Entry{}, sdk.RetryAfter(0, err)
	}
	return raw, entryOf(key, raw), nil
}

func entryOf(key string, raw []byte) sdk.Entry {
	if len(raw) < revisionBytes {
		return sdk.Entry{Key: key}
	}
	return sdk.Entry{Key: key, Value: raw[revisionBytes:], Revision: sdk.Revision(binary.BigEndian.Uint64(raw))}
}

// Get implements sdk.State.
func (s *stateStore) Get(ctx context.Context, key string) (sdk.Entry, error) {
	raw, e, err := s.read(ctx, key)
	if err == nil && raw == nil {
		return sdk.Entry{}, sdk.ErrNotFound
	}
	return e, err
}

// Put implements sdk.State.
func (s *stateStore) Put(ctx context.Context, key string, value []byte, expect sdk.Revision) (sdk.Revision, error) {
	if len(value) > maxStateValue {
		return 0, sdk.Refuse(sdk.CodeTooBig, "a value has at most %d bytes", maxStateValue)
	}
	for {
		old, e, err := s.read(ctx, key)
		if err != nil {
			return 0, err
		}
		if expect != sdk.AnyRevision && e.Revision != expect {
			return 0, sdk.ErrConflict
		}
		next := e.Revision + 1
		raw := binary.BigEndian.AppendUint64(make([]byte, 0, revisionBytes+len(value)), uint64(next))
		err = s.swap(ctx, key, old, append(raw, value...))
		if errors.Is(err, journal.ErrConflict) {
			if expect == sdk.AnyRevision {
				continue // somebody was faster; whatever stands there is to be replaced
			}
			return 0, sdk.ErrConflict
		}
		if err != nil {
			return 0, sdk.RetryAfter(0, err)
		}
		return next, nil
	}
}

// Delete implements sdk.State.
func (s *stateStore) Delete(ctx context.Context, key string, expect sdk.Revision) error {
	for {
		old, e, err := s.read(ctx, key)
		switch {
		case err != nil:
			return err
		case old == nil && expect != sdk.AnyRevision && expect != 0:
			return sdk.ErrConflict
		case old == nil:
			return nil
		case expect != sdk.AnyRevision && e.Revision != expect:
			return sdk.ErrConflict
		}
		err = s.swap(ctx, key, old, nil)
		if errors.Is(err, journal.ErrConflict) {
			if expect == sdk.AnyRevision {
				continue
			}
			return sdk.ErrConflict
		}
		if err != nil {
			return sdk.RetryAfter(0, err)
		}
		return nil
	}
}

func (s *stateStore) swap(ctx context.Context, key string, old, next []byte) error {
	u := newLinkUnit(s.b.spec.Name)
	u.Add(storage.CompareAndPut{Table: tableState, Owner: s.b.spec.Name, Key: key, Old: old, New: next})
	return s.b.m.commit(ctx, u)
}

// List implements sdk.State.
func (s *stateStore) List(ctx context.Context, prefix, after string, limit int) ([]sdk.Entry, error) {
	if s.lost() {
		return nil, sdk.ErrSessionLost
	}
	if limit <= 0 || limit > 1000 {
		limit = 1000
	}
	from := prefix
	if after != "" && after >= prefix {
		from = after + "\x00"
	}
	rows, err := s.b.m.d.Store.Table(tableState).Range(ctx, s.b.spec.Name, from, "", limit, false)
	if err != nil {
		return nil, sdk.RetryAfter(0, err)
	}
	var out []sdk.Entry
	for _, r := range rows {
		if !strings.HasPrefix(r.Key, prefix) {
			break
		}
		out = append(out, entryOf(r.Key, r.Value))
	}
	return out, nil
}
