// Package bridgepb is the contract between the server and its bridges as it
// travels: bridge/v1/*.proto and the Go code generated from them, checked in.
// docs/plugin-protocol.md describes it for other languages.
//
// Nothing here is written by hand but the .proto files; after a change run
//
//	go run ./internal/dev/protogen
//
// (a test fails until it was run). Only plugins/grpcbridge uses this package;
// everybody else sees plugins/sdk. It has no goroutines and no state.
//
// The contract only grows: fields and kinds are added, never removed, renumbered
// or given another meaning. A new major version would be bridge/v2 beside it.
package bridgepb
