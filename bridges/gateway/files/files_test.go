package files_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/viaduct-xmpp/viaduct/bridges/gateway/files"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shelf is a store of files in memory.
type shelf struct {
	mu    sync.Mutex
	files map[string]shelved
	full  bool
}

type shelved struct {
	owner, name, typ string
	data             []byte
}

func (s *shelf) StoreFile(_ context.Context, owner, name, typ string, _ int64, r io.Reader) (string, string, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return "", "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full {
		return "", "", errors.New("the disk is full")
	}
	id := "id" + strconv.Itoa(len(s.files))
	s.files[id] = shelved{owner, name, typ, b}
	return id, s.FileLink(id, name), nil
}

type openFile struct{ *bytes.Reader }

func (openFile) Close() error { return nil }

func (s *shelf) OpenFile(_ context.Context, id string) (io.ReadSeekCloser, string, string, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.files[id]
	if !ok {
		return nil, "", "", 0, fs.ErrNotExist
	}
	return openFile{bytes.NewReader(f.data)}, f.name, f.typ, int64(len(f.data)), nil
}

func (s *shelf) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files = map[string]shelved{"gone": {}}
}

const shelfURL = "https://x.test/upload/"

func (s *shelf) FileLink(id, name string) string { return shelfURL + id + "/" + name }
func (s *shelf) FilePath(id, name string) string { return "/upload/" + id + "/" + name }
func (s *shelf) FileID(link string) (string, bool) {
	rest, ok := strings.CutPrefix(link, shelfURL)
	id, _, _ := strings.Cut(rest, "/")
	return id, ok
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/upload/"), "/")
	body, name, typ, _, err := s.OpenFile(r.Context(), id)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", typ)
	http.ServeContent(w, r, name, time.Time{}, body)
}

// network is the source of lazy files.
type network struct {
	mu    sync.Mutex
	asked []sdk.MediaRequest
	gate  chan struct{} // nil: answers at once
	begun chan struct{} // gets one for each request, as far as there is room
	err   error
	size  int64
}

func (n *network) FetchMedia(_ context.Context, bridge string, r sdk.MediaRequest) (sdk.MediaContent, error) {
	n.mu.Lock()
	n.asked = append(n.asked, r)
	gate, err := n.gate, n.err
	n.mu.Unlock()
	select {
	case n.begun <- struct{}{}:
	default:
	}
	if gate != nil {
		<-gate
	}
	if err != nil {
		return sdk.MediaContent{}, err
	}
	text := "bytes of " + string(r.ID) + " at " + bridge
	size := int64(len(text))
	if n.size != 0 {
		size = n.size
	}
	return sdk.MediaContent{Body: io.NopCloser(strings.NewReader(text)), Type: "image/png", Name: "x", Size: size}, nil
}

func (n *network) OpenFace(context.Context, string, sdk.MediaRequest) (sdk.MediaContent, error) {
	return sdk.MediaContent{Body: io.NopCloser(strings.NewReader("a face")), Type: "image/png", Size: 6}, nil
}

func (n *network) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.asked)
}

// rows is a table and the journal that writes it.
type rows struct {
	storage.Table
	mu  sync.Mutex
	all map[string][]byte
}

func (r *rows) Get(_ context.Context, owner, key string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v, ok := r.all[owner+" "+key]; ok {
		return v, nil
	}
	return nil, storage.ErrNotFound
}

// Commit implements journal.Backend.
func (r *rows) Commit(_ context.Context, units []*journal.Unit) []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, u := range units {
		for _, op := range u.Ops() {
			row := op.(storage.PutRow)
			r.all[row.Owner+" "+row.Key] = row.Value
		}
	}
	return make([]error, len(units))
}

type world struct {
	f     *files.Files
	store *shelf
	net   *network
}

