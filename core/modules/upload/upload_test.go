package upload_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/modules/upload"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

const day = 24 * time.Hour

// XEP-0363 §4, §7: a slot, a PUT and a GET; what a browser and a web client are told.
func TestPutAndGet(t *testing.T) {
	w := newWorld(t, upload.Options{MaxBytes: 1 << 20, ExpireAfter: 30 * day}, nil)
	alice := w.Login(t, "alice@example.org/phone")
	body := strings.Repeat("0123456789", 10_000)
	l := w.slot(alice, "très cool.jpg", len(body), "image/jpeg")
	if !strings.HasSuffix(l.get, "/tr%C3%A8s%20cool.jpg") || !strings.HasPrefix(l.put, l.get+"?t=") {
		t.Fatalf("slot %+v", l)
	}
	if a := w.get(l); a.status != http.StatusNotFound {
		t.Errorf("before the PUT: %d", a.status)
	}
	if got := w.put(l, body, "Content-Type", "image/jpeg"); got != http.StatusCreated {
		t.Fatalf("put: %d", got)
	}
	a := w.get(l)
	if a.status != 200 || a.body != body {
		t.Fatalf("get: %d with %d bytes", a.status, len(a.body))
	}
	for k, want := range map[string]string{
		"Content-Type": "image/jpeg", "Content-Disposition": "inline; filename*=utf-8''tr%C3%A8s%20cool.jpg", "Accept-Ranges": "bytes",
		"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
		"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin",
	} {
		if got := a.header.Get(k); got != want {
			t.Errorf("%s: %q, want %q", k, got, want)
		}
	}
	if !strings.HasPrefix(a.header.Get("Cache-Control"), "private, max-age=2591") {
		t.Errorf("cached for %s", a.header.Get("Cache-Control"))
	}
	if h := w.do(http.MethodHead, l.get, nil); h.status != 200 || h.body != "" || h.header.Get("Content-Length") != "100000" || h.header.Get("ETag") != a.header.Get("ETag") {
		t.Errorf("head: %+v", h)
	}
	// XEP-0363 §9: a web client of another site asks first.
	o := w.do(http.MethodOptions, l.put, nil, "Origin", "https://chat.example", "Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "content-type")
	if o.status != http.StatusNoContent || !strings.Contains(o.header.Get("Access-Control-Allow-Methods"), "PUT") ||
		!strings.Contains(o.header.Get("Access-Control-Allow-Headers"), "Content-Type") || o.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("preflight: %+v", o)
	}
	if p := w.do(http.MethodPost, l.get, strings.NewReader("x")); p.status != http.StatusMethodNotAllowed {
		t.Errorf("post: %d", p.status)
	}
}

// RFC 9110 §13, §14: parts, and nothing for who has it.
func TestRangesAndConditions(t *testing.T) {
	w := newWorld(t, upload.Options{}, nil)
	l := w.share(w.Login(t, "alice@example.org/phone"), "a.bin", "0123456789")
	etag := w.get(l).header.Get("ETag")
	for _, c := range []struct {
		name    string
		headers []string
		status  int
		body    string
	}{
		{"first", []string{"Range", "bytes=0-3"}, 206, "0123"},
		{"rest", []string{"Range", "bytes=7-"}, 206, "789"},
		{"last", []string{"Range", "bytes=-2"}, 206, "89"},
		{"beyond", []string{"Range", "bytes=50-60"}, 416, "invalid range: failed to overlap\n"},
		{"same", []string{"If-None-Match", etag}, 304, ""},
		{"other", []string{"If-None-Match", `"x"`}, 200, "0123456789"},
		{"the part, if it is the same", []string{"Range", "bytes=0-0", "If-Range", etag}, 206, "0"},
		{"the part, but it is another", []string{"Range", "bytes=0-0", "If-Range", `"x"`}, 200, "0123456789"},
		{"must match", []string{"If-Match", `"x"`}, 412, ""},
	} {
		if a := w.get(l, c.headers...); a.status != c.status || a.body != c.body {
			t.Errorf("%s: %d %q", c.name, a.status, a.body)
		}
	}
}

