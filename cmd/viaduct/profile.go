package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"net/netip"

	"github.com/viaduct-xmpp/viaduct/core/httpd"
)

// profileVariable names the address on which a developer gets profiles of the running process; see CONTRIBUTING.md. Unset: none is given.
const profileVariable = "VIADUCT_PPROF"

// profiles serves net/http/pprof until stop is called, if the variable asks for it. A profile shows what the server holds in memory, so that
// only an address of this machine is taken.
func (p *program) profiles(ctx context.Context, log *slog.Logger) (stop func(context.Context) error, err error) {
	value, _ := p.env(profileVariable)
	if value == "" {
		return func(context.Context) error { return nil }, nil
	}
	addr, err := netip.ParseAddrPort(value)
	if err != nil || !addr.Addr().IsLoopback() {
		return nil, fmt.Errorf("%s=%q: an address of this machine with a port is needed, like 127.0.0.1:6060", profileVariable, value)
	}
	mux := &httpd.Mux{}
	for path, h := range map[string]http.HandlerFunc{
		"/debug/pprof/": pprof.Index, "/debug/pprof/profile": pprof.Profile, "/debug/pprof/symbol": pprof.Symbol, "/debug/pprof/trace": pprof.Trace,
	} {
		mux.Handle(path, httpd.Loopback, h)
	}
	srv := httpd.New(log)
	if err := srv.Listen(ctx, profileVariable, []string{value}, nil, mux); err != nil {
		return nil, err
	}
	log.Warn("profiles are served; this is for developers", "address", srv.Addrs(profileVariable)[0].String())
	return srv.Stop, nil
}
