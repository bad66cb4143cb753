package archtest

import "slices"

// Rule is one row of the dependency table: what the packages it names may import inside the project.
// The first row that names a package is its row.
type Rule struct {
	Packages []string // patterns of the packages the row is for
	Allow    []string // patterns of what they may import
	Never    []string // patterns taken out of Allow again
	Tests    []string // patterns of what their tests may import beside that
	Text     string   // the row, in words
	Do       string   // what somebody does who is stopped by it
}

// Rules returns the dependency table of docs/ARCHITECTURE.md, in order.
func Rules() []Rule {
	return slices.Concat(pureRules(), contractRules(), coreRules(), pluginRules(), bridgeRules(), outerRules())
}

func basics() []string { return []string{"core/jid", "core/ns", "core/xmlstream/..."} }

// pure is what has no state and does no I/O.
func pure() []string {
	return append(basics(), "core/sasl/...", "core/stanza", "core/stream", "core/payload/...")
}

// contracts is what parts of the server talk to each other through.
func contracts() []string {
	return append(pure(), "core/event/...", "core/journal/...", "core/storage", "core/module/...")
}

// services is the parts of the server that own sockets, sessions and routes.
func services() []string {
	return []string{
		"core/session/...", "core/router/...", "core/transport/...", "core/dnsx/...", "core/httpd/...", "core/tlscert/...",
		"core/blob/...", "core/turn/...", "core/auth/...", "core/c2s/...", "core/s2s/...", "core/component/...", "core/cluster/...",
	}
}

// testSupport is what programs never link.
func testSupport() []string {
	return []string{"core/xmpptest/...", "core/storage/storagetest/...", "core/blob/blobtest/...", "plugins/plugintest/..."}
}

func pureRules() []Rule {
	const down = "move what is needed down into a pure package, or take it as a parameter"
	coreTests := []string{"core/..."}
	return []Rule{
		{
			Packages: []string{"core/jid", "core/ns"},
			Text:     "jid and ns import nothing of the project",
			Do:       down, Tests: coreTests,
		},
		{
			Packages: []string{"core/sasl/..."},
			Allow:    []string{"core/sasl/..."},
			Text:     "sasl imports nothing of the project",
			Do:       down, Tests: coreTests,
		},
		{
			Packages: []string{"plugins/sdk/richtext", "bridges/*/$1id"},
			Text:     "sdk/richtext and <net>id import nothing of the project",
			Do:       down,
		},
		{
			Packages: []string{"plugins/bridgepb/..."},
			Allow:    []string{"plugins/bridgepb/..."},
			Text:     "bridgepb is the protocol and its generated code; it imports nothing of the project",
			Do:       "conversions between sdk and bridge/v1 belong into plugins/grpcbridge",
		},
		{
			Packages: []string{"core/xmlstream/..."},
			Allow:    []string{"core/ns", "core/xmlstream/..."},
			Text:     "xmlstream imports ns and nothing else of the project",
			Do:       down, Tests: coreTests,
		},
		{
			Packages: []string{"core/stanza"},
			Allow:    basics(),
			Text:     "stanza imports jid, ns and xmlstream",
			Do:       down, Tests: coreTests,
		},
		{
			Packages: []string{"core/stream"},
			Allow:    append(basics(), "core/stanza"),
			Text:     "stream imports jid, ns, xmlstream and, downward, stanza",
			Do:       down, Tests: coreTests,
		},
		{
			Packages: []string{"core/payload/..."},
			Allow:    append(basics(), "core/stanza", "core/stream", "core/payload/..."),
			Text:     "payload codecs import jid, ns, xmlstream and, downward, stanza, stream and each other",
			Do:       down, Tests: coreTests,
		},
	}
}

