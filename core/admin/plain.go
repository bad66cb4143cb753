package admin

import (
	"slices"
	"strings"
)

// packages are the names that errors of the program begin with: they say where something failed, which is for the log.
var packages = []string{
	"adhoc", "admin", "archive", "auth", "blob", "bookmarks", "c2s", "event", "extdisco", "files", "form", "forward", "gateway", "grpcbridge", "hash", "host",
	"httpd", "jid", "journal", "mam", "mappings", "migrations", "module", "muc", "offline", "plugin host", "presence", "private", "pubsub", "push",
	"register", "rejoin", "room", "roster", "router", "rsm", "sasl", "sdk", "server", "session", "sqlite", "stanza", "stanzaid", "storage", "stream",
	"tlscert", "transport", "turn", "upload", "vcard", "xmlstream",
}

// Plain is an error for a person: what failed, why and what to do, without the names of packages on the way there.
func Plain(err error) string { return PlainText(err.Error()) }

// PlainText is Plain for the text of an error; joined errors have a line each.
func PlainText(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		parts := strings.Split(line, ": ")
		if slices.Contains(packages, parts[len(parts)-1]) { // it would say nothing any more
			continue
		}
		parts = slices.DeleteFunc(parts, func(p string) bool { return slices.Contains(packages, p) })
		lines[i] = strings.Join(slices.Compact(parts), ": ") // an operation that two layers name
	}
	return strings.Join(lines, "\n")
}
