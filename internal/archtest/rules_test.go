package archtest

import "testing"

// TestRules reads the dependency table in both directions: what each row must let pass, and what it must stop.
func TestRules(t *testing.T) {
	for _, c := range []struct {
		from, to string
		test     bool // the import stands in a test
		want     bool
	}{
		{from: "core/jid", to: "core/ns", want: false},
		{from: "core/sasl", to: "core/jid", want: false},
		{from: "core/xmlstream", to: "core/ns", want: true},
		{from: "core/xmlstream", to: "core/jid", want: false},
		{from: "core/stanza", to: "core/xmlstream", want: true},
		{from: "core/stanza", to: "core/payload/delay", want: false},
		{from: "core/stream", to: "core/stanza", want: true},
		{from: "core/payload/rsm", to: "core/payload/form", want: true},
		{from: "core/payload/rsm", to: "core/event", want: false},
		{from: "core/event", to: "core/journal", want: true},
		{from: "core/journal", to: "core/session", want: false},
		{from: "core/module", to: "core/event", want: true},
		{from: "core/module", to: "core/storage/sqlite", want: false},
		{from: "core/storage", to: "core/storage/sqlite", want: false},
		{from: "core/storage", to: "core/storage/sqlite", test: true, want: true},
		{from: "core/storage/sqlite", to: "core/journal", want: true},
		{from: "core/storage/sqlite", to: "core/storage/migrations", want: true},
		{from: "core/storage/sqlite", to: "core/storage/sqlite/schema", want: true},
		{from: "core/storage/sqlite", to: "core/storage/postgres", want: false},
		{from: "core/storage/sqlite", to: "core/event", want: false},
		{from: "core/storage/storagetest", to: "core/storage/sqlite", want: false},
		{from: "core/c2s", to: "core/session", want: true},
		{from: "core/c2s", to: "core/modules/roster", want: false},
		{from: "core/router", to: "core/storage/sqlite", want: false},
		{from: "core/router", to: "core/server", want: false},
		{from: "core/cluster", to: "core/router", want: true},
		{from: "core/modules", to: "core/modules/mam", want: true},
		{from: "core/modules/mam", to: "core/event", want: true},
		{from: "core/modules/mam", to: "core/modules/mam/query", want: true},
		{from: "core/modules/mam/query", to: "core/modules/mam", want: true},
		{from: "core/modules/mam", to: "core/modules/mamx", want: false},
		{from: "core/modules/mam", to: "core/modules", want: false},
		{from: "core/modules/mam", to: "core/router", want: false},
		{from: "core/modules/mam", to: "core/xmpptest", test: true, want: true},
		{from: "core/modules/mam", to: "core/xmpptest", want: false},
		{from: "core/admin", to: "core/module", want: true},
		{from: "core/admin", to: "core/session", want: false},
		{from: "core/server", to: "core/modules", want: true},
		{from: "core/server", to: "plugins/host", want: false},
		{from: "core/server", to: "core/xmpptest", want: false},
		{from: "core/server", to: "core/xmpptest", test: true, want: true},
		{from: "core/xmpptest", to: "core/server", want: true},
		{from: "mappings", to: "core/payload/form", want: true},
		{from: "mappings/richtext", to: "plugins/sdk/richtext", want: true},
		{from: "mappings", to: "core/event", want: false},
		{from: "plugins/sdk", to: "plugins/sdk/richtext", want: true},
		{from: "plugins/sdk", to: "plugins/bridgepb", want: false},
		{from: "plugins/sdk/richtext", to: "plugins/sdk", want: false},
		{from: "plugins/grpcbridge", to: "plugins/bridgepb/v1", want: true},
		{from: "plugins/grpcbridge", to: "core/jid", want: false},
		{from: "plugins/host", to: "plugins/plugintest", want: false},
		{from: "plugins/host", to: "plugins/plugintest", test: true, want: true},
		{from: "bridges/gateway", to: "core/event", want: true},
		{from: "bridges/gateway", to: "core/session", want: false},
		{from: "bridges/gateway", to: "plugins/host", want: false},
		{from: "bridges/gateway", to: "core/admin", want: false},
		{from: "bridges/gateway/admincmd", to: "core/admin", want: true},
		{from: "bridges/slack", to: "plugins/sdk", want: true},
		{from: "bridges/slack", to: "bridges/slack/slackid", want: true},
		{from: "bridges/slack", to: "core/jid", want: false},
		{from: "bridges/slack", to: "plugins/grpcbridge", want: false},
		{from: "bridges/slack", to: "plugins/plugintest", test: true, want: true},
		{from: "bridges/slack", to: "bridges/discord", want: false},
		{from: "bridges/slack/slackid", to: "plugins/sdk", want: false},
		{from: "bridges/slack/mrkdwn", to: "plugins/sdk/richtext", want: true},
		{from: "bridges/slack/mrkdwn", to: "plugins/sdk", want: false},
		{from: "bridges/slack/slacktest", to: "bridges/slack/slackid", want: true},
		{from: "cmd/viaduct-slack", to: "bridges/slack", want: true},
		{from: "cmd/viaduct-slack", to: "plugins/grpcbridge", want: true},
		{from: "cmd/viaduct-slack", to: "bridges/discord", want: false},
		{from: "cmd/viaduct-slack", to: "core/jid", want: false},
		{from: "cmd/viaduct", to: "internal/appliance", want: true},
		{from: "cmd/viaduct", to: "bridges/gateway", want: true},
		{from: "cmd/viaduct", to: "bridges/matrix", want: false},
		{from: "cmd/viaduct", to: "internal/dev/protogen", want: false},
		{from: "configs", to: "core/c2s", want: true},
		{from: "configs", to: "bridges/gateway", want: true},
		{from: "configs", to: "bridges/matrix", want: false},
		{from: "configs", to: "internal/appliance", want: false},
		{from: "internal/appliance", to: "configs", want: true},
		{from: "internal/appliance", to: "bridges/demo", want: false},
		{from: "internal/appliance", to: "core/xmpptest", want: false},
		{from: "internal/appliance", to: "core/xmpptest", test: true, want: true},
		{from: "internal/archtest", to: "core/ns", want: false},
		{from: "internal/dev/protogen", to: "core/xmpptest", want: true},
	} {
		name := c.from + " imports " + c.to
		if c.test {
			name += " in a test"
		}
		t.Run(name, func(t *testing.T) {
			rule, first, ok := ruleOf(Rules(), c.from)
			if !ok {
				t.Fatalf("%s is in no row", c.from)
			}
			if got := rule.allows(first, c.to, c.test); got != c.want {
				t.Errorf("allowed: %v, want %v by the row: %s", got, c.want, rule.Text)
			}
		})
	}
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, path, first string
		want                 bool
	}{
		{"core/jid", "core/jid", "", true},
		{"core/jid", "core/jid/x", "", false},
		{"core/jid", "core", "", false},
		{"core/...", "core", "", true},
		{"core/...", "core/a/b", "", true},
		{"core/...", "corex", "", false},
		{"...", "anything", "", true},
		{"bridges/*/...", "bridges/slack", "slack", true},
		{"bridges/*/...", "bridges", "", false},
		{"bridges/*/$1id", "bridges/slack/slackid", "slack", true},
		{"bridges/*/$1id", "bridges/slack/discordid", "", false},
		{"cmd/viaduct-*", "cmd/viaduct-slack", "slack", true},
		{"cmd/viaduct-*", "cmd/viaduct", "", false},
		{"cmd/viaduct-*", "cmd/viaduct-", "", false},
		{"bridges/*/*html", "bridges/matrix/mxhtml", "matrix", true},
	} {
		first, ok := match(c.pattern, c.path)
		if ok != c.want || ok && first != c.first {
			t.Errorf("match(%q, %q) = %q, %v; want %q, %v", c.pattern, c.path, first, ok, c.first, c.want)
		}
	}
}
