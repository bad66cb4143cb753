// Package push has the services of people's apps wake their devices when a message waits for them (XEP-0357), for the chats and in the way that they
// have chosen (XEP-0492).
//
// A device is a service and a node that an account has enabled. Which of them is told of a message is decided in judge.go, from what the message
// is (worth.go), the person's settings (settings.go) and what is known of rooms (rooms.go); how a service is asked, and what its errors mean, is in
// send.go. docs/adr/0012 has the rules.
//
// What it is not: a push service. It publishes to those of apps, which may be on this server or on others, through the router.
//
// Storage: table "push", owner the account's bare JID, key service + "\n" + node.
//
// Specifications: XEP-0357 0.4.1, XEP-0492 0.2.0.
//
// Goroutines: that of the module's queue, which exists while there is something to do, and timers.
//
//	modules = append(modules, push.New(push.Options{}))
package push
