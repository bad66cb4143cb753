package discordtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"
)

// Call is a request that was made.
type Call struct {
	Method, Path, Query string
	Status              int
	Body                []byte
	Time                time.Time
}

// request is a call while it is answered.
type request struct {
	*http.Request
	app   *App // nil for webhooks
	body  M
	files []File
}

// failure is an answer that says no ("Opcodes and Status Codes", JSON).
type failure struct {
	status, code int
	message      string
}

func (f *failure) Error() string { return f.message }

func fail(status, code int, message string) error { return &failure{status, code, message} }

func unknown(code int, what string) error { return fail(404, code, "Unknown "+what) }

var (
	errAccess     = fail(403, 50001, "Missing Access")
	errPermission = fail(403, 50013, "Missing Permissions")
)

type handler func(r *request) (any, error)

// rest is the REST API, versions 9 and 10.
func (s *Server) rest() http.Handler {
	mux := http.NewServeMux()
	for pattern, h := range s.routes() {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, h) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.answer(w, r, func(*request) (any, error) { return nil, fail(404, 0, "404: Not Found") })
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, ok := strings.CutPrefix(r.URL.EscapedPath(), "/api/v10")
		if !ok {
			path, ok = strings.CutPrefix(r.URL.EscapedPath(), "/api/v9")
		}
		if !ok {
			http.NotFound(w, r)
			return
		}
		s.serve(mux, w, r, path)
	})
}

// serve reads the body, lets faults and limits have their say, and records.
func (s *Server) serve(mux http.Handler, w http.ResponseWriter, r *http.Request, path string) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, 64<<20))
	if err != nil {
		return
	}
	r2 := r.Clone(r.Context())
	r2.URL.RawPath = path
	r2.URL.Path = unescape(path)
	r2.Body = io.NopCloser(bytes.NewReader(raw))
	rec := httptest.NewRecorder()
	fault := s.fault(r.Method, path)
	switch {
	case s.beyond(rec):
	case fault != nil && !fault.After:
		fault.answer(rec)
	case s.limited(rec, r2):
	default:
		mux.ServeHTTP(rec, r2)
	}
	s.mu.Lock()
	s.calls = append(s.calls, Call{r.Method, path, r.URL.RawQuery, rec.Code, raw, s.opt.Now()})
	if (rec.Code == 401 || rec.Code == 403 || rec.Code == 429) && rec.Header().Get("X-RateLimit-Scope") != "shared" {
		s.invalid++
		s.banned = s.banned || s.invalid >= s.opt.InvalidLimit
	}
	s.touch()
	s.mu.Unlock()
	if fault != nil && fault.Hold != nil {
		select {
		case <-fault.Hold:
		case <-r.Context().Done():
		}
	}
	if fault != nil && (fault.Reset || fault.After && fault.Status == 0) {
		panic(http.ErrAbortHandler) // the answer never arrives
	}
	if fault != nil && fault.After {
		rec = httptest.NewRecorder()
		fault.answer(rec)
	}
	for k, v := range rec.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes())
}

// beyond is Cloudflare's ban after too many invalid requests.
func (s *Server) beyond(w http.ResponseWriter) bool {
	s.mu.Lock()
	banned := s.banned
	s.mu.Unlock()
	if banned {
		w.Header().Set("Retry-After", "3600")
		page(w, 429, "error code: 1015")
	}
	return banned
}

// answer runs a handler with who asks and what.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, h handler) {
	req := &request{Request: r}
	if err := req.read(); err != nil {
		reply(w, nil, fail(400, 50109, "The request body contains invalid JSON."))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	req.app = s.bot(r.Header.Get("Authorization"))
	if req.app == nil && !strings.HasPrefix(r.URL.Path, "/webhooks/") && r.URL.Path != "/gateway" {
		reply(w, nil, fail(401, 0, "401: Unauthorized"))
		return
	}
	out, err := h(req)
	reply(w, out, err)
}

func (s *Server) bot(authorization string) *App {
	for _, a := range s.apps {
		if authorization == "Bot "+a.Token {
			return a
		}
	}
	return nil
}

func reply(w http.ResponseWriter, out any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		f := &failure{status: http.StatusInternalServerError, message: err.Error()}
		_ = errors.As(err, &f)
		w.WriteHeader(f.status)
		out = M{"message": f.message, "code": f.code}
	} else if out == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	_ = json.NewEncoder(w).Encode(out)
}

// page is an answer of Cloudflare's: HTML, whatever was asked for.
func page(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	w.Header().Set("Server", "cloudflare")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<!DOCTYPE html><html><head><title>%s</title></head><body>cloudflare</body></html>", text)
}

// read takes JSON, or multipart with payload_json and files[n].
func (r *request) read() error {
	r.body = M{}
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		raw, err := io.ReadAll(r.Body)
		if err != nil || len(raw) == 0 {
			return err
		}
		return json.Unmarshal(raw, &r.body)
	}
	if err := r.ParseMultipartForm(64 << 20); err != nil {
		return err
	}
	if p := r.FormValue("payload_json"); p != "" {
		if err := json.Unmarshal([]byte(p), &r.body); err != nil {
			return err
		}
	}
	for i := range 20 {
		for _, name := range []string{fmt.Sprintf("files[%d]", i), fmt.Sprintf("file%d", i)} {
			for _, part := range r.MultipartForm.File[name] {
				f, err := part.Open()
				if err != nil {
					return err
				}
				data, err := io.ReadAll(f)
				_ = f.Close()
				if err != nil {
					return err
				}
				r.files = append(r.files, File{Name: part.Filename, Type: part.Header.Get("Content-Type"), Data: data})
			}
		}
	}
	return nil
}

func (r *request) str(key string) string { v, _ := r.body[key].(string); return v }
func (r *request) has(key string) bool   { _, ok := r.body[key]; return ok }
