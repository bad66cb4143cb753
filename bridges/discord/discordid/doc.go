// Package discordid makes and parses the ids of Discord: snowflakes, the ids that
// messages, personas and reactions have towards the server, links that people
// paste, and names that a webhook may carry.
//
// It is pure: no I/O, no goroutines, no state. It does not make XMPP addresses; the
// server's codec does, from the bridge's AddressShape.
//
// Specification: Discord developer documentation, "Reference" (Snowflakes,
// Message Formatting), "Webhook Resource", "User Resource" (Usernames and Nicknames).
//
//	discordid.Message{Thread: "11", ID: "12"}.String() // "11-12"
//	discordid.Parse("https://discord.com/channels/1/2/3")
package discordid