func newWorld(t *testing.T, o files.Options) *world {
	t.Helper()
	o.PublicURL = "https://x.test"
	f, err := files.New(o)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{f: f, store: &shelf{files: map[string]shelved{}}, net: &network{begun: make(chan struct{}, 1)}}
	ctx, cancel := context.WithCancel(context.Background())
	r := &rows{all: map[string][]byte{}}
	j := journal.New(journal.Options{Backend: r})
	j.Start()
	err = f.Start(ctx, files.Deps{Store: w.store, Source: w.net, Rows: r, Journal: j, Key: []byte("key"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		f.Wait()
		if err := j.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) get(t *testing.T, link string, header ...string) *http.Response {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, u.RequestURI(), http.NoBody)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.f.ServeHTTP(rec, r)
	return rec.Result()
}

func text(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var lazy = sdk.Media{ID: "mxc://hs/secret", Lazy: true, Name: "../cat pic.png", Type: "image/png", Size: 5}

func TestLazyFileIsFetchedOnce(t *testing.T) {
	w := newWorld(t, files.Options{})
	in := sdk.PortalKey{Room: "!r:hs"}
	link := w.f.URL("matrix", "@me:hs", in, lazy)
	if !strings.HasPrefix(link, "https://x.test/bridge/matrix/media/") || !strings.HasSuffix(link, "/cat%20pic.png") {
		t.Fatalf("link %s", link)
	}
	if strings.Contains(link, "secret") || strings.Contains(link, "mxc") {
		t.Errorf("the link shows the network's address: %s", link)
	}
	if again := w.f.URL("matrix", "@me:hs", in, lazy); again != link {
		t.Errorf("the link changes: %s, %s", link, again)
	}
	if !files.Serves("/bridge/matrix/media/x/y") || files.Serves("/bridge/matrix/other") || files.Serves("/upload/a/b") {
		t.Error("paths are not told apart")
	}
	for range 3 {
		r := w.get(t, link)
		if got := text(t, r); r.StatusCode != http.StatusOK || got != "bytes of mxc://hs/secret at matrix" || r.Header.Get("Content-Type") != "image/png" {
			t.Fatalf("%d %q %s", r.StatusCode, got, r.Header.Get("Content-Type"))
		}
	}
	if n := w.net.count(); n != 1 {
		t.Errorf("fetched %d times", n)
	}
	if a := w.net.asked[0]; a.Login != "@me:hs" || a.In != in {
		t.Errorf("asked %+v", a)
	}
	if r := w.get(t, link, "Range", "bytes=0-4"); r.StatusCode != http.StatusPartialContent || text(t, r) != "bytes" {
		t.Errorf("range: %d", r.StatusCode)
	}
	w.store.forget() // expired
	if r := w.get(t, link); r.StatusCode != http.StatusOK || w.net.count() != 2 {
		t.Errorf("after its expiry: %d, fetched %d times", r.StatusCode, w.net.count())
	}
}

func TestLinksCannotBeMadeUp(t *testing.T) {
	w := newWorld(t, files.Options{})
	link := w.f.URL("matrix", "", sdk.PortalKey{}, lazy)
	i := strings.Index(link, "/media/") + len("/media/")
	flipped := byte('A')
	if link[i+20] == 'A' {
		flipped = 'B'
	}
	for name, bad := range map[string]string{
		"changed":        link[:i+20] + string(flipped) + link[i+21:],
		"other bridge":   strings.Replace(link, "/bridge/matrix/", "/bridge/slack/", 1),
		"other name":     strings.Replace(link, "cat%20pic.png", "cat.html", 1),
		"no token":       "https://x.test/bridge/matrix/media//cat.png",
		"nonsense":       "https://x.test/bridge/matrix/media/%00%ff/cat.png",
		"very long":      "https://x.test/bridge/matrix/media/" + strings.Repeat("A", 20000) + "/cat.png",
		"another path":   "https://x.test/bridge/matrix/hook",
		"padded base 64": link[:strings.LastIndex(link, "/")] + "=/cat%20pic.png",
	} {
		if r := w.get(t, bad); r.StatusCode != http.StatusNotFound || r.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d", name, r.StatusCode)
		}
	}
	if w.net.count() != 0 {
		t.Error("something was fetched")
	}
	rec := httptest.NewRecorder()
	w.f.ServeHTTP(rec, httptest.NewRequest(http.MethodPut, strings.TrimPrefix(link, "https://x.test"), http.NoBody))
	if rec.Code != http.StatusMethodNotAllowed {
		t.Errorf("PUT: %d", rec.Code)
	}
}

func TestManyWantTheSame(t *testing.T) {
	w := newWorld(t, files.Options{Fetches: 1})
	w.net.gate = make(chan struct{})
	link := w.f.URL("matrix", "", sdk.PortalKey{}, lazy)
	other := w.f.URL("matrix", "", sdk.PortalKey{}, sdk.Media{ID: "mxc://hs/other", Lazy: true})
	var wg sync.WaitGroup
	codes := make(chan int, 5)
	for range 5 {
		wg.Go(func() { codes <- w.get(t, link).StatusCode })
	}
	<-w.net.begun // the first one is on its way; the others wait for it, or come later
	// The one place of the bridge is taken.
	if r := w.get(t, other); r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
		t.Errorf("a fetch over the bound: %d", r.StatusCode)
	}
	close(w.net.gate)
	wg.Wait()
	for range 5 {
		if c := <-codes; c != http.StatusOK {
			t.Errorf("status %d", c)
		}
	}
	if n := w.net.count(); n != 1 {
		t.Errorf("fetched %d times", n)
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		size   int64
		full   bool
		status int
	}{
		"gone":         {err: sdk.Refuse(sdk.CodeNotFound, "gone"), status: http.StatusNotFound},
		"plugin away":  {err: sdk.ErrSessionLost, status: http.StatusServiceUnavailable},
		"rate limited": {err: sdk.RetryAfter(7*time.Second, errors.New("429")), status: http.StatusServiceUnavailable},
		"too big":      {size: 1 << 40, status: http.StatusBadGateway},
		"disk full":    {full: true, status: http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, files.Options{MaxBytes: 1 << 20})
			w.net.err, w.net.size, w.store.full = c.err, c.size, c.full
			r := w.get(t, w.f.URL("matrix", "", sdk.PortalKey{}, lazy))
			if r.StatusCode != c.status {
				t.Errorf("%d, want %d: %s", r.StatusCode, c.status, text(t, r))
			}
			if name == "rate limited" && r.Header.Get("Retry-After") != "7" {
				t.Errorf("Retry-After %s", r.Header.Get("Retry-After"))
			}
		})
	}
}

