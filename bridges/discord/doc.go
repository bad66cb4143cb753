// Package discord is the bridge to Discord: a bot that hears guilds through the
// gateway and speaks as XMPP people through webhooks of its own. A user's token is
// never asked for nor used.
//
// Discord acknowledges nothing and pushes what happened only for as long as a
// session can be resumed. Therefore the place in the session is part of the
// cursor, committed together with the events: a bridge that starts again resumes
// and misses nothing. When the session is gone, each channel is read back from
// its own cursor ([catchUp]).
//
// Webhooks know no idempotency key. Before a message is sent, its operation and the
// youngest message of the channel are noted in the server's store; when the
// outcome is in doubt the channel is read back from there (reconcile.go).
//
// The API is spoken to through discordgo, one session of its for each request, so
// that the limits are ours (api.go). The gateway takes discordgo's payloads, over a
// connection of its own; gateway.go says why. wire.go has what the library's types
// leave out.
//
// One goroutine reads the gateway and puts what it says into a queue; another
// (pump.go) translates and delivers it, in order. Operations run on the goroutines
// of the sdk, one portal's one after the other.
package discord
