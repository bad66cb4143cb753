// Package appliance puts the whole server together from a configuration: store, certificates, the core with its modules, bridges, HTTP
// and the administrative commands. cmd/viaduct runs it; tests start the same thing.
//
// It is the only place that knows everything, so it holds no logic of its own: what it does is order. [New] opens the data directory and
// assembles, [Appliance.Start] opens the admin socket first and the client ports last, [Appliance.Stop] goes the other way.
//
// Goroutines: the certificate store's and those of the parts; all end in Stop.
package appliance
