// Package rejoin keeps the people of this server in the rooms of others (XEP-0045, XEP-0410): it notices when a room elsewhere has lost somebody
// without a word, has her enter again and fetches what she missed from the room's archive (XEP-0313). Her client sees the missing messages, in
// their order and once, and nothing else. The reasons are in docs/adr/0011-rejoin.md.
//
// What a session and a room say to each other is observed: presence.directed for the one, a guard at route.any for the other. A [seat] is one session
// in one room, a small state machine whose table is in states.go. What it does it posts to the account's lane, in which deliveries run.
//
// One file per part: observe.go what passes by, states.go the table, ping.go the question whether she is still there, enter.go entering again,
// known.go what the client has been shown, fill.go the archive, hold.go what waits meanwhile, keep.go what outlives a stop of the server.
//
// What it is not: it does not watch rooms of this server, which cannot lose anybody silently (docs/adr/0011), and it enters no room that the client had not
// entered itself (bookmarks are the client's).
//
// Specifications: XEP-0410, XEP-0045 §7.2, §7.4 and §11, XEP-0313 as the one who asks, XEP-0203, XEP-0359.
//
// Goroutines: none of its own. Guards run where a stanza is routed, everything else in the lanes of the router; timers of the injected clock end
// in Stop.
//
//	modules = append(modules, rejoin.New(rejoin.Options{}))
package rejoin