// XEP-0363 §7: MUST reject another size, SHOULD reject another type. Attacks row 33: a slot is for one file, of its size, once, in its time, and of nobody else.
func TestAttackRow33Slots(t *testing.T) {
	w := newWorld(t, upload.Options{}, nil)
	alice := w.Login(t, "alice@example.org/phone")
	body := "ten bytes!"
	fresh := func() link { return w.slot(alice, "a.png", len(body), "image/png") }
	for _, c := range []struct {
		name   string
		url    func(l link) string
		body   io.Reader
		header []string
		want   int
	}{
		{"larger", nil, strings.NewReader(body + "!"), nil, 413},
		{"smaller", nil, strings.NewReader(body[1:]), nil, 400},
		{"of unknown size", nil, io.MultiReader(strings.NewReader(body)), nil, 411},
		{"empty", nil, nil, nil, 400},
		{"another type", nil, strings.NewReader(body), []string{"Content-Type", "text/html"}, 415},
		{"in part", nil, strings.NewReader(body), []string{"Content-Range", "bytes 0-9/10"}, 400},
		{"without a token", func(l link) string { return l.get }, strings.NewReader(body), nil, 403},
		{"another name", func(l link) string { return strings.Replace(l.put, "/a.png", "/a.html", 1) }, strings.NewReader(body), nil, 403},
		{"another id", func(l link) string { return strings.Replace(l.put, w.id(l)[:4], "aaaa", 1) }, strings.NewReader(body), nil, 403},
		{"another token", func(l link) string { return l.get + fresh().put[len(l.get):] }, strings.NewReader(body), nil, 403},
		{"a changed payload", func(l link) string { return strings.Replace(l.put, "?t=e", "?t=f", 1) }, strings.NewReader(body), nil, 403},
		{"a cut signature", func(l link) string { return l.put[:len(l.put)-3] }, strings.NewReader(body), nil, 403},
	} {
		l := fresh()
		target := l.put
		if c.url != nil {
			target = c.url(l)
		}
		if a := w.do(http.MethodPut, target, c.body, c.header...); a.status != c.want {
			t.Errorf("%s: %d %s", c.name, a.status, a.body)
		}
		if a := w.get(l); a.status != 404 {
			t.Errorf("%s: something is there: %d", c.name, a.status)
		}
	}
	l := fresh()
	for i, want := range []int{201, 409, 409} {
		if got := w.put(l, body); got != want {
			t.Errorf("put %d: %d", i+1, got)
		}
	}
	late := fresh()
	w.clock.advance(6 * time.Minute)
	if got := w.put(late, body); got != 403 {
		t.Errorf("an expired slot: %d", got)
	}
	if n := w.onDisk(); n != 1 {
		t.Errorf("%d bodies on disk", n)
	}
}

// A sender that breaks off leaves nothing, and may try again with the same slot.
func TestBrokenOff(t *testing.T) {
	w := newWorld(t, upload.Options{}, nil)
	l := w.slot(w.Login(t, "alice@example.org/phone"), "a.bin", 1000, "")
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, l.put, io.MultiReader(strings.NewReader("half"), readerFunc(func([]byte) (int, error) {
		cancel()
		return 0, errors.New("gone")
	})))
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = 1000
	tr := &http.Transport{DisableKeepAlives: true}
	if resp, err := tr.RoundTrip(r); err == nil {
		_ = resp.Body.Close()
		t.Fatal("it was answered")
	}
	for { // the server notices in its own time
		if got := w.put(l, strings.Repeat("x", 1000)); got == http.StatusCreated {
			break
		} else if got != http.StatusConflict {
			t.Fatalf("again: %d", got)
		}
	}
	if n := w.onDisk(); n != 1 {
		t.Errorf("%d bodies on disk", n)
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// Attacks row 33: what could act in a browser is an attachment; no name reaches the file system, no path leaves the folder.
func TestAttackRow33Content(t *testing.T) {
	w := newWorld(t, upload.Options{}, nil)
	alice := w.Login(t, "alice@example.org/phone")
	for _, c := range []struct{ name, mediaType, wantType, wantPrefix string }{
		{"x.html", "text/html", "text/html", "attachment; "},
		{"x.svg", "image/svg+xml", "image/svg+xml", "attachment; "},
		{"x.xhtml", "application/xhtml+xml", "application/xhtml+xml", "attachment; "},
		{"x.pdf", "application/pdf", "application/pdf", "attachment; "},
		{"x.js", "text/javascript; charset=utf-8; x=y", "text/javascript; charset=utf-8", "attachment; "},
		{"x.jpg", "image/jpeg", "image/jpeg", "inline; "},
		{"x.ogg", "AUDIO/OGG; codecs=opus", "audio/ogg", "inline; "},
		{"x", "", "application/octet-stream", "attachment; "},
		{"x", "no type at all", "application/octet-stream", "attachment; "},
		{"x", "text/html&#10;Set-Cookie: a=b", "application/octet-stream", "attachment; "},
	} {
		l := w.slot(alice, c.name, 5, c.mediaType)
		if got := w.put(l, "<b>hi"); got != 201 {
			t.Errorf("%s: %d", c.mediaType, got)
		}
		a := w.get(l)
		if a.header.Get("Content-Type") != c.wantType || !strings.HasPrefix(a.header.Get("Content-Disposition"), c.wantPrefix) || a.header.Get("Set-Cookie") != "" ||
			!strings.Contains(a.header.Get("Content-Security-Policy"), "sandbox") || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %q: %v", c.name, c.mediaType, a.header)
		}
	}
	if n := w.onDisk(); n != 1 { // all have the same bytes
		t.Errorf("%d bodies on disk", n)
	}
	l := w.share(alice, "a.txt", "secret")
	id := w.id(l)
	base := strings.TrimSuffix(l.get, id+"/a.txt")
	for _, path := range []string{
		"", id, id + "/", id + "/b.txt", id + "/a.txt/", id + "/../" + id + "/b.txt", "../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", id + "/%2e%2e%2fa.txt",
		id + "/..%5ca.txt", id + "/a.txt%00", id + "/%u002e%u002e", strings.ToUpper(id) + "/a.txt", id[1:] + "/a.txt", "tmp/put-1", id + "/a.txt%2f..", id + "/%ff",
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Opaque = strings.TrimPrefix(base, "http:") + path // as it is, also what Go would not send
		tr := &http.Transport{DisableKeepAlives: true}
		resp, err := tr.RoundTrip(r)
		if err != nil {
			continue // refused by net/http
		}
		b, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK || bytes.Contains(b, []byte("secret")) {
			t.Errorf("%q is served: %d %s", path, resp.StatusCode, b)
		}
	}
}

