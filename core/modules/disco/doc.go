// Package disco answers service discovery (XEP-0030) for the server, for accounts and for the hosts that modules bring, from what the modules
// have registered: identities and features by scope, and sources for addresses and nodes that come and go.
//
// It tells clients the hash of the server's capabilities in the stream features (XEP-0115 §6.3), and where to complain (XEP-0157), if the
// operator has said so.
//
// What it is not: it asks nobody; what contacts can do is another module's (capabilities of presence).
//
// Specifications: XEP-0030, XEP-0115 §6.3, XEP-0128, XEP-0157, XEP-0059 for items.
//
// Goroutines: none.
//
//	modules = append(modules, disco.New(disco.Options{Contacts: map[string][]string{"abuse": {"mailto:abuse@example.org"}}}))
package disco
