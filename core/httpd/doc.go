// Package httpd is the server's HTTP: it listens on the configured addresses and on the unix socket of the administration, and serves what
// others register in a [Mux] for a listener, with deadlines and limits on everything that a peer can make slow or large.
//
// A path is cleaned once, before it is routed; a request whose path is not clean already is redirected or refused by net/http's own
// mux, never routed in two ways. Every route says who may use it ([Access]); a route without that cannot be registered.
//
// What is served is not its business: health and metrics of the server are [Health], uploads, WebSocket and the API come as handlers.
//
// Goroutines: [Server] owns one for each listener, which ends in Stop; net/http has one for each connection.
package httpd
