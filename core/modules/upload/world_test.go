package upload_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/viaduct-xmpp/viaduct/core/blob/dir"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules"
	"github.com/viaduct-xmpp/viaduct/core/modules/upload"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is the system's with an offset.
type clock struct {
	module.RealClock
	off atomic.Int64
}

func (c *clock) Now() time.Time             { return time.Now().Add(time.Duration(c.off.Load())) }
func (c *clock) advance(d time.Duration)    { c.off.Add(int64(d)) }
func (c *clock) set(to time.Time) time.Time { c.off.Store(int64(time.Until(to))); return to }

// world is a server with uploads, its HTTP, and a client.
type world struct {
	*xmpptest.Server
	t     testing.TB
	m     *upload.Module
	clock *clock
	http  *httptest.Server
	files string
	ids   int
}

// newWorld starts one; store may wrap the tables.
func newWorld(t testing.TB, o upload.Options, store func(storage.Store) storage.Store) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{}, files: filepath.Join(t.TempDir(), "files")}
	w.http = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.m.ServeHTTP(rw, r) }))
	t.Cleanup(w.http.Close)
	o.PublicURL = w.http.URL
	files, err := dir.Open(w.files)
	if err != nil {
		t.Fatal(err)
	}
	if f, ok := o.Store.(*faulty); ok {
		f.Store = files
	} else {
		o.Store = files
	}
	w.Server = xmpptest.Start(t, xmpptest.Options{Modules: modules.Options{Upload: o}, Extra: func() []module.Module { return []module.Module{&finder{w: w}} },
		Clock: w.clock, Store: store})
	return w
}

// finder is a module that gets hold of the one under test.
type finder struct {
	w   *world
	got interface {
		FileID(link string) (string, bool)
	}
}

func (*finder) Info() module.Info                    { return module.Info{Name: "finder"} }
func (f *finder) Register(r *module.Registrar) error { r.Need(&f.got); return nil }
func (f *finder) Start(context.Context) error        { f.w.m = f.got.(*upload.Module); return nil }
func (*finder) Stop(context.Context) error           { return nil }

// faulty is a store that can be broken.
type faulty struct {
	upload.Store
	put func() error
}

// Put implements upload.Store.
func (f *faulty) Put(ctx context.Context, r io.Reader, claim func(string, int64) error) error {
	if f.put != nil {
		if err := f.put(); err != nil {
			return err
		}
	}
	return f.Store.Put(ctx, r, claim)
}

type link struct{ put, get string }

// ask requests a slot; condition is that of the error.
func (w *world) ask(c *xmpptest.Client, attrs, inner string) (l link, condition string, reply *xmlstream.Node) {
	w.t.Helper()
	w.ids++
	c.Write("<iq type='get' to='upload.example.org' id='u" + strconv.Itoa(w.ids) + "'><request xmlns='" + ns.Upload + "' " + attrs + ">" + inner + "</request></iq>")
	reply = c.NextNamed(ns.Client, "iq")
	if e := reply.Child(ns.Client, "error"); e != nil {
		for n := range e.Elements() {
			return l, n.Name.Local, reply
		}
	}
	s := reply.Child(ns.Upload, "slot")
	if s == nil {
		w.t.Fatalf("no slot: %s", reply)
	}
	return link{s.Child(ns.Upload, "put").Attr("url"), s.Child(ns.Upload, "get").Attr("url")}, "", reply
}

// slot requests a slot that is given.
func (w *world) slot(c *xmpptest.Client, name string, size int, mediaType string) link {
	w.t.Helper()
	attrs := "filename='" + name + "' size='" + strconv.Itoa(size) + "'"
	if mediaType != "" {
		attrs += " content-type='" + mediaType + "'"
	}
	l, condition, _ := w.ask(c, attrs, "")
	if condition != "" {
		w.t.Fatalf("a slot for %s of %d bytes is refused: %s", name, size, condition)
	}
	return l
}

type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request; headers are pairs.
func (w *world) do(method, url string, body io.Reader, headers ...string) answer {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, url, body)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	tr := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	defer tr.CloseIdleConnections()
	resp, err := tr.RoundTrip(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // a test
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

func (w *world) put(l link, body string, headers ...string) int {
	w.t.Helper()
	return w.do(http.MethodPut, l.put, strings.NewReader(body), headers...).status
}

func (w *world) get(l link, headers ...string) answer {
	w.t.Helper()
	return w.do(http.MethodGet, l.get, nil, headers...)
}

// share uploads a file.
func (w *world) share(c *xmpptest.Client, name, body string) link {
	w.t.Helper()
	l := w.slot(c, name, len(body), "")
	if got := w.put(l, body); got != http.StatusCreated {
		w.t.Fatalf("put: %d", got)
	}
	return l
}

// onDisk returns the bodies in the folder.
func (w *world) onDisk() (n int) {
	w.t.Helper()
	err := filepath.WalkDir(w.files, func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		w.t.Fatal(err)
	}
	return n
}

// id returns the id of a link.
func (w *world) id(l link) string {
	w.t.Helper()
	id, ok := w.m.FileID(l.get)
	if !ok {
		w.t.Fatalf("%s is no link of ours", l.get)
	}
	return id
}
