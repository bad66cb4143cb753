// Package websocket carries the streams of clients over WebSocket (RFC 7395), mostly those of browsers.
//
// [Handler] upgrades a request and unwraps it: each frame is parsed by itself with the limits of its time and goes on as the bytes of an
// ordinary stream, and what the stream says is cut into frames again. So nothing behind it knows of WebSocket, and nothing passes that the strict
// parser has not understood. <open/> becomes the header of a stream, <close/> its end; white space, which keeps a connection alive, becomes a ping.
//
// What it is not: it does not listen (core/httpd does) and holds no state of the stream but its limits, which grow with <success/>.
//
// A request needs no credentials and carries none: who it is is said in the stream, so a page of any origin may connect.
//
// Goroutines: those of the carried connection (core/transport), and a short one for each ping.
//
// Specifications: RFC 6455, RFC 7395.
//
//	mux.Handle("GET "+websocket.Path, httpd.Public, websocket.Handler(websocket.Options{Carry: listeners.Carry, Serve: clients.Serve}))
package websocket

// Path is where the handler belongs.
const Path = "/xmpp-websocket"
