package grpcbridge

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	pb "github.com/viaduct-xmpp/viaduct/plugins/bridgepb"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Files never travel in messages of gRPC. The host listens on a unix socket with
// plain HTTP; whoever wants to move a file first gets a token over gRPC, for one
// transfer of one file of fixed size and type:
//
//	PUT /upload/TOKEN   the plugin gives a file to the host, now (Host.Upload)
//	GET /open/TOKEN     the plugin reads a file of an operation (Host.Open); ranges
//	PUT /fetch/TOKEN    the plugin answers FetchMedia with the bytes
const (
	transfersAtATime = 1024             // tokens not yet used; more are refused for the moment
	tokenLife        = 2 * time.Minute  // to begin the transfer
	idleLimit        = 60 * time.Second // without a byte during one
	copyBuffer       = 64 << 10
)

// mediaServer is the host's end. One serves one instance of a plugin.
type mediaServer struct {
	codec  *codec
	log    *slog.Logger
	path   string
	server *http.Server
	done   chan struct{}

	mu     sync.Mutex
	closed bool
	tokens map[string]*transfer
}

type transfer struct {
	route string // "upload", "open", "fetch"
	born  time.Time
	host  sdk.Host
	info  sdk.Media
	req   sdk.MediaRequest
	fetch *fetching
}

// newMediaServer listens on a socket in dir, which only our user may enter.
func newMediaServer(c *codec, dir string, log *slog.Logger) (*mediaServer, error) {
	path := filepath.Join(dir, "media-"+randomName(6)+".sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen for files: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("listen for files: %w", err)
	}
	m := &mediaServer{codec: c, log: log, path: path, done: make(chan struct{}), tokens: map[string]*transfer{}}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /upload/{token}", m.serve("upload", m.serveUpload))
	mux.HandleFunc("GET /open/{token}", m.serve("open", m.serveOpen))
	mux.HandleFunc("PUT /fetch/{token}", m.serve("fetch", m.serveFetch))
	m.server = &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: idleLimit, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	go func() {
		defer close(m.done)
		_ = m.server.Serve(peerListener{l})
	}()
	return m, nil
}

// close ends all transfers.
func (m *mediaServer) close() {
	m.mu.Lock()
	m.closed = true
	tokens := m.tokens
	m.tokens = nil
	m.mu.Unlock()
	for _, t := range tokens {
		if t.fetch != nil {
			t.fetch.fail(sdk.ErrSessionLost)
		}
	}
	_ = m.server.Close()
	<-m.done
}

func (m *mediaServer) expectUpload(h sdk.Host, info sdk.Media) (string, error) {
	return m.expect(&transfer{route: "upload", host: h, info: info})
}

func (m *mediaServer) expectOpen(h sdk.Host, req sdk.MediaRequest) (string, error) {
	return m.expect(&transfer{route: "open", host: h, req: req})
}

func (m *mediaServer) expectFetch(f *fetching) (string, error) {
	return m.expect(&transfer{route: "fetch", fetch: f})
}

func (m *mediaServer) expect(t *transfer) (string, error) {
	token := randomName(24)
	t.born = time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return "", sdk.ErrSessionLost
	}
	if len(m.tokens) >= transfersAtATime {
		for name, old := range m.tokens {
			if t.born.Sub(old.born) > tokenLife {
				delete(m.tokens, name)
			}
		}
	}
	if len(m.tokens) >= transfersAtATime {
		return "", sdk.RetryAfter(time.Second, errors.New("too many transfers are waiting"))
	}
	m.tokens[token] = t
	return token, nil
}

// take uses a token up.
func (m *mediaServer) take(token, route string) *transfer {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.tokens[token]
	if t == nil || t.route != route {
		return nil
	}
	delete(m.tokens, token)
	if time.Since(t.born) > tokenLife {
		return nil
	}
	return t
}

func randomName(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}

func (m *mediaServer) serve(route string, f func(http.ResponseWriter, *http.Request, *transfer) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		t := m.take(r.PathValue("token"), route)
		if t == nil {
			http.Error(w, "no such transfer", http.StatusNotFound)
			return
		}
		if err := f(w, r, t); err != nil {
			m.log.Debug("transfer failed", "route", route, "error", err)
			writeError(w, err)
		}
	}
}

func (m *mediaServer) serveUpload(w http.ResponseWriter, r *http.Request, t *transfer) error {
	if t.info.Size >= 0 && r.ContentLength >= 0 && r.ContentLength != t.info.Size {
		return sdk.Refuse(sdk.CodeInvalid, "%d bytes where %d were announced", r.ContentLength, t.info.Size)
	}
	body := &exactReader{r: idleReader{r.Body, http.NewResponseController(w)}, left: t.info.Size, bounded: t.info.Size >= 0}
	out, err := t.host.Upload(r.Context(), t.info, body)
	if err != nil {
		return err
	}
	return writeMessage(w, http.StatusOK, encode[pb.Media](m.codec, out))
}

