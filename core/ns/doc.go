// Package ns names every XML namespace, feature, form type and node that Viaduct or the clients it
// serves use, under the RFC or XEP that defines it. It holds nothing but constants and their list.
//
// A constant is added in the file of its area; `go generate` then renews the list, and a test
// refuses a constant that is not in it, or a value that is there twice.
//
//	if name.Space == ns.Roster { ... }
package ns

//go:generate go test -run TestAllIsComplete -update
