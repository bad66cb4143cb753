// Package plugintest is the suite that every bridge passes, and the server's side
// of a bridge for tests: [Host] records what a bridge delivers, keeps its state
// and cursors over restarts, and can acknowledge late, doubled, out of order or not
// at all.
//
// A bridge's test calls [Run] with a way to make the bridge and a [Driver]: hands on
// the network's side, which make people there do things and see what they saw.
// Run goes through the handshake, configuration, every ability the bridge claims,
// every event the driver can cause, acknowledgements with faults, restarts
// at each step of a delivery, idempotency, full windows, files, logins and the end.
// What a bridge does not claim is asked once, and has to be refused as unsupported.
//
// It runs against the bridge in the test's process (Options.New), and against a real
// plugin process over gRPC, which is also killed (Options.Launch with package
// process). A wait ends with the test's deadline; only for what must not happen is
// a moment waited, which a good bridge always passes.
//
//	func TestContract(t *testing.T) {
//		plugintest.Run(t, plugintest.Options{New: newBridge, Driver: newDriver})
//	}
package plugintest
