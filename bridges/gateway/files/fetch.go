package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// fetch is one file under way; whoever wants it meanwhile waits for the same.
type fetch struct {
	done     chan struct{}
	id, name string
	err      error
}

var errBusy = errors.New("files: too many files are being fetched")

// have returns the file of the Store that a lazy file is, fetching it if it is not there. Who no longer waits does not end the fetch.
func (f *Files) have(ctx context.Context, t *target) (id, name string, err error) {
	if id, name, ok := f.kept(ctx, t); ok {
		return id, name, nil
	}
	p, err := f.join(t)
	if err != nil {
		return "", "", err
	}
	select {
	case <-p.done:
		return p.id, p.name, p.err
	case <-ctx.Done():
		return "", "", ctx.Err()
	}
}

// kept looks whether the Store still has it.
func (f *Files) kept(ctx context.Context, t *target) (id, name string, ok bool) {
	d, _ := f.deps()
	row, err := d.Rows.Get(ctx, t.Bridge, t.content())
	if err != nil {
		return "", "", false
	}
	id, _, _ = strings.Cut(string(row), "/")
	body, name, _, _, err := d.Store.OpenFile(ctx, id)
	if err != nil {
		return "", "", false
	}
	_ = body.Close() // only looked at
	return id, name, true
}

// join takes part in the fetch of a file, or begins it.
func (f *Files) join(t *target) (*fetch, error) {
	key := t.Bridge + " " + t.content()
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.running[key]; p != nil {
		return p, nil
	}
	if f.ctx.Err() != nil {
		return nil, f.ctx.Err()
	}
	places := f.places[t.Bridge]
	if places == nil {
		places = make(chan struct{}, f.o.Fetches)
		f.places[t.Bridge] = places
	}
	select {
	case places <- struct{}{}:
	default:
		return nil, sdk.RetryAfter(5*time.Second, errBusy)
	}
	p := &fetch{done: make(chan struct{})}
	f.running[key] = p
	d, ctx := f.d, f.ctx
	f.work.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, f.o.Patience)
		defer cancel()
		defer func() {
			if v := recover(); v != nil {
				p.err = fmt.Errorf("files: fetching a file panicked: %v", v)
				d.Log.Error("fetching a file panicked", "panic", v, "bridge", t.Bridge)
			}
			<-places
			f.mu.Lock()
			delete(f.running, key)
			f.mu.Unlock()
			close(p.done)
		}()
		p.id, p.name, p.err = f.bring(ctx, d, t)
	})
	return p, nil
}

// bring copies a file from the network into the Store and notes where it is.
func (f *Files) bring(ctx context.Context, d *Deps, t *target) (id, name string, err error) {
	req := sdk.MediaRequest{ID: t.ID, Login: t.Login, In: t.In}
	get := d.Source.FetchMedia
	if strings.HasPrefix(string(t.ID), face) {
		get = d.Source.OpenFace
	}
	c, err := get(ctx, t.Bridge, req)
	if err != nil {
		return "", "", err
	}
	defer c.Body.Close() //nolint:errcheck // read only
	name, typ, size := t.Name, t.Type, c.Size
	if typ == "" {
		typ = c.Type
	}
	if !c.Range.IsZero() {
		return "", "", sdk.RetryAfter(0, errors.New("files: the plugin gave a part where the whole was asked for"))
	}
	if f.o.MaxBytes > 0 && size > f.o.MaxBytes {
		return "", "", sdk.Refuse(sdk.CodeTooBig, "the file has %d bytes, more than are passed on", size)
	}
	var body io.Reader = c.Body
	if f.o.MaxBytes > 0 {
		body = io.LimitReader(body, f.o.MaxBytes+1) // the Store's own bound is at most that: one more is refused there
	}
	if id, _, err = d.Store.StoreFile(ctx, ownerOf(t.Bridge), name, typ, size, body); err != nil {
		return "", "", fmt.Errorf("files: keep a file: %w", err)
	}
	done := make(chan error, 1)
	u := journal.NewUnit(journal.LinkLane(t.Bridge))
	u.Add(storage.PutRow{Table: Table, Owner: t.Bridge, Key: t.content(), Value: []byte(id + "/" + name)})
	u.After(inline{}, func(err error) { done <- err })
	d.Journal.Submit(u)
	if err := <-done; err != nil {
		return "", "", fmt.Errorf("files: note a file: %w", err)
	}
	return id, name, nil
}

// inline runs a step where it is posted: it only hands over the outcome.
type inline struct{}

// Post implements journal.Poster.
func (inline) Post(fn func()) { fn() }
