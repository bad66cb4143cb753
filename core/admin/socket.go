package admin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
)

// SocketName is the socket's name in the data directory.
const SocketName = "admin.sock"

// Call is a call of a command as it travels.
type Call struct {
	Name  string            `json:"name"`
	Args  []string          `json:"args,omitempty"`
	Flags map[string]string `json:"flags,omitempty"`
}

// Event is one line of an answer.
type Event struct {
	Progress *Progress `json:"progress,omitempty"`
	Result   *Result   `json:"result,omitempty"`
	Error    string    `json:"error,omitempty"`
	Usage    bool      `json:"usage,omitempty"` // the error is about how the command was called
}

// Progress tells how far long work is; Total 0: unknown.
type Progress struct {
	Done  int64  `json:"done"`
	Total int64  `json:"total,omitempty"`
	What  string `json:"what,omitempty"`
}

// Handler carries the commands over HTTP for whoever may open the socket; core/httpd listens.
func Handler(reg *Registry, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/run", func(w http.ResponseWriter, req *http.Request) {
		var call Call
		dec := json.NewDecoder(http.MaxBytesReader(w, req.Body, 1<<20))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&call); err != nil {
			http.Error(w, "the call is not valid: "+err.Error(), http.StatusBadRequest)
			return
		}
		log.Info("administrative command", "command", call.Name, "by", "local")
		out := &eventWriter{w: w}
		res, err := reg.Execute(req.Context(), call.Name, &Request{Args: call.Args, Flags: call.Flags, By: "local", Progress: out.progress})
		if err != nil {
			log.Info("administrative command failed", "command", call.Name, "error", err)
			out.write(Event{Error: Plain(err), Usage: IsUsage(err)})
			return
		}
		out.write(Event{Result: &res})
	})
	return mux
}

// eventWriter writes JSON lines and sends each at once.
type eventWriter struct {
	mu sync.Mutex
	w  http.ResponseWriter
}

func (o *eventWriter) write(e Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b, err := json.Marshal(e)
	if err != nil {
		b, _ = json.Marshal(Event{Error: "the result cannot be shown: " + err.Error()})
	}
	_, _ = o.w.Write(append(b, '\n')) // a caller that is gone needs no answer
	if f, ok := o.w.(http.Flusher); ok {
		f.Flush()
	}
}

func (o *eventWriter) progress(done, total int64, what string) {
	o.write(Event{Progress: &Progress{done, total, what}})
}

// Doer sends a request: an HTTP client that reaches the socket (httpd.UnixClient).
type Doer interface {
	Do(req *http.Request) (*http.Response, error)
}

// Send calls a command of a running server.
func Send(ctx context.Context, client Doer, call Call, progress func(Progress)) (Result, error) {
	body, err := json.Marshal(call)
	if err != nil {
		return Result{}, fmt.Errorf("admin: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://admin.invalid/v1/run", bytes.NewReader(body))
	if err != nil {
		return Result{}, fmt.Errorf("admin: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return Result{}, fmt.Errorf("admin: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		return Result{}, fmt.Errorf("admin: the server answered %s: %s", resp.Status, bytes.TrimSpace(b))
	}
	return readEvents(resp.Body, progress)
}

func readEvents(r io.Reader, progress func(Progress)) (Result, error) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return Result{}, fmt.Errorf("admin: the server ended before the command did: %w", err)
		}
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			return Result{}, fmt.Errorf("admin: %w", err)
		}
		switch {
		case e.Progress != nil && progress != nil:
			progress(*e.Progress)
		case e.Error != "" && e.Usage:
			return Result{}, &UsageError{e.Error}
		case e.Error != "":
			return Result{}, errors.New(e.Error)
		case e.Result != nil:
			return *e.Result, nil
		}
	}
}
