// Package demonet is a small chat network that exists only in memory: rooms, a
// few people who talk by themselves, answer and do what they are told (type
// "!help"), and an API as networks have it: calls with idempotency keys, a stream
// of events with positions, files.
//
// It is the other side of bridges/demo and knows nothing of bridges. Tests use it
// to see what people on the network saw ([Network.Messages]) and to make it misbehave
// (outages, floods, kicks). It can stand in the bridge's own process, or be served on a
// loopback address ([Serve]) and reached with [Dial], so that it outlives the bridge.
//
// Goroutines: none of its own; what people do later runs on the timers of [Clock]
// and ends with [Network.Close]. Given the same seed and clock the same things
// happen. Memory is bounded: the oldest messages, events, files and keys are forgotten.
//
//	net := demonet.New(demonet.Options{Seed: 1})
//	defer net.Close()
//	res, err := net.Call(ctx, demonet.Request{Do: "post", As: "mira", Room: "lobby", Text: "hello"})
package demonet
