// Package module is the contract of a module: one XEP, or one tight group, in a folder of its own under core/modules.
//
// A module is a value with [Info], Register and, if it owns goroutines, Start and Stop. In Register it says what it takes part in: handlers of
// iq requests, points of the event catalogue, hosts, disco features, what it provides to others and what it needs from them. It
// never imports another module: a need is a small interface of its own, and whoever provided a value that fits is its answer. It never listens
// or dials.
//
// Handlers of requests run in the goroutine of the stream that the request came by; they read the store, add rows to the request's
// unit and return. The reply is sent after the unit is committed.
//
// Goroutines: none here. What a module starts in Start it ends in Stop.
package module
