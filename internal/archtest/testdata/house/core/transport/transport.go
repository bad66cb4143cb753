// Package transport may open sockets.
package transport

import "net"

// Listen listens.
func Listen() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }
