// Package slackid makes and parses the ids of Slack: users, bots, channels,
// messages, files, teams, links, and the names that people type for them.
//
// It is pure: no I/O, no goroutines, no state. It does not turn ids into XMPP
// addresses; the server's codec does, from the bridge's AddressShape.
//
// A user's key is (user, home team): a guest of Slack Connect keeps her own team. A
// channel's is (channel, team or enterprise). A message's is its ts within the
// channel, and a ts is a string, never a number: "1712345678.000100" has more digits
// than a float holds.
//
// Specification: docs.slack.dev, "Formatting message text" (ids in references),
// "Conversations API", "Understanding enterprise organizations".
//
//	u, ok := slackid.ParseUser("U012ABC:T0XYZ") // {ID: "U012ABC", Team: "T0XYZ"}
//	u.String()                                  // "U012ABC:T0XYZ"
//	slackid.ParseTarget("https://acme.slack.com/archives/C012ABC/p1712345678000100")
package slackid
