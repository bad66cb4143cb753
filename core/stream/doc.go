// Package stream is the frame of an XML stream (RFC 6120 §4): the stream header, stream features, stream errors and the end, for TCP and, in
// the framing of RFC 7395, for WebSocket.
//
// It is pure: it reads headers from values and appends bytes, and knows no socket, no state machine and no negotiation. Who negotiates what,
// in which order, is core/c2s, core/s2s and core/component.
//
// Goroutines: none.
//
//	out = stream.TCP.AppendHeader(out, stream.Header{From: "example.org", ID: id, Version: "1.0", Content: ns.Client})
//	out = stream.TCP.AppendFeatures(out, features, ns.Client)
//	out = stream.TCP.AppendError(out, stream.NewError(stream.HostUnknown, "example.net is not served here"))
package stream