// 201 means durable: what cannot be committed is not confirmed and not served, and its body goes.
func TestCommitFails(t *testing.T) {
	var st *stuck
	w := newWorld(t, upload.Options{}, func(s storage.Store) storage.Store { st = &stuck{Store: s}; return st })
	alice := w.Login(t, "alice@example.org/phone")
	l := w.slot(alice, "a.bin", 4, "")
	st.fail(true)
	if got := w.put(l, "body"); got != 503 {
		t.Errorf("put: %d", got)
	}
	st.fail(false)
	if a := w.get(l); a.status != 404 {
		t.Errorf("get: %d", a.status)
	}
	if files, n := w.m.Usage(); files != 0 || n != 0 {
		t.Errorf("%d files with %d bytes are counted", files, n)
	}
	w.clock.advance(2 * time.Hour)
	if n, err := w.m.SweepOrphans(t.Context()); n != 1 || err != nil || w.onDisk() != 0 {
		t.Errorf("%d orphans, %v; %d on disk", n, err, w.onDisk())
	}
	l = w.slot(alice, "a.bin", 4, "")
	if got := w.put(l, "body"); got != 201 {
		t.Errorf("put: %d", got)
	}
}

// stuck is a store that can refuse all units of uploads.
type stuck struct {
	storage.Store
	broken atomic.Bool
}

func (s *stuck) fail(on bool) { s.broken.Store(on) }

// Commit implements journal.Backend.
func (s *stuck) Commit(ctx context.Context, units []*journal.Unit) []error {
	if !s.broken.Load() {
		return s.Store.Commit(ctx, units)
	}
	out := make([]error, len(units))
	for i := range out {
		out[i] = fmt.Errorf("%w: made up", journal.ErrUnavailable)
	}
	return out
}

// Row 25 of the fault list: a disk that is full is said to be, and takes files again when it is not.
func TestDiskFull(t *testing.T) {
	f := &faulty{}
	w := newWorld(t, upload.Options{Store: f}, nil)
	l := w.slot(w.Login(t, "alice@example.org/phone"), "a.bin", 4, "")
	f.put = func() error { return fmt.Errorf("write: %w", syscall.ENOSPC) }
	if a := w.do(http.MethodPut, l.put, strings.NewReader("body")); a.status != 507 || a.header.Get("Retry-After") == "" {
		t.Errorf("put: %+v", a)
	}
	f.put = nil
	if got := w.put(l, "body"); got != 201 {
		t.Errorf("put: %d", got)
	}
}

// Slots and files outlive a restart; a slot still counts, and is still for one file.
func TestRestart(t *testing.T) {
	w := newWorld(t, upload.Options{PerUserBytes: 10}, nil)
	alice := w.Login(t, "alice@example.org/phone")
	l := w.share(alice, "a.bin", "12345678")
	open, condition, _ := w.ask(alice, "filename='b' size='2'", "")
	if condition != "" {
		t.Fatal(condition)
	}
	w.Restart(t)
	if a := w.get(l); a.status != 200 || a.body != "12345678" {
		t.Errorf("get: %d %q", a.status, a.body)
	}
	if files, n := w.m.Usage(); files != 1 || n != 8 {
		t.Errorf("%d files, %d bytes", files, n)
	}
	for i, want := range []int{201, 409} {
		if got := w.put(open, "xx"); got != want {
			t.Errorf("put %d into a slot from before: %d", i, got)
		}
	}
	alice = w.Login(t, "alice@example.org/phone")
	if _, condition, _ := w.ask(alice, "filename='c' size='1'", ""); condition != "resource-constraint" {
		t.Errorf("a slot above the quota: %q", condition)
	}
}

