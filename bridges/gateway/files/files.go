package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Table is the name of the table that says which file of the Store a lazy file has become: owner: bridge, key: hash of the network's name for it.
const Table = "bridge_media"

// Store keeps files and serves them; core/modules/upload is one.
type Store interface {
	StoreFile(ctx context.Context, owner, name, typ string, size int64, r io.Reader) (id, link string, err error)
	OpenFile(ctx context.Context, id string) (body io.ReadSeekCloser, name, mediaType string, size int64, err error)
	// FileID reads the id out of a link, FileLink makes the link of a file, FilePath what ServeHTTP takes.
	FileID(link string) (id string, ok bool)
	FileLink(id, name string) string
	FilePath(id, name string) string
	ServeHTTP(w http.ResponseWriter, r *http.Request)
}

// Source is the gateway: it asks the plugins, and knows the faces of accounts.
type Source interface {
	FetchMedia(ctx context.Context, bridge string, r sdk.MediaRequest) (sdk.MediaContent, error)
	OpenFace(ctx context.Context, bridge string, r sdk.MediaRequest) (sdk.MediaContent, error)
}

// Journal writes rows.
type Journal interface {
	Submit(u *journal.Unit)
}

// Options of Files. Zero limits are the defaults named.
type Options struct {
	// PublicURL is what links begin with: scheme, host and port.
	PublicURL string
	Fetches   int           // files of one bridge that are fetched at a time: 8
	Patience  time.Duration // how long a fetch may take: 10 min
	MaxBytes  int64         // the largest file that is fetched; 0: what the Store takes
}

// Deps are what is there once the server runs.
type Deps struct {
	Store   Store
	Source  Source
	Rows    storage.Table
	Journal Journal
	Key     []byte // what links are sealed with
	Log     *slog.Logger
}

// Files implements gateway.Media and http.Handler. Before Start it knows no links and opens nothing.
type Files struct {
	o    Options
	base *url.URL // without a slash at its end

	mu      sync.Mutex
	d       *Deps
	seal    *sealer
	ctx     context.Context
	running map[string]*fetch
	places  map[string]chan struct{} // by bridge
	work    sync.WaitGroup
}

// New returns Files for links under a public address.
func New(o Options) (*Files, error) {
	u, err := url.Parse(o.PublicURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("files: %q is no address for links", o.PublicURL)
	}
	if o.Fetches <= 0 {
		o.Fetches = 8
	}
	if o.Patience <= 0 {
		o.Patience = 10 * time.Minute
	}
	u.Path, u.RawPath = strings.TrimSuffix(u.Path, "/"), strings.TrimSuffix(u.RawPath, "/")
	return &Files{o: o, base: u, running: map[string]*fetch{}, places: map[string]chan struct{}{}}, nil
}

// Start makes links work; what is fetched ends with ctx.
func (f *Files) Start(ctx context.Context, d Deps) error {
	s, err := newSealer(d.Key)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.d, f.seal, f.ctx = &d, s, ctx
	return nil
}

// Wait returns when all that was being fetched has ended; nil is nothing to wait for.
func (f *Files) Wait() {
	if f != nil {
		f.work.Wait()
	}
}

func (f *Files) deps() (*Deps, *sealer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.d, f.seal
}

// Put implements gateway.Media: a file that a plugin copies to the server.
func (f *Files) Put(ctx context.Context, bridge string, info sdk.Media, body io.Reader) (sdk.Media, error) {
	d, _ := f.deps()
	if d == nil {
		return sdk.Media{}, sdk.RetryAfter(time.Second, errors.New("the server is starting"))
	}
	name := fileName(info)
	id, link, err := d.Store.StoreFile(ctx, ownerOf(bridge), name, info.Type, info.Size, body)
	if err != nil {
		return sdk.Media{}, sdk.Refuse(sdk.CodeTooBig, "the file is not stored: %v", err)
	}
	info.ID, info.Lazy, info.URL, info.Name = sdk.MediaID(stored+id+"/"+name), false, link, name
	info.Expires = time.Time{}
	return info, nil
}

// ownerOf is whose the files of a bridge are.
func ownerOf(bridge string) string { return "bridge " + bridge }