func TestPutOpenAndKnown(t *testing.T) {
	w := newWorld(t, files.Options{})
	ctx := t.Context()
	m, err := w.f.Put(ctx, "slack", sdk.Media{Name: "a.txt", Type: "text/plain", Size: 5, Lazy: true}, strings.NewReader("hello"))
	if err != nil || m.Lazy || m.URL != "https://x.test/upload/id0/a.txt" {
		t.Fatalf("%+v, %v", m, err)
	}
	if u := w.f.URL("slack", "", sdk.PortalKey{}, m); u != m.URL {
		t.Errorf("URL %s", u)
	}
	read := func(id sdk.MediaID, part sdk.Range) string {
		t.Helper()
		c, err := w.f.Open(ctx, "slack", sdk.MediaRequest{ID: id, Range: part})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Body.Close() //nolint:errcheck // read only
		b, err := io.ReadAll(c.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if got := read(m.ID, sdk.Range{}); got != "hello" {
		t.Errorf("read %q", got)
	}
	if got := read(m.ID, sdk.Range{Offset: 1, Length: 3}); got != "ell" {
		t.Errorf("part %q", got)
	}
	known, ok := w.f.Known(ctx, m.URL)
	if !ok || known.ID != m.ID || known.Size != 5 || known.Type != "text/plain" {
		t.Errorf("known %+v", known)
	}
	// A lazy file of one bridge goes to another one from here.
	link := w.f.URL("matrix", "", sdk.PortalKey{}, lazy)
	known, ok = w.f.Known(ctx, link)
	if !ok || known.Name != "cat pic.png" {
		t.Fatalf("known %+v", known)
	}
	if got := read(known.ID, sdk.Range{}); got != "bytes of mxc://hs/secret at matrix" {
		t.Errorf("read %q", got)
	}
	for _, bad := range []string{"https://elsewhere.test/upload/id0/a.txt", "https://x.test/upload/none/a", "https://x.test/bridge/matrix/media/AAAA/x", "nonsense", ""} {
		if m, ok := w.f.Known(ctx, bad); ok {
			t.Errorf("%q is known as %+v", bad, m)
		}
	}
	for _, id := range []sdk.MediaID{"file:none/a", "https://elsewhere.test/x", "link:AAAA", "face:a@b"} {
		if _, err := w.f.Open(ctx, "slack", sdk.MediaRequest{ID: id}); !errors.Is(err, sdk.ErrNotFound) {
			t.Errorf("open %s: %v", id, err)
		}
	}
}

func TestFaces(t *testing.T) {
	w := newWorld(t, files.Options{})
	link := w.f.URL("slack", "", sdk.PortalKey{}, sdk.Media{ID: "face:alice@x.test", Key: "sum1", Type: "image/png", Name: "face"})
	if !strings.HasSuffix(link, "/face.png") || strings.Contains(link, "alice") {
		t.Errorf("link %s", link)
	}
	if got := text(t, w.get(t, link)); got != "a face" {
		t.Errorf("got %q", got)
	}
	if next := w.f.URL("slack", "", sdk.PortalKey{}, sdk.Media{ID: "face:alice@x.test", Key: "sum2", Type: "image/png", Name: "face"}); next == link {
		t.Error("another face has the same link")
	}
}

func TestBeforeTheStart(t *testing.T) {
	f, err := files.New(files.Options{PublicURL: "https://x.test/"})
	if err != nil {
		t.Fatal(err)
	}
	if u := f.URL("matrix", "", sdk.PortalKey{}, lazy); u != "" {
		t.Errorf("link %s", u)
	}
	if _, ok := f.Known(t.Context(), "https://x.test/upload/id0/a"); ok {
		t.Error("known")
	}
	_, err = f.Open(t.Context(), "b", sdk.MediaRequest{ID: "file:a/b"})
	if e := sdk.AsError(err); e == nil || !e.Temporary {
		t.Errorf("open: %v", err)
	}
	if _, err := files.New(files.Options{PublicURL: "ftp://x"}); err == nil {
		t.Error("links without http")
	}
}
