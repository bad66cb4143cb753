// Package files gives the files of bridged rooms to XMPP clients, and theirs to bridges.
//
// A file that a plugin has copied to the server (sdk.Host.Upload) and one that somebody here has shared are files of the [Store], with its links, quotas and expiry. A
// lazy file stays where it is until somebody opens its link: the link holds, sealed, what the plugin needs to find it (so that nothing of the network's own addresses
// is seen, and nobody can make one up); at the first GET it is fetched through the plugin, whole, into the Store, and served from there, so that type, size, ranges
// and hash are exact. Later GETs find it there by the network's name for the content; when the Store has let it go, it is fetched again.
//
// Faces of XMPP people that a network fetches by itself (sdk.Sender.Avatar) have sealed links too.
//
// What it is not: it listens nowhere (internal/appliance mounts [Files.ServeHTTP]), and it fetches nothing but through a plugin: what stands on another server stays a
// link in the text.
//
// Goroutines: one for each file that is being fetched, bounded (Options.Fetches for each bridge); they end with the context of [Files.Start].
//
//	f := files.New(files.Options{PublicURL: "https://example.org:5443"})
//	gw, err := gateway.New(gateway.Options{Media: f})
//	err = f.Start(ctx, files.Deps{Store: upload, Source: gw, Rows: store.Table(files.Table), Journal: j, Key: key, Log: log})
//	mux.Handle("/bridge/", httpd.Public, f)
package files
