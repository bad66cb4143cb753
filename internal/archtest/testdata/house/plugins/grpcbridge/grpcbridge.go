// Package grpcbridge knows core.
package grpcbridge

import (
	_ "example.org/house/core/jid" // want "plugins/grpcbridge imports core/jid" // want "cmd/viaduct-acme links example.org/house/core/jid .cmd/viaduct-acme -> bridges/acme -> plugins/sdk -> plugins/grpcbridge."
	_ "google.golang.org/grpc"
)
