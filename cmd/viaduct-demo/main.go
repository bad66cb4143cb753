// Command viaduct-demo is the plugin of the demo network; the server starts it.
package main

import (
	"github.com/viaduct-xmpp/viaduct/bridges/demo"
	"github.com/viaduct-xmpp/viaduct/plugins/grpcbridge"
)

func main() { grpcbridge.Serve(demo.New(demo.Options{}), grpcbridge.ServeOptions{}) }
