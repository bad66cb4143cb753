// Package pubsub is publish-subscribe (XEP-0060) for a host of its own, pubsub.<domain>, and for every account (XEP-0163), with one engine. A
// service is a bare JID; what it allows, and who is told of what, is all that differs.
//
// A node is changed by one request at a time: a request takes the node's key in a table of asynchronous locks, reads committed rows, adds rows to
// its unit, and gives the key back once the unit is committed and the notifications are in the receivers' rings. See docs/adr/0007.
//
// What it is not: it converts nothing (bookmarks of XEP-0048, avatars of XEP-0153); who does uses PEPItem, PEPPublish, PEPRetract and WatchPEP. The
// capabilities of sessions are core/modules/caps', the rules of a node core/modules/pubsub/node's.
//
// Specifications: XEP-0060, XEP-0163, XEP-0248, XEP-0223, XEP-0490 (the server's help).
//
// Goroutines: none of its own. What waits for a node, and notifications, run in a fixed number of journal.Queues, as does what one timer brings
// about (items and subscriptions that end); what a deleted node leaves is removed by a journal.Work in slices.
//
//	modules = append(modules, pubsub.New(pubsub.Config{}))
package pubsub
