// Package server puts the core together and runs it: committer, accounts, sessions, router, modules and client streams, in the order in which
// they need each other, and down again in the other direction so that nothing that was acknowledged is lost.
//
// What it is not: it opens no store and reads no configuration (internal/appliance does), it binds no socket itself (core/transport does), and it
// knows no bridge: a gateway comes in as a module.
//
// Goroutines: one that has the store swept every hour, ended by Stop. Everything else belongs to the parts.
//
//	srv, err := server.New(ctx, server.Options{Domains: []string{"example.org"}, Store: store, Certs: certs, Modules: modules.List(modules.Options{})})
//	err = srv.Start(ctx)
//	defer srv.Stop(ctx)
package server
