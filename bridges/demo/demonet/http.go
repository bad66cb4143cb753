package demonet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The API over HTTP, for networks that outlive the bridge and for tests that look
// into a bridge's own one. It has no passwords and is for loopback addresses only.
//
//	POST /call                       Request -> Response
//	GET  /events?at=&limit=          -> Page; waits up to 20 s
//	PUT  /files?name=&type=          bytes -> File
//	GET  /files/ID?offset=&length=   -> bytes; X-File is the File
const waitLimit = 20 * time.Second

// Serve answers on l until ctx is done.
func Serve(ctx context.Context, l net.Listener, n *Network) error {
	s := &http.Server{Handler: Handler(n), ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve demo network: %w", err)
	}
	return nil
}

// Loopback reports whether addr (host:port) names this machine only.
func Loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.IsLoopback()
}

// Handler is the API over HTTP.
func Handler(n *Network) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /call", func(w http.ResponseWriter, r *http.Request) {
		var req Request
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&req); err != nil {
			writeError(w, refuse(Invalid, "%v", err))
			return
		}
		res, err := n.Call(r.Context(), req)
		answer(w, res, err)
	})
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), waitLimit)
		defer cancel()
		limit, _ := strconv.Atoi(r.FormValue("limit"))
		at := r.FormValue("at")
		page, err := n.Events(ctx, at, limit)
		if errors.Is(err, context.DeadlineExceeded) {
			page, err = Page{Next: at}, nil
		}
		answer(w, page, err)
	})
	mux.HandleFunc("PUT /files", func(w http.ResponseWriter, r *http.Request) {
		f, err := n.Upload(r.Context(), r.FormValue("name"), r.FormValue("type"), r.Body)
		answer(w, f, err)
	})
	mux.HandleFunc("GET /files/{id}", func(w http.ResponseWriter, r *http.Request) {
		offset, _ := strconv.ParseInt(r.FormValue("offset"), 10, 64)
		length, _ := strconv.ParseInt(r.FormValue("length"), 10, 64)
		f, body, err := n.Download(r.Context(), r.PathValue("id"), offset, length)
		if err != nil {
			writeError(w, err)
			return
		}
		defer body.Close()
		head, _ := json.Marshal(f) // a File always can be
		w.Header().Set("X-File", url.QueryEscape(string(head)))
		_, _ = io.Copy(w, body)
	})
	return mux
}

func answer(w http.ResponseWriter, v any, err error) {
	if err != nil {
		writeError(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func writeError(w http.ResponseWriter, err error) {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Code: Unavailable, Text: err.Error()}
	}
	w.WriteHeader(http.StatusUnprocessableEntity)
	_ = json.NewEncoder(w).Encode(e)
}

// Client is a network served elsewhere.
type Client struct {
	base string
	http *http.Client
}

var _ API = (*Client)(nil)

// Dial makes a client for the network at addr (host:port). Nothing is sent yet.
func Dial(addr string) *Client {
	return &Client{base: "http://" + addr, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}}
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Call implements API.
func (c *Client) Call(ctx context.Context, r Request) (Response, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return Response{}, fmt.Errorf("call: %w", err)
	}
	return fetch[Response](ctx, c, http.MethodPost, "/call", bytes.NewReader(body))
}

// Events implements API.
func (c *Client) Events(ctx context.Context, at string, limit int) (Page, error) {
	for {
		page, err := fetch[Page](ctx, c, http.MethodGet, "/events?at="+url.QueryEscape(at)+"&limit="+strconv.Itoa(limit), nil)
		if err != nil || len(page.Events) > 0 || page.Lost || at == "" {
			return page, err
		}
	}
}

// Upload implements API.
func (c *Client) Upload(ctx context.Context, name, contentType string, body io.Reader) (File, error) {
	return fetch[File](ctx, c, http.MethodPut, "/files?name="+url.QueryEscape(name)+"&type="+url.QueryEscape(contentType), body)
}

// Download implements API.
func (c *Client) Download(ctx context.Context, id string, offset, length int64) (File, io.ReadCloser, error) {
	res, err := c.send(ctx, http.MethodGet, fmt.Sprintf("/files/%s?offset=%d&length=%d", url.PathEscape(id), offset, length), nil)
	if err != nil {
		return File{}, nil, err
	}
	head, err := url.QueryUnescape(res.Header.Get("X-File"))
	var f File
	if err == nil {
		err = json.NewDecoder(strings.NewReader(head)).Decode(&f)
	}
	if err != nil {
		_ = res.Body.Close()
		return File{}, nil, fmt.Errorf("download: %w", err)
	}
	return f, res.Body, nil
}

func fetch[T any](ctx context.Context, c *Client, method, path string, body io.Reader) (T, error) {
	var v T
	res, err := c.send(ctx, method, path, body)
	if err != nil {
		return v, err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&v); err != nil {
		return v, fmt.Errorf("demo network: %w", err)
	}
	return v, nil
}

func (c *Client) send(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("demo network: %w", err)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, &Error{Code: Unavailable, Text: err.Error()}
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer res.Body.Close()
	var e Error
	if err := json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(&e); err != nil || e.Code == "" {
		return nil, &Error{Code: Unavailable, Text: res.Status}
	}
	return nil, &e
}
