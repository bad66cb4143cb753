package httpd

import (
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Health is the pages /healthz, /readyz and /metrics.
type Health struct {
	Registry *prometheus.Registry

	mu     sync.Mutex
	checks map[string]func() error
}

// NewHealth returns pages with the process's own metrics.
func NewHealth() *Health {
	h := &Health{Registry: prometheus.NewRegistry(), checks: map[string]func() error{}}
	h.Registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return h
}

// Check adds a condition of readiness: nil means ready.
func (h *Health) Check(name string, f func() error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks[name] = f
}

// Register adds the pages to a mux.
func (h *Health) Register(m *Mux) {
	m.Handle("GET /healthz", Loopback, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		text(w, http.StatusOK, "ok\n")
	}))
	m.Handle("GET /readyz", Loopback, http.HandlerFunc(h.ready))
	m.Handle("GET /metrics", Loopback, promhttp.HandlerFor(h.Registry, promhttp.HandlerOpts{}))
}

// ready answers 200 if all checks pass, else 503; a line for each.
func (h *Health) ready(w http.ResponseWriter, _ *http.Request) {
	h.mu.Lock()
	names := make([]string, 0, len(h.checks))
	for n := range h.checks {
		names = append(names, n)
	}
	checks := make(map[string]func() error, len(h.checks))
	for n, f := range h.checks {
		checks[n] = f
	}
	h.mu.Unlock()
	slices.Sort(names)
	status, body := http.StatusOK, ""
	for _, n := range names {
		if err := checks[n](); err != nil {
			status = http.StatusServiceUnavailable
			body += fmt.Sprintf("%s: %v\n", n, err)
			continue
		}
		body += n + ": ok\n"
	}
	text(w, status, body)
}

func text(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // who is gone needs no answer
}
