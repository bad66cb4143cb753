// Package discordfmt translates Discord's markdown from and to the neutral text
// tree of the sdk, and embeds into text.
//
// It is pure. What is written never calls anybody who was not named by an explicit
// mention: "@everyone", "@here" and roles are text with a space of no width in
// them, and [Options.User] decides about every user.
//
// A space of no width (U+200B) also parts marks that would run together; the
// reader drops it, so that what was written reads back as the same tree.
//
// Specification: Discord developer documentation, "Reference" (Message
// Formatting), and what Discord's own clients do with it.
package discordfmt
