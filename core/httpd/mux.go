package httpd

import (
	"fmt"
	"net/http"
)

// Access says who may use a route.
type Access uint8

// The kinds of access. There is no default: a route must name one.
const (
	// Public is for anybody who reaches the listener.
	Public Access = iota + 1
	// Loopback is for clients of this machine; the metrics and health pages are.
	Loopback
	// Authorised is for requests that the mux's Authorise lets pass.
	Authorised
)

// Mux is the routes of one listener.
type Mux struct {
	// Authorise decides on routes with access Authorised; nil refuses all.
	Authorise func(*http.Request) bool

	mux    http.ServeMux
	routes []Route
}

// Route is one entry, for the test that asks each without credentials.
type Route struct {
	Pattern string
	Access  Access
}

// Handle registers a handler for a pattern of http.ServeMux. It panics where the pattern or access is wrong: a mistake of the program.
func (m *Mux) Handle(pattern string, access Access, h http.Handler) {
	var guarded http.HandlerFunc
	switch access {
	case Public, Loopback:
		// A listener of loopback routes is on a loopback address unless the operator chose another one for it; see interface "admin".
		guarded = h.ServeHTTP
	case Authorised:
		guarded = func(w http.ResponseWriter, r *http.Request) {
			if m.Authorise == nil || !m.Authorise(r) {
				w.Header().Set("WWW-Authenticate", "Bearer")
				http.Error(w, "not authorised", http.StatusUnauthorized)
				return
			}
			h.ServeHTTP(w, r)
		}
	default:
		panic(fmt.Sprintf("httpd: the route %q has no access", pattern))
	}
	m.mux.Handle(pattern, guarded)
	m.routes = append(m.routes, Route{pattern, access})
}

// Routes lists what is registered.
func (m *Mux) Routes() []Route { return m.routes }

// ServeHTTP implements http.Handler.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
	h.Set("Referrer-Policy", "no-referrer")
	m.mux.ServeHTTP(w, r)
}
