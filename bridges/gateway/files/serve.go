package files

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// ServeHTTP answers links of lazy files; what is no such link is not found. The answer itself is the Store's, with its headers.
func (f *Files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
	h.Set("Access-Control-Allow-Origin", "*")
	d, s := f.deps()
	bridge, token, name, ok := splitPath(r.URL.Path)
	if d == nil || !ok {
		say(w, http.StatusNotFound, "There is no such file.")
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		h.Set("Access-Control-Allow-Methods", "OPTIONS, HEAD, GET")
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		h.Set("Allow", "OPTIONS, HEAD, GET")
		say(w, http.StatusMethodNotAllowed, "This is not possible here.")
		return
	}
	t, ok := s.open(token)
	if !ok || t.Bridge != bridge || t.Name != name {
		say(w, http.StatusNotFound, "There is no such file.")
		return
	}
	id, name, err := f.have(r.Context(), t)
	if err != nil {
		refuse(w, r, d.Log, t, err)
		return
	}
	inner := r.Clone(r.Context())
	inner.URL.Path, inner.URL.RawPath = d.Store.FilePath(id, name), ""
	d.Store.ServeHTTP(w, inner)
}

// refuse says why a file cannot be had.
func refuse(w http.ResponseWriter, r *http.Request, log *slog.Logger, t *target, err error) {
	if r.Context().Err() != nil {
		return
	}
	var e *sdk.Error
	if errors.As(err, &e) && !e.Temporary {
		status, text := http.StatusNotFound, "The file is no longer there."
		if e.Code == sdk.CodeTooBig {
			status, text = http.StatusBadGateway, "The file is too big to be passed on."
		}
		say(w, status, text)
		return
	}
	after := 30 * time.Second
	if e != nil && e.RetryAfter > 0 {
		after = e.RetryAfter
	}
	log.Info("a bridged file cannot be had now", "bridge", t.Bridge, "error", err)
	w.Header().Set("Retry-After", strconv.Itoa(int(max(1, after/time.Second))))
	say(w, http.StatusServiceUnavailable, "The file cannot be fetched now; try again later.")
}

func say(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // who is gone needs no answer
}
