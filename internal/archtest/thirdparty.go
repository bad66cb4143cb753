package archtest

import (
	"slices"
	"strings"
)

// Library is a foreign module, or a part of one, and who may import it.
type Library struct {
	Path     string   // prefix of import paths; the longest one that fits counts
	Packages []string // patterns of the packages that may import it
	Tests    bool     // every test may import it
	Why      string   // why it is here: the one line that a dependency costs
}

// Libraries returns every foreign module that the project imports. A library without Packages and Tests
// must not be imported. internal/dev may use whatever somebody may.
func Libraries() []Library {
	client := []string{"core/xmpptest/..."}
	suites := []string{"core/xmpptest/...", "core/storage/storagetest/...", "plugins/plugintest/..."}
	wide := []string{"core/...", "mappings/...", "configs/...", "bridges/...", "internal/appliance/...", "cmd/...", "plugins/host/...", "plugins/grpcbridge/..."}
	grpc := []string{"plugins/grpcbridge/...", "plugins/host/...", "plugins/bridgepb/..."}
	return []Library{
		{Path: "golang.org/x/crypto", Packages: wide, Tests: true, Why: "argon2, hkdf, acme: what crypto/* lacks"},
		{Path: "golang.org/x/image", Packages: wide, Tests: true, Why: "webp and scaling of avatars"},
		{Path: "golang.org/x/net", Packages: wide, Tests: true, Why: "IDNA, HTML tokens, DNS messages"},
		{Path: "golang.org/x/sync", Packages: wide, Tests: true, Why: "errgroup, singleflight, semaphore"},
		{Path: "golang.org/x/sys", Packages: wide, Tests: true, Why: "socket options, peer credentials, rlimits"},
		{Path: "golang.org/x/term", Packages: wide, Tests: true, Why: "password prompts, and whether there is a terminal"},
		{Path: "golang.org/x/text", Packages: wide, Tests: true, Why: "PRECIS and Unicode normal forms"},
		{Path: "golang.org/x/time", Packages: wide, Tests: true, Why: "rate limits"},

		{Path: "modernc.org/sqlite", Packages: []string{"core/storage/sqlite/..."}, Why: "SQLite without cgo"},
		{Path: "github.com/pressly/goose/v3", Packages: []string{"core/storage/..."}, Why: "numbered, forward-only migrations"},
		{Path: "gopkg.in/yaml.v3", Packages: []string{"configs/...", "bridges/matrix/..."}, Why: "configuration with line numbers; the homeserver's registration file"},
		{Path: "github.com/spf13/cobra", Packages: []string{"cmd/...", "internal/appliance/..."}, Why: "command line, completion, manual pages"},
		{Path: "github.com/spf13/pflag", Packages: []string{"cmd/...", "internal/appliance/..."}, Why: "cobra's flags"},
		{Path: "github.com/prometheus/client_golang", Packages: []string{"core/server/...", "core/httpd/...", "core/admin/...", "internal/appliance/..."}, Tests: true, Why: "what operators scrape; its types stay out of every API"},
		{Path: "github.com/coder/websocket", Packages: []string{"core/transport/...", "core/httpd/...", "core/xmpptest/...", "bridges/..."}, Tests: true, Why: "RFC 7395, and platforms' sockets"},
		{Path: "github.com/minio/minio-go/v7", Packages: []string{"core/blob/s3/..."}, Why: "S3's requests and their signatures"},
		{Path: "github.com/pion/turn/v5", Packages: []string{"core/turn/..."}, Tests: true, Why: "STUN and TURN"},
		{Path: "github.com/pion/stun/v4", Packages: []string{"core/turn/..."}, Tests: true, Why: "pion/turn's messages"},
		{Path: "github.com/pion/logging", Packages: []string{"core/turn/..."}, Tests: true, Why: "pion's logger, adapted to slog"},

		{Path: "github.com/hashicorp/go-plugin", Packages: []string{"plugins/grpcbridge/...", "plugins/host/..."}, Why: "handshake and life of a plugin process"},
		{Path: "github.com/hashicorp/go-hclog", Packages: []string{"plugins/grpcbridge/...", "plugins/host/..."}, Why: "go-plugin's logger, adapted to slog"},
		{Path: "google.golang.org/grpc", Packages: grpc, Why: "bridge/v1"},
		{Path: "google.golang.org/protobuf", Packages: grpc, Why: "bridge/v1"},
		{Path: "github.com/bufbuild/protocompile", Packages: []string{"internal/dev/protogen/..."}, Why: "compiles .proto without protoc"},

		{Path: "maunium.net/go/mautrix", Packages: []string{"bridges/matrix/..."}, Why: "Matrix types and the appservice API"},
		{Path: "maunium.net/go/mautrix/crypto", Why: "does not build with CGO_ENABLED=0"},
		{Path: "maunium.net/go/mautrix/bridgev2", Why: "a framework that wants to be the hub"},
		{Path: "github.com/bwmarrin/discordgo", Packages: []string{"bridges/discord/..."}, Tests: true, Why: "Discord's types and requests"},
		{Path: "go.mau.fi/util", Packages: []string{"bridges/matrix/..."}, Why: "mautrix's own helpers, where its API asks for them"},
		{Path: "go.mau.fi/util/emojishortcodes", Packages: []string{"bridges/slack/slackfmt"}, Why: "Slack's short names of emoji"},
		{Path: "go.mau.fi/util/variationselector", Packages: []string{"bridges/slack/slackfmt"}, Why: "emoji of that table as people type them"},

		{Path: "github.com/google/go-cmp", Packages: suites, Tests: true, Why: "differences in tests"},
		{Path: "go.uber.org/goleak", Packages: suites, Tests: true, Why: "goroutines that outlive a test"},
		{Path: "pgregory.net/rapid", Packages: suites, Tests: true, Why: "properties and state machines in tests"},
		{Path: "github.com/slack-go/slack", Packages: []string{"bridges/slack/..."}, Tests: true, Why: "Slack's Web API and objects; in tests, a client of another author"},
		{Path: "mellium.im/xmpp", Packages: client, Tests: true, Why: "an XMPP client of another author, in tests"},
		{Path: "mellium.im/sasl", Packages: client, Tests: true, Why: "the other side of SASL, in tests"},
		{Path: "github.com/xdg-go/scram", Packages: client, Tests: true, Why: "the other side of SCRAM, in tests"},
	}
}

