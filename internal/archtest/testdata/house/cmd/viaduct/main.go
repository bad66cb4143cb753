// Command viaduct is the server.
package main

import (
	_ "example.org/house/bridges/gateway"
	_ "example.org/house/core/server"
)

func main() {}
