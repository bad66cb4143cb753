// Package gateway is the server's side of all bridges: it makes a foreign network's people and rooms look like XMPP people and rooms, and XMPP
// people look like people to the network. It knows no network: what differs between them is data that the plugin brings, and a plugin is an
// sdk.Remote, wherever it runs.
//
// Words: a portal is a remote room with its room here; a puppet is a remote person with her address here; a ghost is an XMPP person as the
// network sees her. Each bridge has two hosts: NAME.D for people, commands and registration, and rooms.NAME.D for rooms, which core/modules/muc
// serves.
//
// Inbound (inbox*.go, event*.go): sdk.Host.DeliverAsync -> one queue per portal -> one unit per event (message, archive reference, id map, recognition
// of repetitions) through the rooms service -> when all events of a batch and of those before it are committed, its cursors -> the plugin's
// acknowledgement. Nothing is acknowledged that is not on disk, and nothing is shown twice.
//
// Outbound (outbox*.go, op*.go): what an XMPP person says in a portal gets an Outbox reference in the unit of the message itself; one pump per
// portal reads the list from the store, in order, one operation at a time, so that a network that makes one portal wait stalls no other and
// order is kept. The result's id map rows and the removal of the reference are one unit. An operation has the same id however often it
// is tried.
//
// Links (link*.go, pass.go, docs/adr/0013): a room of this server with several portals. What a person here says is recorded for each of them, what comes from one is passed on to
// all others, in the unit in which it enters the room; the list of those is made without the one that it came from. Package loop finds foreign bridges that repeat us.
//
// What this package is not: it launches nothing and speaks no gRPC (internal/appliance hands in Remotes), it parses no network's
// markup, and rooms' rules are core/modules/muc's.
//
// Goroutines: a portal's queues and pump exist while there is something to do; each instance of a plugin has one that waits for its end; avatars are
// fetched by a few workers. All end in Module.Stop.
//
// Specifications: XEP-0100, XEP-0077, XEP-0054, XEP-0153, XEP-0030, XEP-0249, XEP-0184, XEP-0085; in messages what mappings names.
//
//	gw, err := gateway.New(gateway.Options{Bridges: []gateway.BridgeSpec{{Name: "matrix", Domain: "example.org"}}})
//	modules := []module.Module{muc.New(muc.Options{Hosts: hostsOf(gw.RoomHosts())}), gw}
//	// once the server runs, for each new instance of the plugin:
//	err = gw.Attach(ctx, "matrix", remote)
package gateway
