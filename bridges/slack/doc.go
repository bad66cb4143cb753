// Package slack bridges one Slack workspace (or one Grid organisation) with an app of
// its own, over Socket Mode: no port of ours has to be reachable.
//
// Channels are rooms, people of the workspace are puppets. XMPP people write through
// the app's bot, each message under the person's own name and face
// (chat:write.customize); what only the bot can do (reactions, files, topics) it does in
// everybody's name. What Slack sends is translated and handed to the host, and its
// envelope is acknowledged only when the host has it on disk. Each channel is worked on
// by itself and in order; after a gap (a start, an outage) its history is read from its
// cursor before anything new is shown: gap.go.
//
// The Web API is spoken through slack-go, with its objects, with our own rate limits, and
// reading on where it would give an answer up (api.go). The sockets are our own, with
// slack-go's frames: the acknowledgement has to wait for the host, and a new socket has to
// be there before the old one closes (socket.go). Events are read by ourselves: none may
// be dropped because one of its fields is odd (types.go).
//
// It keeps no file: its small state (who reacts with what, uploads, direct chats) lives
// with the host. It never uses a person's token, and sends its own only to Slack.
//
// Goroutines: the keeper of the sockets with one reader and writer for each (socket.go),
// a worker for each channel with something to do (room.go), the presence poller
// (presence.go). All are gone when Start's context is done or Drain returns.
//
// Specification: docs.slack.dev, "Web API", "Using Socket Mode", "The Events API",
// "Rate limits".
//
//	bridge := slack.New(slack.Options{})
//	grpcbridge.Serve(bridge, grpcbridge.ServeOptions{})
package slack
