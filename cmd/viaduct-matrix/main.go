// Command viaduct-matrix is the Matrix bridge as a plugin. The server starts it;
// nothing is done with it by hand, except "viaduct-matrix info".
package main

import (
	"github.com/viaduct-xmpp/viaduct/bridges/matrix"
	"github.com/viaduct-xmpp/viaduct/plugins/grpcbridge"
)

func main() { grpcbridge.Serve(matrix.New(matrix.Options{}), grpcbridge.ServeOptions{}) }
