package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"syscall"

	"github.com/viaduct-xmpp/viaduct/core/journal"
)

// refused is an answer to a PUT.
type refused struct {
	status int
	text   string
	later  bool // it may work later
	cause  error
}

func (e *refused) Error() string {
	if e.cause != nil {
		return "upload: " + e.text + ": " + e.cause.Error()
	}
	return "upload: " + e.text
}

func (e *refused) Unwrap() error { return e.cause }

// put takes a file (XEP-0363 §7). 201 means that it is served from now on, and after a crash.
func (m *Module) put(w http.ResponseWriter, r *http.Request, id, name string) {
	err := m.tryPut(w, r, id, name)
	if err == nil {
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusCreated)
		return
	}
	var no *refused
	if !errors.As(err, &no) {
		no = m.failure(r.Context(), err)
	}
	if no.later {
		busy(w, no.status, no.text)
		return
	}
	fail(w, no.status, no.text)
}

// failure finds out whose fault an error is.
func (m *Module) failure(ctx context.Context, err error) *refused {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return &refused{status: http.StatusRequestEntityTooLarge, text: "The file is larger than its slot."}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ECONNRESET), ctx.Err() != nil:
		return &refused{status: http.StatusBadRequest, text: "The file did not arrive whole."}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		m.d.Log.Error("a file cannot be stored: the disk is full", "error", err)
		return &refused{status: http.StatusInsufficientStorage, text: "The server has no room for this now.", later: true}
	}
	m.d.Log.Error("a file cannot be stored", "error", err)
	return &refused{status: http.StatusServiceUnavailable, text: "The server cannot store this now; try again later.", later: true}
}

// tryPut checks the request against its slot and stores the file.
func (m *Module) tryPut(w http.ResponseWriter, r *http.Request, id, name string) error {
	now := m.d.Clock.Now()
	sl, err := m.signer.open(id, name, r.URL.Query().Get("t"), now)
	switch {
	case errors.Is(err, errTokenOver):
		return &refused{status: http.StatusForbidden, text: "The slot has ended; ask for a new one."}
	case err != nil:
		return &refused{status: http.StatusForbidden, text: "This is no slot of this server."}
	}
	if err := fits(sl, r); err != nil {
		return err
	}
	select {
	case m.putSem <- struct{}{}:
		defer func() { <-m.putSem }()
	default:
		return &refused{status: http.StatusServiceUnavailable, text: "Too many uploads are under way.", later: true}
	}
	if err := m.d.Journal.Admit(r.Context()); err != nil {
		return err
	}
	if sl.Type == "" {
		sl.Type = mediaType(r.Header.Get("Content-Type"))
	}
	return m.keep(r.Context(), sl, newUpstream(w, r, sl.Size), false)
}

// fits holds a request against its slot: XEP-0363 §7, MUST reject another size, SHOULD reject another type.
func fits(sl slot, r *http.Request) error {
	given := r.Header.Get("Content-Type")
	switch {
	case r.ContentLength < 0:
		return &refused{status: http.StatusLengthRequired, text: "The size must be given."}
	case r.ContentLength > sl.Size:
		return &refused{status: http.StatusRequestEntityTooLarge, text: "The file is larger than its slot."}
	case r.ContentLength < sl.Size:
		return &refused{status: http.StatusBadRequest, text: "The file is smaller than its slot."}
	case sl.Type != "" && given != "" && !sameType(given, sl.Type):
		return &refused{status: http.StatusUnsupportedMediaType, text: "The type is not that of the slot."}
	case r.Header.Get("Content-Encoding") != "" || r.Header.Get("Content-Range") != "":
		return &refused{status: http.StatusBadRequest, text: "Files are sent whole and as they are."} // RFC 9110 §14.5
	}
	return nil
}

// keep stores a body and its rows; it returns when both are durable. exempt: the owner's quotas do not count.
func (m *Module) keep(ctx context.Context, sl slot, body io.Reader, exempt bool) error {
	if _, err := m.tables.get(ctx, sl.ID); !notFound(err) {
		if err == nil {
			err = &refused{status: http.StatusConflict, text: "The slot was used already."}
		}
		return err
	}
	ok, err := m.quota.begin(ctx, sl, exempt, m.d.Clock.Now())
	if err != nil {
		var over *overQuota
		if errors.As(err, &over) {
			no := &refused{status: http.StatusInsufficientStorage, text: over.text, later: true, cause: err}
			if over.busy {
				no.status = http.StatusServiceUnavailable
			}
			return no
		}
		return err
	}
	if !ok {
		return &refused{status: http.StatusConflict, text: "The slot is being used."}
	}
	defer m.quota.giveBack(sl)
	hash := ""
	err = m.o.Store.Put(ctx, body, func(key string, size int64) error {
		if sl.Size >= 0 && size != sl.Size || size > m.most(sl.Size) {
			return io.ErrUnexpectedEOF
		}
		if err := m.claims.take(ctx, key); err != nil {
			return err
		}
		hash, sl.Size = key, size
		return nil
	})
	if hash != "" {
		defer m.claims.release(hash)
	}
	if err != nil {
		return fmt.Errorf("upload: store body: %w", err)
	}
	return m.commit(sl, hash)
}

// commit writes the rows of a file and waits for them, whether or not the uploader does: the claim on the body must outlive the commit.
func (m *Module) commit(sl slot, hash string) error {
	now := m.d.Clock.Now()
	f := &file{User: sl.User, Name: sl.Name, Type: sl.Type, Size: sl.Size, Hash: hash, Created: now.UnixMilli(), Purpose: sl.Purpose, id: sl.ID,
		Expires: m.end(sl.Purpose, sl.Size, sl.Before, now)}
	if f.Type == "" {
		f.Type = anyType
	}
	u := journal.NewUnit(lane())
	if err := f.insert(u); err != nil {
		return err
	}
	done := make(chan error, 1)
	if err := m.quota.add(context.Background(), u, f, now, func(err error) { done <- err }); err != nil {
		return err
	}
	switch err := <-done; {
	case errors.Is(err, journal.ErrConflict):
		return &refused{status: http.StatusConflict, text: "The slot was used already."}
	case err != nil:
		return fmt.Errorf("upload: commit file: %w", err)
	}
	return nil
}
