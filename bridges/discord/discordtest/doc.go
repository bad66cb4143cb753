// Package discordtest is a Discord to test against: REST and gateway over real HTTP
// and WebSocket, written from the platform's documentation. No such server can be
// installed, and it is the only one that shows faults on demand.
//
// It enforces what the platform enforces: intents (without MESSAGE_CONTENT messages
// are empty), permissions with overwrites, what mentions are allowed, names that
// webhooks may not have, lengths and sizes, rate limits per route, resource and
// globally, the limit of invalid requests behind which stands Cloudflare, signed
// addresses of attachments that expire. The gateway resumes and replays, invalidates
// sessions and closes with the documented codes.
//
// People who are no bots are moved by [Server.Post] and its like. Everything is
// recorded for a judge: [Server.Messages], [Server.Calls].
//
// Specification: Discord developer documentation (developers/reference, events,
// topics, resources), as of November 2026. Libraries reach it by [Server.Transport].
package discordtest
