// Package matrix bridges one Matrix homeserver, as its application service.
//
// XMPP people are users of the homeserver (ghosts, @_xmpp_...), with name, face
// and presence; a bot keeps the rooms open and answers for what belongs to nobody.
// What the homeserver pushes is translated and handed to the host, and its
// transaction is answered 200 only when the host has it on disk. What it accepted
// and never pushed (it was killed, its queue was lost, it has no push for that
// sort of event) is found by reading rooms back from the last event that is
// known to be complete: gap.go.
//
// It is no client for encrypted rooms: their messages are announced, not read,
// and nothing is written there. It keeps no file: its small state (ghosts' names,
// reactions, cursors) lives with the host.
//
// Goroutines: the HTTP server and the keeper (gap.go, stream.go), both started by
// Start and gone when its context is done or Drain returns.
//
// Specifications: Matrix v1.15, Application Service API and Client-Server API;
// older servers down to v1.2 (Dendrite) are detected, not configured.
//
//	bridge := matrix.New(matrix.Options{})
//	grpcbridge.Serve(bridge, grpcbridge.ServeOptions{})
package matrix
