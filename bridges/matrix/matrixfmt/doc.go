// Package matrixfmt turns org.matrix.custom.html into rich text and back.
//
// It is pure: no I/O, no goroutines, no state. Reading is a walk over the parsed
// tree with an allow-list; what is not on it loses its mark-up, not its text, and
// scripts and styles lose both. Nothing that was HTML ever leaves as HTML: only
// [HTML] writes it, from the neutral tree. It knows nothing of events or rooms;
// who a mention points at is the caller's to say.
//
// Specification: Matrix v1.15, Client-Server API, "m.room.message msgtypes"
// (the list of tags), "Spoiler messages", "User and room mentions"; MSC2545
// (custom emoji).
//
//	doc := matrixfmt.Parse(`<strong>hi</strong> <a href="https://matrix.to/#/@bob:hs">Bob</a>`)
//	html := matrixfmt.HTML(doc, matrixfmt.Options{})
package matrixfmt
