// Package grpcbridge carries the contract of plugins/sdk between two processes:
// it is the only place that knows both gRPC (bridge/v1, go-plugin) and sdk types.
//
// In a plugin's main:
//
//	func main() { grpcbridge.Serve(matrix.New(), grpcbridge.ServeOptions{}) }
//
// In the server, plugins/host fills in a go-plugin configuration made by
// [ClientConfig], starts it, and calls [Connect]; what it gets is an sdk.Remote,
// and nothing above it ever sees a type of gRPC.
//
// Three streams are opened by the host for the life of a plugin. Session is the
// durable lane: numbered batches of events one way, numbered operations the other,
// each answered in any order; both sides say up to which number they accept, so
// that nothing is ever read that cannot be kept. Signals is the lossy lane. Calls
// carries the plugin's own requests (state, look-ups, file tokens). On each side
// a stream has one goroutine that reads and never waits for anything but the
// network, and one that writes what has gathered: windows may fill in both
// directions and acknowledgements still flow.
//
// Files travel over a unix socket beside gRPC (media.go), HTTP for the bridge
// over another (http.go).
//
// When the connection breaks the plugin's side fails every Deliver, so that
// nothing more is acknowledged to the network, and the process exits (orphan.go).
//
// Goroutines: those of a Client end with Client.Close, those of the plugin's side
// with the process (in tests: with the gRPC server). The protocol is described for
// other languages in docs/plugin-protocol.md.
package grpcbridge
