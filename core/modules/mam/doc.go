// Package mam answers questions about archives (XEP-0313): those of accounts, to their owners only, and those of rooms, to whoever may enter
// them. It knows every field of the specification and its extended set (before-id, after-id, ids, flipped pages, metadata), pages in both
// directions (XEP-0059), and looks for words (XEP-0431).
//
// What it is not: what is kept, and for how long, is core/modules/archive's; a room's right to be read is core/modules/muc's. It stores nothing.
//
// Specifications: XEP-0313 §3, §4, §5.1.3, §6; XEP-0431; XEP-0059 §2.1 to §2.5, §2.7, §6. The reasons are in docs/adr/0006-archive.md.
//
// Goroutines: none of its own. A page is read in the goroutine of who asks; questions for words wait for the index and are answered one after
// the other from a queue of the module.
//
//	modules = append(modules, mam.New(mam.Options{}))
package mam
