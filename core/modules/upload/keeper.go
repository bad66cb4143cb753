package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// What bridges and the administration use, with types of the standard library only.

// StoreFile keeps a file of a host or bridge and returns its id and public URL when it is durable. The quotas of people do not count for it, MaxBytes and
// TotalBytes do; it expires as a message's file of its size does. A size below 0 and a type of "" are unknown.
func (m *Module) StoreFile(ctx context.Context, owner, name, typ string, size int64, r io.Reader) (id, link string, err error) {
	if m.o.MaxBytes > 0 && size > m.o.MaxBytes {
		return "", "", fmt.Errorf("upload: %d bytes are more than %d", size, m.o.MaxBytes)
	}
	if id, err = newID(m.d.Rand); err != nil {
		return "", "", fmt.Errorf("upload: make id: %w", err)
	}
	sl := slot{ID: id, Name: cleanName(name), User: owner, Size: size, Type: mediaType(typ), Until: m.d.Clock.Now().Add(time.Hour).Unix()}
	if most := m.most(size); most < math.MaxInt64 {
		r = io.LimitReader(r, most+1) // one more, so that it is noticed
	}
	if err := m.keep(ctx, sl, r, true); err != nil {
		m.quota.abandon(sl)
		return "", "", err
	}
	return id, m.link(id, sl.Name), nil
}

// most is how many bytes a file of a size may have, which may be unknown.
func (m *Module) most(size int64) int64 {
	switch {
	case size >= 0:
		return size
	case m.o.MaxBytes > 0:
		return m.o.MaxBytes
	}
	return math.MaxInt64
}

// OpenFile returns a file and what it is; an error that is fs.ErrNotExist if it is not there or has expired.
func (m *Module) OpenFile(ctx context.Context, id string) (body io.ReadSeekCloser, name, mediaType string, size int64, err error) {
	f, err := m.tables.get(ctx, id)
	if notFound(err) || err == nil && f.expired(m.d.Clock.Now()) {
		return nil, "", "", 0, fmt.Errorf("upload: file %s: %w", id, fs.ErrNotExist)
	}
	if err != nil {
		return nil, "", "", 0, err
	}
	body, size, err = m.o.Store.Open(ctx, f.Hash)
	if err != nil {
		return nil, "", "", 0, fmt.Errorf("upload: %w", err)
	}
	return body, f.Name, f.Type, size, nil
}

// Files calls fn for the files of an owner ("": of everybody), the oldest of each first, until it returns false.
func (m *Module) Files(ctx context.Context, owner string, fn func(id, owner, name, mediaType, link string, size int64, created, expires time.Time) bool) error {
	if owner != "" {
		_, err := m.filesOf(ctx, owner, fn)
		return err
	}
	for page := (storage.Page{Limit: 500}); ; {
		owners, err := m.tables.user.Owners(ctx, page)
		if err != nil {
			return fmt.Errorf("upload: read owners: %w", err)
		}
		for _, o := range owners {
			if more, err := m.filesOf(ctx, strings.TrimPrefix(o, ownerPrefix), fn); err != nil || !more {
				return err
			}
			page.After = o
		}
		if len(owners) < page.Limit {
			return nil
		}
	}
}

func (m *Module) filesOf(ctx context.Context, owner string, fn func(id, owner, name, mediaType, link string, size int64, created, expires time.Time) bool) (bool, error) {
	from := ""
	for {
		rows, err := m.tables.user.Range(ctx, rowsOf(owner), from, "", 500, false)
		if err != nil {
			return false, fmt.Errorf("upload: read files: %w", err)
		}
		for _, r := range rows {
			from = r.Key + "\x00"
			f, err := m.tables.get(ctx, idOf(r.Key))
			if notFound(err) {
				continue
			}
			if err != nil {
				return false, err
			}
			if !fn(f.id, f.User, f.Name, f.Type, m.link(f.id, f.Name), f.Size, f.created(), f.expires()) {
				return false, nil
			}
		}
		if len(rows) < 500 {
			return true, nil
		}
	}
}

// DeleteFile removes one file; an error that is fs.ErrNotExist if there is none.
func (m *Module) DeleteFile(ctx context.Context, id string) error {
	n, _, err := m.removeRows(ctx, []storage.Row{{Key: sortable(0, id)}})
	if err == nil && n == 0 {
		err = fmt.Errorf("upload: file %s: %w", id, fs.ErrNotExist)
	}
	return err
}

// DeleteFilesOf removes all files of an owner and tells how many there were.
func (m *Module) DeleteFilesOf(ctx context.Context, owner string) (int, error) {
	return m.removeOf(ctx, owner, m.d.Clock.Now().UnixMilli()+1)
}

// Quota returns what an owner has and what she may have; "" is everybody together. A limit of 0 is none.
func (m *Module) Quota(ctx context.Context, owner string) (files, bytes, day, maxBytes, maxPerDay int64, err error) {
	if owner == "" {
		files, bytes = m.quota.all()
		return files, bytes, 0, m.o.TotalBytes, 0, nil
	}
	now := m.d.Clock.Now()
	err = m.quota.with(ctx, owner, now, func(a *account) error {
		files, bytes = a.Files, a.Bytes
		maxBytes, maxPerDay = m.quota.limits(a)
		day, _ = a.day(now, 0, 0)
		return nil
	})
	return files, bytes, day, maxBytes, maxPerDay, err
}

// SetQuota gives an owner limits of her own: 0 is no limit, negative the server's.
func (m *Module) SetQuota(ctx context.Context, owner string, maxBytes, maxPerDay int64) error {
	own := func(n int64) *int64 {
		if n < 0 {
			return nil
		}
		return &n
	}
	done := make(chan error, 1)
	err := m.quota.with(ctx, owner, m.d.Clock.Now(), func(a *account) error {
		oldBytes, oldDay := a.MaxBytes, a.MaxPerDay
		a.MaxBytes, a.MaxPerDay = own(maxBytes), own(maxPerDay)
		return m.quota.submit(journal.NewUnit(lane()), owner, a, func() { a.MaxBytes, a.MaxPerDay = oldBytes, oldDay }, func(error) {},
			func(err error) { done <- err })
	})
	if err != nil {
		return err
	}
	if err := <-done; err != nil {
		return errors.Join(errors.New("upload: the limits could not be stored"), err)
	}
	return nil
}
