package main

import (
	"fmt"
	"strings"

	"github.com/viaduct-xmpp/viaduct/internal/appliance"
)

const adminHead = `# The commands

Generated from the table of commands (` + "`go generate ./internal/dev/docgen`" + `); do not edit.

Every command takes ` + "`--config FILE`" + ` and ` + "`--json`" + `. With the server running it goes through ` + "`admin.sock`" + ` in the data directory; those marked
*also stopped* work on the data directory of a stopped server, too. The exit status is 0 only on success, errors are one line on standard error.
Beside these: ` + "`viaduct serve`, `viaduct quickstart`, `viaduct restore`" + ` (see ` + "`--help`" + `).

`

func adminReference(string) (string, error) {
	var b strings.Builder
	b.WriteString(adminHead)
	group := ""
	for _, c := range appliance.Table() {
		if g, _, ok := strings.Cut(c.Name, " "); ok && g != group {
			group = g
			fmt.Fprintf(&b, "## %s: %s\n\n", g, appliance.GroupDoc(g))
		} else if !ok && group != "the server" {
			group = "the server"
			b.WriteString("## the server\n\n")
		}
		fmt.Fprintf(&b, "### `viaduct %s`\n\n%s%s.", strings.TrimSpace(c.Name+" "+c.Args), strings.ToUpper(c.Short[:1]), c.Short[1:])
		if c.Long != "" {
			b.WriteString(" " + c.Long)
		}
		if c.Stopped {
			b.WriteString(" *Also stopped.*")
		}
		b.WriteString("\n\n")
		for _, f := range c.Flags {
			fmt.Fprintf(&b, "- `%s`: %s\n", strings.TrimSpace("--"+f.Name+" "+f.Value), f.Doc)
		}
		if len(c.Flags) > 0 {
			b.WriteByte('\n')
		}
	}
	return strings.TrimRight(b.String(), "\n") + "\n", nil
}
