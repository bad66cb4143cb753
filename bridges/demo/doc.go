// Package demo is the bridge to the demo network (bridges/demo/demonet): a small
// network in memory whose people talk by themselves, so that bridging can be seen
// without any account. It is also the example to copy when writing a bridge:
//
//	config.go        the keys of `config:` and their check
//	connector.go     what the bridge is; start, stop, and the loop over the network's events
//	capabilities.go  what the network can do, and how its ids are spelt
//	fromremote.go    the network's events -> sdk events and signals
//	toremote.go      operations of XMPP people -> calls of the network
//	chatinfo.go      rooms, people, search, direct chats, history
//	media.go         files in both directions
//	login.go         people's own accounts on the network
//	setup.go         what an administrator has to know; the test; the web page
//	text.go          the network's markup <-> richtext
//	errors.go        the network's errors -> sdk errors
//
// Goroutines: one reads the network's events from Start until its context is
// done or Drain; with `control:` another serves the network on a loopback address.
//
//	grpcbridge.Serve(demo.New(demo.Options{}), grpcbridge.ServeOptions{})
package demo
