package upload

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"time"
)

const (
	// stall is how long a peer may take to send or take the next bytes.
	stall = time.Minute
	// slowest is the bytes a second below which an upload is broken off in the end.
	slowest = 8 << 10
)

// headers are those of every answer. A browser shows nothing of this origin as a page, runs nothing and guesses nothing (XEP-0363 §10.1, attacks row 33); scripts of
// web clients may read and write here without credentials (§9).
var headers = [][2]string{
	{"X-Content-Type-Options", "nosniff"},
	{"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox"},
	{"Referrer-Policy", "no-referrer"},
	{"Cross-Origin-Resource-Policy", "cross-origin"},
	{"Access-Control-Allow-Origin", "*"},
	{"Access-Control-Allow-Methods", "OPTIONS, HEAD, GET, PUT"},
	{"Access-Control-Allow-Headers", "Authorization, Content-Type, Range, If-Range, If-None-Match, If-Modified-Since"},
	{"Access-Control-Expose-Headers", "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag"},
	{"Access-Control-Max-Age", "7200"},
}

// ServeHTTP implements http.Handler: PUT, GET, HEAD and OPTIONS under Path.
func (m *Module) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	for _, kv := range headers {
		h.Set(kv[0], kv[1])
	}
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	id, name, ok := splitPath(r.URL.Path)
	switch {
	case r.Method != http.MethodPut && r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "OPTIONS, HEAD, GET, PUT")
		fail(w, http.StatusMethodNotAllowed, "This is not possible here.")
	case !ok:
		fail(w, http.StatusNotFound, noFile)
	case r.Method == http.MethodPut:
		m.put(w, r, id, name)
	default:
		m.get(w, r, id, name)
	}
}

const noFile = "There is no such file."

func fail(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Del("ETag")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(text)+1))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // who is gone needs no answer
}

// busy is fail for what may work later.
func busy(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Retry-After", "30")
	fail(w, status, text)
}

// get serves a file: whole, in part, or not at all if the asker has it (RFC 9110 §13, §14).
func (m *Module) get(w http.ResponseWriter, r *http.Request, id, name string) {
	f, err := m.tables.get(r.Context(), id)
	now := m.d.Clock.Now()
	switch {
	case notFound(err), err == nil && (f.Name != name || f.expired(now)):
		// XEP-0363 §5.3: MUST NOT be available after its end.
		fail(w, http.StatusNotFound, noFile)
		return
	case err != nil:
		m.broken(w, r, "read row", err)
		return
	}
	body, size, err := m.o.Store.Open(r.Context(), f.Hash)
	if err != nil || size != f.Size {
		if errors.Is(err, fs.ErrNotExist) {
			m.d.Log.Error("the body of a file is missing", "id", id, "hash", f.Hash)
		}
		m.broken(w, r, "open body", err)
		return
	}
	defer body.Close() //nolint:errcheck // read only
	h := w.Header()
	h.Set("Content-Type", f.Type)
	h.Set("Content-Disposition", disposition(f.Type, f.Name))
	h.Set("ETag", `"`+f.Hash+`"`) // strong: it is the body's hash
	h.Set("Cache-Control", m.cacheFor(f, now))
	http.ServeContent(&steady{ResponseWriter: w, c: http.NewResponseController(w)}, r, "", f.created(), body)
}

// cacheFor: what has a hash for a name never changes, but it ends.
func (m *Module) cacheFor(f *file, now time.Time) string {
	age := 365 * 24 * time.Hour
	if f.Expires != 0 {
		age = min(age, f.expires().Sub(now))
	}
	return "private, max-age=" + strconv.FormatInt(int64(age/time.Second), 10) + ", immutable"
}

// broken answers for a store that does not.
func (m *Module) broken(w http.ResponseWriter, r *http.Request, what string, err error) {
	if r.Context().Err() == nil {
		m.d.Log.Error("a file cannot be served", "step", what, "error", err)
	}
	busy(w, http.StatusServiceUnavailable, "The server cannot read this now; try again later.")
}

// steady gives a reader who goes on all the time in the world, and one who stalls a minute.
type steady struct {
	http.ResponseWriter
	c *http.ResponseController
}

// Write implements io.Writer.
func (s *steady) Write(p []byte) (int, error) {
	_ = s.c.SetWriteDeadline(time.Now().Add(stall)) // not every ResponseWriter of a test can
	return s.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (s *steady) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// upstream reads the body of a PUT: a deadline for the next bytes, and one for all of them.
type upstream struct {
	r   io.Reader
	c   *http.ResponseController
	end time.Time
}

func newUpstream(w http.ResponseWriter, r *http.Request, size int64) *upstream {
	return &upstream{r: http.MaxBytesReader(w, r.Body, size), c: http.NewResponseController(w),
		end: time.Now().Add(5*time.Minute + time.Duration(size/slowest)*time.Second)}
}

// Read implements io.Reader.
func (u *upstream) Read(p []byte) (int, error) {
	next := time.Now().Add(stall)
	if next.After(u.end) {
		next = u.end
	}
	_ = u.c.SetReadDeadline(next) // not every ResponseWriter of a test can
	return u.r.Read(p)
}