// URL implements gateway.Media.
func (f *Files) URL(bridge string, login sdk.LoginID, in sdk.PortalKey, m sdk.Media) string {
	d, s := f.deps()
	if d == nil {
		return ""
	}
	if rest, ok := strings.CutPrefix(string(m.ID), stored); ok && !m.Lazy {
		id, name, _ := strings.Cut(rest, "/")
		return d.Store.FileLink(id, name)
	}
	isFace := strings.HasPrefix(string(m.ID), face)
	if !m.Lazy && !isFace {
		return "" // neither ours nor to be had
	}
	t := &target{Bridge: bridge, ID: m.ID, Key: m.Key, Login: login, In: in, Name: fileName(m), Type: m.Type, Size: m.Size}
	if isFace && !strings.Contains(t.Name, ".") {
		t.Name += "." + strings.TrimPrefix(m.Type, "image/") // networks look at the ending
	}
	token, err := s.seal(t)
	if err != nil || len(token) > maxToken {
		return ""
	}
	return f.link(t, token)
}

// Known tells what a link is that somebody here wrote: ok is false for what the server has not and cannot fetch.
func (f *Files) Known(ctx context.Context, link string) (sdk.Media, bool) {
	d, s := f.deps()
	if d == nil {
		return sdk.Media{}, false
	}
	if id, ok := d.Store.FileID(link); ok {
		body, name, typ, size, err := d.Store.OpenFile(ctx, id)
		if err != nil {
			return sdk.Media{}, false
		}
		_ = body.Close() // only looked at
		return sdk.Media{ID: sdk.MediaID(stored + id + "/" + name), Name: name, Type: typ, Size: size, URL: link}, true
	}
	u, err := url.Parse(link)
	if err != nil || !strings.EqualFold(u.Scheme, f.base.Scheme) || !strings.EqualFold(u.Host, f.base.Host) {
		return sdk.Media{}, false
	}
	_, token, _, ok := splitPath(strings.TrimPrefix(u.Path, f.base.Path))
	if !ok {
		return sdk.Media{}, false
	}
	t, ok := s.open(token)
	if !ok {
		return sdk.Media{}, false
	}
	return sdk.Media{ID: sdk.MediaID(linked + token), Name: t.Name, Type: t.Type, Size: t.Size, URL: link}, true
}

// Open implements gateway.Media: a file that stands in an operation.
func (f *Files) Open(ctx context.Context, _ string, r sdk.MediaRequest) (sdk.MediaContent, error) {
	d, s := f.deps()
	if d == nil {
		return sdk.MediaContent{}, sdk.RetryAfter(time.Second, errors.New("the server is starting"))
	}
	if token, ok := strings.CutPrefix(string(r.ID), linked); ok {
		t, ok := s.open(token)
		if !ok {
			return sdk.MediaContent{}, sdk.Refuse(sdk.CodeNotFound, "there is no such file")
		}
		id, _, err := f.have(ctx, t)
		if err != nil {
			return sdk.MediaContent{}, err
		}
		return openRange(ctx, d.Store, id, r.Range)
	}
	rest, ok := strings.CutPrefix(string(r.ID), stored)
	if !ok {
		return sdk.MediaContent{}, sdk.Refuse(sdk.CodeNotFound, "the file is not on this server")
	}
	id, _, _ := strings.Cut(rest, "/")
	return openRange(ctx, d.Store, id, r.Range)
}

// openRange reads a part of a file of the Store.
func openRange(ctx context.Context, s Store, id string, part sdk.Range) (sdk.MediaContent, error) {
	body, name, typ, size, err := s.OpenFile(ctx, id)
	if errors.Is(err, fs.ErrNotExist) {
		return sdk.MediaContent{}, sdk.Refuse(sdk.CodeNotFound, "the file is no longer on this server")
	}
	if err != nil {
		return sdk.MediaContent{}, sdk.RetryAfter(0, err)
	}
	c := sdk.MediaContent{Body: body, Type: typ, Name: name, Size: size}
	if part.IsZero() {
		return c, nil
	}
	length := size - part.Offset
	if part.Length > 0 {
		length = min(length, part.Length)
	}
	if part.Offset < 0 || length < 0 {
		return sdk.MediaContent{}, errors.Join(sdk.Refuse(sdk.CodeInvalid, "the file has only %d bytes", size), body.Close())
	}
	if _, err := body.Seek(part.Offset, io.SeekStart); err != nil {
		return sdk.MediaContent{}, sdk.RetryAfter(0, errors.Join(err, body.Close()))
	}
	c.Range = sdk.Range{Offset: part.Offset, Length: length}
	c.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(body, length), body}
	return c, nil
}