// What bridges do: keep a stream, and open by id or link.
func TestForBridges(t *testing.T) {
	w := newWorld(t, upload.Options{MaxBytes: 100, PerUserBytes: 5, TotalBytes: 30, ExpireAfter: day}, nil)
	for _, size := range []int64{10, -1} {
		id, url, err := w.m.StoreFile(t.Context(), "matrix.example.org", "pic.png", "image/png", size, strings.NewReader("0123456789"))
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := w.m.FileID(url); !ok || got != id {
			t.Errorf("id of %s: %s, %v", url, got, ok)
		}
		if a := w.get(link{get: url}); a.status != 200 || a.body != "0123456789" || a.header.Get("Content-Type") != "image/png" {
			t.Errorf("get: %+v", a)
		}
		body, name, mediaType, n, err := w.m.OpenFile(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(body)
		if err := errors.Join(err, body.Close()); err != nil || string(b) != "0123456789" || name != "pic.png" || mediaType != "image/png" || n != 10 {
			t.Errorf("open: %q %s %s %d %v", b, name, mediaType, n, err)
		}
		w.clock.advance(2 * day)
		if _, _, _, _, err := w.m.OpenFile(t.Context(), id); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("open what has expired: %v", err)
		}
	}
	for name, c := range map[string]struct {
		size int64
		body string
	}{
		"longer than said": {3, "1234"}, "shorter than said": {5, "1234"}, "too large": {101, strings.Repeat("x", 101)}, "too large, unsaid": {-1, strings.Repeat("x", 101)},
		"no room": {11, "01234567890"},
	} {
		if _, _, err := w.m.StoreFile(t.Context(), "matrix.example.org", "x", "", c.size, strings.NewReader(c.body)); err == nil {
			t.Errorf("%s: stored", name)
		}
	}
	for _, other := range []string{"", "https://elsewhere.example/upload/" + strings.Repeat("a", 32) + "/x", w.http.URL + "/upload/x/y", w.http.URL + "/other/" + strings.Repeat("a", 32) + "/x"} {
		if id, ok := w.m.FileID(other); ok {
			t.Errorf("%q has the id %s", other, id)
		}
	}
}

// What a request must have, and who may ask (XEP-0363 §4, §6).
func TestRequests(t *testing.T) {
	w := newWorld(t, upload.Options{MaxBytes: 1000}, nil)
	alice := w.Login(t, "alice@example.org/phone")
	purpose := func(s string) string { return "<" + s + " xmlns='" + ns.UploadPurpose + "'/>" }
	for _, c := range []struct{ name, attrs, inner, want string }{
		{"no name", "size='1'", "", "bad-request"},
		{"no size", "filename='a'", "", "bad-request"},
		{"size 0", "filename='a' size='0'", "", "bad-request"},
		{"negative", "filename='a' size='-1'", "", "bad-request"},
		{"no number", "filename='a' size='many'", "", "bad-request"},
		{"above int64", "filename='a' size='99999999999999999999'", "", "bad-request"},
		{"too large", "filename='a' size='1001'", "", "not-acceptable"},
		{"two purposes", "filename='a' size='1'", purpose("message") + purpose("ephemeral"), "bad-request"},
		{"not offered", "filename='a' size='1'", purpose("permanent"), "feature-not-implemented"},
		{"unknown", "filename='a' size='1'", purpose("eternal"), "feature-not-implemented"},
		{"ephemeral without an end", "filename='a' size='1'", purpose("ephemeral"), "bad-request"},
		{"ephemeral and over", "filename='a' size='1'", "<ephemeral xmlns='" + ns.UploadPurpose + "' expire-before='2001-01-01T00:00:00Z'/>", "not-acceptable"},
		{"a message", "filename='a' size='1'", purpose("message"), ""},
		{"something else beside it", "filename='a' size='1'", "<x xmlns='urn:example:x'/>", ""},
	} {
		if _, got, reply := w.ask(alice, c.attrs, c.inner); got != c.want {
			t.Errorf("%s: %q, want %q: %s", c.name, got, c.want, reply)
		}
	}
	s := alice.Request("get", "somebody@upload.example.org", "<request xmlns='"+ns.Upload+"' filename='a' size='1'/>")
	if s.Attr("type") != "error" {
		t.Errorf("a slot of nobody: %s", s)
	}
}
