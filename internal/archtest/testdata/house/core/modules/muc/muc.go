// Package muc asks its neighbour and opens sockets.
package muc

import (
	"net"
	web "net/http"

	_ "example.org/house/core/event"
	_ "example.org/house/core/modules/muc/rooms"
	_ "example.org/house/core/modules/roster" // want "core/modules/muc imports core/modules/roster"
	_ "example.org/house/core/session"        // want "core/modules/muc imports core/session"
)

// Handler may use the types of net/http.
func Handler() web.Handler { return web.NotFoundHandler() }

// Fetch may not be a client.
func Fetch() (net.Conn, error) {
	_, _ = web.Get("http://127.0.0.1/") // want "uses web.Get"
	return net.Dial("tcp", "127.0.0.1") // want "uses net.Dial"
}
