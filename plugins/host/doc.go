// Package host runs the plugins of bridges as processes of their own: it finds and
// checks their files, launches them, greets them, gives them to the gateway, watches
// over them and starts them again. A plugin that crashes, hangs, floods or
// grows is ended; nothing else notices.
//
// For each bridge there is one supervisor, a goroutine with a state: starting,
// running, waiting (it failed and is started again after a pause that grows),
// broken (it failed too often, or in a way that only a person can mend: it is tried
// again slowly, or at once by Restart), paused, stopped. Status has the reason.
//
// What a plugin may use is bounded: memory by GOMEMLIMIT in its environment and by
// looking at its resident size (never by RLIMIT_AS, under which Go programs die at
// their start), events and signals by rates, log lines by a rate, the time for a
// handshake, a health check and an operation by deadlines. Secrets reach it over
// gRPC only, never in arguments or the environment; those it prints are redacted.
//
// A plugin that outlived a killed server is ended before its successor starts: its
// process id and start time are kept in the data directory. (A plugin also ends
// itself when its parent changes: grpcbridge.)
//
// The package knows gRPC only through grpcbridge, and nothing of XMPP: whoever uses
// the bridges implements [Gateway].
//
//	h, err := host.New(host.Options{Bridges: specs, Gateway: gw, DataDir: dir, Log: log})
//	err = h.Start(ctx)
//	defer h.Stop(ctx)
//	remote, err := h.Bridge("demo")
package host
