package main

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

func TestProfilesOnlyOnThisMachine(t *testing.T) {
	for _, value := range []string{"0.0.0.0:6060", ":6060", "[::]:6060", "192.0.2.1:6060", "localhost:6060", "127.0.0.1"} {
		p := &program{env: func(string) (string, bool) { return value, true }}
		if _, err := p.profiles(t.Context(), slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%q is taken", value)
		}
	}
}

func TestProfiles(t *testing.T) {
	for _, tc := range []struct{ value, want string }{{"", ""}, {"127.0.0.1:0", "goroutine profile:"}} {
		var lines strings.Builder
		p := &program{env: func(key string) (string, bool) { return tc.value, key == profileVariable && tc.value != "" }}
		stop, err := p.profiles(t.Context(), slog.New(slog.NewTextHandler(&lines, nil)))
		if err != nil {
			t.Fatal(err)
		}
		_, addr, served := strings.Cut(lines.String(), "address=")
		if served != (tc.want != "") {
			t.Fatalf("%q: log %q", tc.value, lines.String())
		}
		if served {
			resp, err := http.Get("http://" + strings.TrimSpace(addr) + "/debug/pprof/goroutine?debug=1")
			if err != nil {
				t.Fatal(err)
			}
			b := make([]byte, len(tc.want))
			_, _ = resp.Body.Read(b)
			_ = resp.Body.Close()
			if string(b) != tc.want {
				t.Errorf("got %q", b)
			}
		}
		if err := stop(context.Background()); err != nil {
			t.Error(err)
		}
	}
}