func (m *mediaServer) serveOpen(w http.ResponseWriter, r *http.Request, t *transfer) error {
	req := t.req
	if h := r.Header.Get("Range"); h != "" {
		rng, ok := parseRange(h)
		if !ok {
			return sdk.Refuse(sdk.CodeInvalid, "the range cannot be read")
		}
		req.Range = rng
	}
	c, err := t.host.Open(r.Context(), req)
	if err != nil {
		return err
	}
	defer c.Body.Close()
	setHead(w.Header(), &pb.MediaHead{Type: c.Type, Name: c.Name, Size: c.Size, Range: pbRange(c.Range)})
	want := contentLength(c)
	if want >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(want, 10))
	}
	code := http.StatusOK
	if !c.Range.IsZero() {
		code = http.StatusPartialContent
	}
	w.WriteHeader(code)
	src := &exactReader{r: c.Body, left: want, bounded: want >= 0}
	if _, err := io.CopyBuffer(idleWriter{w, http.NewResponseController(w)}, src, make([]byte, copyBuffer)); err != nil {
		// Too late for a status: the connection breaks, and the reader sees it.
		panic(http.ErrAbortHandler)
	}
	return nil
}

// contentLength is how many bytes a content's body has, or -1.
func contentLength(c sdk.MediaContent) int64 {
	if c.Range.IsZero() {
		return max(c.Size, -1)
	}
	if c.Range.Length > 0 {
		return c.Range.Length
	}
	if c.Size >= 0 {
		return max(c.Size-c.Range.Offset, 0)
	}
	return -1
}

// parseRange reads one range of bytes (RFC 9110 §14.1.2), without suffix ranges.
func parseRange(h string) (sdk.Range, bool) {
	spec, ok := strings.CutPrefix(h, "bytes=")
	from, to, dash := strings.Cut(spec, "-")
	first, err := strconv.ParseInt(from, 10, 64)
	if !ok || !dash || err != nil || first < 0 {
		return sdk.Range{}, false
	}
	if to == "" {
		return sdk.Range{Offset: first}, true
	}
	last, err := strconv.ParseInt(to, 10, 64)
	if err != nil || last < first {
		return sdk.Range{}, false
	}
	return sdk.Range{Offset: first, Length: last - first + 1}, true
}

// fetching is a file on its way from the plugin to whoever called FetchMedia.
type fetching struct {
	ready chan struct{} // closed when head is known
	want  int64
	read  *io.PipeReader
	write *io.PipeWriter
	begun context.CancelFunc // stops the wait for the beginning
}

func newFetching() *fetching {
	f := &fetching{ready: make(chan struct{}), want: -1, begun: func() {}}
	f.read, f.write = io.Pipe()
	return f
}

func (f *fetching) fail(err error) { _ = f.write.CloseWithError(err) }

func (m *mediaServer) serveFetch(w http.ResponseWriter, r *http.Request, t *transfer) error {
	f := t.fetch
	select {
	case <-f.ready:
	case <-r.Context().Done():
		f.fail(sdk.ErrSessionLost)
		return r.Context().Err()
	}
	f.begun()
	if r.ContentLength >= 0 && f.want >= 0 && r.ContentLength != f.want {
		err := sdk.Refuse(sdk.CodeInvalid, "%d bytes where %d were announced", r.ContentLength, f.want)
		f.fail(err)
		return err
	}
	src := &exactReader{r: idleReader{r.Body, http.NewResponseController(w)}, left: f.want, bounded: f.want >= 0}
	if _, err := io.CopyBuffer(f.write, src, make([]byte, copyBuffer)); err != nil {
		f.fail(fmt.Errorf("file from the bridge: %w", err))
		return err
	}
	_ = f.write.Close()
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// fetch asks the plugin for a file; request makes the call with a token.
func (m *mediaServer) fetch(ctx context.Context, request func(token string) (*pb.MediaHead, error)) (sdk.MediaContent, error) {
	f := newFetching()
	token, err := m.expectFetch(f)
	if err != nil {
		return sdk.MediaContent{}, err
	}
	head, err := request(token)
	if err != nil {
		m.take(token, "fetch")
		return sdk.MediaContent{}, err
	}
	c := sdk.MediaContent{Type: head.GetType(), Name: head.GetName(), Size: max(head.GetSize(), -1), Range: sdkRange(head.GetRange())}
	f.want = contentLength(c)
	// If the plugin never begins, or the caller gives up, the reader is told.
	beginning, begun := context.WithTimeout(ctx, tokenLife)
	f.begun = begun
	context.AfterFunc(beginning, func() {
		if errors.Is(beginning.Err(), context.DeadlineExceeded) {
			m.take(token, "fetch")
			f.fail(&sdk.Error{Code: sdk.CodeUnavailable, Temporary: true, Text: "the file did not come"})
		}
	})
	stop := context.AfterFunc(ctx, func() { f.fail(ctx.Err()) })
	close(f.ready)
	c.Body = fetchedBody{f.read, func() { stop(); begun(); m.take(token, "fetch") }}
	return c, nil
}

type fetchedBody struct {
	*io.PipeReader
	release func()
}

// Close stops the transfer if it is still going on.
func (b fetchedBody) Close() error {
	b.release()
	return b.PipeReader.Close()
}
