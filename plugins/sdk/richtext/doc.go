// Package richtext is the one neutral tree of formatted text.
//
// Every network and every XMPP markup (XEP-0393, XEP-0394, XHTML-IM, Matrix
// HTML, Slack's rich_text and mrkdwn, Discord markdown) is read into this tree
// and written from it; the tree itself travels in bridge/v1, never markup, so
// that no two parsers can disagree about the same message.
//
// The package is pure: no I/O, no goroutines, no state, standard library only.
// It is not a parser or renderer of any markup; those live beside the network
// or in mappings. It knows plain text only, because everybody needs that.
//
// A tree built by a reader of foreign bytes is hostile until [Normalize] has
// bounded it; what Normalize returns is valid UTF-8, free of control
// characters, of limited depth and size, and equal trees mean equal text.
//
//	doc := richtext.Doc(richtext.Para(
//		richtext.Text("see "),
//		richtext.Link("https://example.org/", richtext.Bold(richtext.Text("this"))),
//	))
//	doc, _ = richtext.Normalize(doc, richtext.DefaultLimits())
//	doc.Plain() // "see this (https://example.org/)"
//	parts := richtext.Split(doc, 2000, richtext.PlainRunes)
package richtext