func contractRules() []Rule {
	coreTests := []string{"core/..."}
	return []Rule{
		{
			Packages: []string{"core/event/...", "core/journal/...", "core/storage", "core/module/..."},
			Allow:    contracts(),
			Text:     "the contracts (event, journal, storage, module) import the pure packages and each other downward",
			Do:       "a contract holds types and small interfaces; what implements them lives outside and is handed in by core/server",
			Tests:    coreTests,
		},
		{
			Packages: []string{"core/storage/storagetest/..."},
			Allow:    append(pure(), "core/storage", "core/journal/...", "core/storage/storagetest/..."),
			Text:     "storagetest knows the contract of a store, not a backend",
			Do:       "take what differs between backends as a parameter of the suite",
			Tests:    coreTests,
		},
		{
			Packages: []string{"core/storage/*/..."},
			Allow:    append(pure(), "core/storage", "core/storage/migrations/...", "core/storage/$1/...", "core/journal/..."),
			Text:     "a storage backend imports core/storage, core/journal and the pure packages, never another backend",
			Do:       "what two backends share belongs into core/storage; what a module needs, into the ordered Table",
			Tests:    coreTests,
		},
	}
}

func coreRules() []Rule {
	coreTests := []string{"core/..."}
	return []Rule{
		{
			Packages: services(),
			Allow:    append(contracts(), services()...),
			Text:     "session, router, transport, dnsx, httpd, tlscert, blob, turn, auth, c2s, s2s, component and cluster import the contracts and each other; never a module, a storage backend or core/server",
			Do:       "add a typed point to core/event and let the module answer it, or take an interface that core/server fills",
			Tests:    coreTests,
		},
		{
			Packages: []string{"core/modules"},
			Allow:    append(contracts(), "core/modules/..."),
			Text:     "core/modules is the list of all modules and imports nothing but them and the contracts",
			Do:       "code of a module belongs into its own folder",
			Tests:    coreTests,
		},
		{
			Packages: []string{"core/modules/*/..."},
			Allow:    append(contracts(), "core/modules/$1/..."),
			Text:     "a module imports the contracts and its own folder; never another module, a service or a backend",
			Do:       "declare a small interface for what is needed and Need it; the other module Provides it (core/module)",
			Tests:    coreTests,
		},
		{
			Packages: []string{"core/admin/..."},
			Allow:    append(contracts(), "core/admin/..."),
			Text:     "core/admin imports contracts only",
			Do:       "take the service that a command uses as an interface in its Deps",
			Tests:    coreTests,
		},
		{
			Packages: []string{"core/server/..."},
			Allow:    []string{"core/..."},
			Never:    testSupport(),
			Text:     "core/server imports all of core and nothing outside of it",
			Do:       "what joins core with bridges, plugins or configs belongs into internal/appliance",
			Tests:    coreTests,
		},
		{
			Packages: []string{"core/xmpptest/..."},
			Allow:    []string{"core/..."},
			Text:     "core/xmpptest imports core/server and below; only tests and internal/dev import it",
			Do:       "what a program needs at run time does not belong into xmpptest",
			Tests:    coreTests,
		},
	}
}

func pluginRules() []Rule {
	pluginTests := []string{"plugins/...", "bridges/demo/..."}
	return []Rule{
		{
			Packages: []string{"plugins/sdk"},
			Allow:    []string{"plugins/sdk/richtext"},
			Text:     "plugins/sdk imports sdk/richtext and nothing else of the project",
			Do:       "what knows launching or gRPC belongs into plugins/grpcbridge or plugins/host",
		},
		{
			Packages: []string{"plugins/host/...", "plugins/grpcbridge/..."},
			Allow:    []string{"plugins/..."},
			Never:    testSupport(),
			Text:     "plugins/host and plugins/grpcbridge import plugins/* only",
			Do:       "take what the server gives as an interface in Options; internal/appliance joins the two",
			Tests:    pluginTests,
		},
		{
			Packages: []string{"plugins/plugintest/...", "plugins/examples/..."},
			Allow:    []string{"plugins/..."},
			Text:     "plugins/plugintest and the examples import plugins/* only",
			Do:       "a suite that every bridge calls cannot know one bridge: take it as a parameter",
			Tests:    pluginTests,
		},
	}
}