// CheckLibraries holds every foreign import against the table.
func CheckLibraries(t *Tree, libraries []Library) []Finding {
	byLength := slices.Clone(libraries)
	slices.SortStableFunc(byLength, func(a, b Library) int { return len(b.Path) - len(a.Path) })
	var found []Finding
	for _, p := range t.Packages {
		for _, f := range p.Files {
			for _, imp := range f.Imports {
				if finding, bad := checkLibrary(t, byLength, p, f, imp); bad {
					found = append(found, finding)
				}
			}
		}
	}
	return found
}

func checkLibrary(t *Tree, byLength []Library, p *Package, f *File, imp Import) (Finding, bool) {
	finding := Finding{File: f.Path, Line: imp.Line, What: p.Path + " imports " + imp.Path}
	if imp.Path == "C" {
		finding.Rule = "the project builds with CGO_ENABLED=0"
		finding.Do = "find a way without cgo"
		return finding, true
	}
	if _, ours := t.Local(imp.Path); ours || standard(imp.Path) {
		return finding, false
	}
	at := slices.IndexFunc(byLength, func(l Library) bool { return hasModule([]string{l.Path}, imp.Path) })
	if at < 0 {
		finding.Rule = "a new dependency costs one written line of why"
		finding.Do = "do without it, or add it with its reason and its place to internal/archtest/thirdparty.go"
		return finding, true
	}
	lib := byLength[at]
	developer := matchAny([]string{"internal/dev/..."}, "", p.Path) && (len(lib.Packages) > 0 || lib.Tests)
	if matchAny(lib.Packages, "", p.Path) || f.Test && lib.Tests || developer {
		return finding, false
	}
	finding.Rule = lib.Path + " (" + lib.Why + ") is imported by " + orNobody(lib.Packages)
	finding.Do = "go through the package that owns the library; none of its types appear in our own API"
	return finding, true
}

func orNobody(packages []string) string {
	if len(packages) == 0 {
		return "nobody"
	}
	return strings.Join(packages, ", ") + " only"
}

// standard says whether a package is the standard library's: the first segment of its path has no dot.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}