func bridgeRules() []Rule {
	return []Rule{
		{
			Packages: []string{"bridges/gateway/admincmd/..."},
			Allow:    append(contracts(), "core/admin/...", "mappings/...", "plugins/sdk/...", "bridges/gateway/..."),
			Text:     "bridges/gateway/admincmd registers the gateway's commands: beside the gateway's own row it may import core/admin",
			Do:       "let core/server or internal/appliance hand in what a command needs",
			Tests:    []string{"core/...", "plugins/...", "bridges/demo/..."},
		},
		{
			Packages: []string{"bridges/gateway/..."},
			Allow:    append(contracts(), "mappings/...", "plugins/sdk/...", "bridges/gateway/..."),
			Text:     "bridges/gateway imports core's contracts, mappings and plugins/sdk; it is network-neutral and knows no process",
			Do:       "what differs between networks is data in the plugin's capabilities; what launches it is handed in by internal/appliance",
			Tests:    []string{"core/...", "plugins/...", "bridges/demo/..."},
		},
		{
			Packages: []string{"bridges/*/mrkdwn", "bridges/*/*markdown", "bridges/*/*html"},
			Allow:    []string{"plugins/sdk/richtext"},
			Text:     "a bridge's text format is a pure conversion from and to sdk/richtext",
			Do:       "take ids, names and look-ups as functions or plain values",
		},
		{
			Packages: []string{"bridges/*/..."},
			Allow:    []string{"plugins/sdk/...", "bridges/$1/..."},
			Text:     "bridges/<net> imports plugins/sdk and its own sub-packages: a plugin binary never links core",
			Do:       "what a bridge needs of the server goes through sdk.Host; what two bridges share, into plugins/sdk",
			Tests:    []string{"plugins/..."},
		},
	}
}

func outerRules() []Rule {
	all := []string{"core/...", "plugins/...", "bridges/gateway/...", "mappings/...", "configs/...", "internal/appliance/..."}
	allTests := []string{"..."}
	return []Rule{
		{
			Packages: []string{"mappings/..."},
			Allow:    []string{"core/jid", "core/ns", "core/xmlstream", "core/payload/...", "plugins/sdk/...", "mappings/..."},
			// xmlstream is pure, and what mappings reads and writes is the payload of stanzas: as strings it would be a second parser.
			Text:  "mappings imports core/jid, core/ns, core/xmlstream, core/payload and plugins/sdk",
			Do:    "mappings is pure: state belongs into bridges/gateway",
			Tests: []string{"core/..."},
		},
		{
			Packages: []string{"cmd/viaduct-*"},
			Allow:    []string{"plugins/sdk/...", "plugins/grpcbridge/...", "bridges/$1/..."},
			Text:     "cmd/viaduct-<net> serves its connector and nothing else: plugins/sdk, plugins/grpcbridge, bridges/<net>",
			Do:       "a plugin binary never links core; put the code into bridges/<net>",
			Tests:    allTests,
		},
		{
			Packages: []string{"cmd/viaduct/...", "internal/appliance/..."},
			Allow:    all,
			Never:    testSupport(),
			Text:     "cmd/viaduct and internal/appliance import everything but bridges/<net>",
			Do:       "a bridge runs as a process of its own and is reached through plugins/host",
			Tests:    allTests,
		},
		{
			Packages: []string{"configs/..."},
			Allow:    []string{"core/...", "plugins/host/...", "plugins/sdk/...", "bridges/gateway/...", "mappings/...", "configs/..."},
			Never:    testSupport(),
			Text:     "configs imports the packages that own a Config, and no bridge but the gateway",
			Do:       "a bridge's own settings are checked against the schema that its plugin sends",
			Tests:    allTests,
		},
		{
			Packages: []string{"internal/archtest/..."},
			Text:     "internal/archtest imports nothing of the project",
			Do:       "it reads sources; it does not need to link them",
		},
		{
			Packages: []string{"internal/dev/..."},
			Allow:    allTests,
			Text:     "internal/dev may import everything",
			Do:       "nothing: this row never stops anybody",
		},
	}
}
