package configs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

const full = `
domains: [example.org, Example.NET]
public_url: https://example.org
data_dir: data
storage: {driver: sqlite}
tls: {cert: cert.pem, key: /etc/key.pem}
listen:
  c2s: [":5222"]
  c2s_tls: ["127.0.0.1:5223", "[::1]:5223"]
  s2s: []
  s2s_tls: []
  http: []
  https: []
  admin: []
  component: []
s2s: {resolver: "127.0.0.1:53", ca_file: ca.pem, hosts: {b.test: "127.0.0.2:5269"}}
registration: {open: true}
log: {level: debug, format: json, file: v.log}
plugin_dir: plugins
limits: {off: true, stanza_bytes: 512 KiB, sm_queue_bytes: 2000000}
bridges:
  - name: matrix
    plugin: matrix
    domain: example.org
    allow: {use: [example.org, friend@other.org], create_rooms: [admins], link: [admins]}
    transport: socket
    limits: {memory_bytes: 256 MiB}
    config: {homeserver: "https://hs.example", listen: "127.0.0.1:29317"}
  - name: acme
    plugin: ./bin/viaduct-slack
links:
  - room: ops@rooms.example.org
    remotes: [{bridge: acme, room: "#ops"}, {bridge: matrix, room: "#ops:hs.example"}]
`

func TestEveryKeyIsRead(t *testing.T) {
	dir := t.TempDir()
	c, err := Parse([]byte(full), filepath.Join(dir, "viaduct.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"domains":  []string{"example.org", "example.net"},
		"data":     filepath.Join(dir, "data"),
		"cert":     filepath.Join(dir, "cert.pem"),
		"key":      "/etc/key.pem",
		"ca":       filepath.Join(dir, "ca.pem"),
		"stanza":   512 << 10,
		"sm":       2000000,
		"resume":   600,
		"domain":   "example.org",
		"plugin":   filepath.Join(dir, "bin/viaduct-slack"),
		"mem":      Size(256 << 20),
		"s2s":      0,
		"config":   `{"homeserver":"https://hs.example","listen":"127.0.0.1:29317"}`,
		"archived": true,
	}
	got := map[string]any{
		"domains": c.Domains, "data": c.DataDir, "cert": c.TLS.Cert, "key": c.TLS.Key, "ca": c.S2S.CAFile,
		"stanza": c.Limits.StanzaBytes, "sm": c.Limits.SMQueueBytes, "resume": c.Limits.SMResumeSeconds,
		"domain": c.Bridges[1].Domain, "plugin": c.Bridges[1].Plugin, "mem": c.Bridges[0].Limits.MemoryBytes,
		"s2s": len(c.Listen.S2S), "config": string(c.Bridges[0].Config.JSON()), "archived": c.Archive.People,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if n := c.Notes(); len(n) != 0 {
		t.Errorf("notes: %q", n)
	}
}

// Each bad file names its line and what to do.
func TestBadFiles(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"unknown key", "domains: [a.org]\ndata_dri: x", `v.yaml:2: unknown key "data_dri"; did you mean "data_dir"?`},
		{"unknown nested key", "domains: [a.org]\nlisten:\n  c2s: []\n  c2z: []", `v.yaml:4: unknown key "c2z" in listen; did you mean "c2s"?`},
		{"nothing like it", "domains: [a.org]\nregistration: {xyzzyxyzzy: 1}", `v.yaml:2: unknown key "xyzzyxyzzy" in registration; known are open`},
		{"duplicate", "domains: [a.org]\nlog: {level: info}\ndomains: [b.org]", `v.yaml:3: domains stands here for the second time; the first is in line 1`},
		{"wrong type", "domains: a.org", `v.yaml:1: domains must be a list, such as [a, b]`},
		{"not a number", "domains: [a.org]\nlimits: {auth_seconds: soon}", `v.yaml:2: limits.auth_seconds must be a whole number that is not negative`},
		{"not a bool", "domains: [a.org]\nregistration: {open: maybe}", `v.yaml:2: registration.open must be true or false`},
		{"bad size", "domains: [a.org]\nlimits: {stanza_bytes: 3 parsecs}", `v.yaml:2: limits.stanza_bytes: "3 parsecs" is not a size; write a number of bytes, or one with KiB, MiB or GiB`},
		{"not yaml", "domains: [a.org\nlog: {}", `v.yaml:1: this is not YAML: did not find expected ',' or ']'`},
		{"second document", "domains: [a.org]\n---\nlog: {}", `v.yaml:2: a second document begins here; a configuration is one document, without ---`},
		{"no domain", "data_dir: x", `v.yaml: domains: at least one domain is needed, such as domains: [example.org]`},
		{"bad domain", `domains: ["not a domain"]`, `v.yaml:1: domains: "not a domain" is not a domain`},
		{"postgres", "domains: [a.org]\nstorage: {driver: postgres}", `v.yaml:2: storage.driver: postgres is not in this version; use sqlite`},
		{"acme", "domains: [a.org]\ntls: {acme: {email: a@a.org}}", `v.yaml:2: tls.acme is not in this version; give tls.cert and tls.key, or neither for a certificate that the server makes itself`},
		{"cert without key", "domains: [a.org]\ntls: {cert: c.pem}", `v.yaml:2: tls.cert needs tls.key, the file with its private key`},
		{"bad address", "domains: [a.org]\nlisten:\n  c2s: [\"5222\"]", `v.yaml:3: listen.c2s: "5222" is not host:port; an IPv6 address stands in brackets, as in [::1]:5222`},
		{"same address twice", "domains: [a.org]\nlisten:\n  c2s: [\":1\"]\n  c2s_tls: [\":1\"]", `v.yaml:4: listen.c2s_tls: :1 is used by listen.c2s already`},
		{"archive policy", "domains: [a.org]\narchive: {default: maybe}", `v.yaml:2: archive.default: "maybe" is unknown; use always, never or roster`},
		{"archive exception", "domains: [a.org]\narchive:\n  exceptions:\n    - {of: x@}", `v.yaml:4: archive.exceptions: "x@" is neither a domain nor an address such as room@rooms.example.org`},
		{"archive exception twice", "domains: [a.org]\narchive:\n  exceptions:\n    - {of: a.org, days: 1}\n    - {of: A.org, days: 2}", `v.yaml:5: archive.exceptions: a.org stands there twice; the first is in line 4`},
		{"rejoin", "domains: [a.org]\nrejoin: {messages: 100000}", `v.yaml:2: rejoin: messages is from 1 to 10000`},
		{"reserved bridge", "domains: [a.org]\nbridges:\n  - {name: rooms, plugin: demo}", `v.yaml:3: bridge "rooms": the server uses rooms.a.org itself; choose another name`},
		{"bridge twice", "domains: [a.org]\nbridges:\n  - {name: x, plugin: demo}\n  - {name: x, plugin: demo}", `v.yaml:4: bridge "x" stands there twice; the first is in line 3`},
		{"bridge without plugin", "domains: [a.org]\nbridges:\n  - {name: x}", `v.yaml:3: bridge "x" needs plugin: matrix, slack, discord, demo, or a path`},
		{"link to nowhere", "domains: [a.org]\nlinks:\n  - {room: r@rooms.a.org, remotes: [{bridge: no, room: x}]}", `v.yaml:3: link of r@rooms.a.org: there is no bridge "no"`},
		{"link of another server's room", "domains: [a.org]\nbridges: [{name: x, plugin: demo}]\nlinks:\n  - {room: r@rooms.b.org, remotes: [{bridge: x, room: y}]}",
			`v.yaml:4: link: room r@rooms.b.org is no room of this server; write one such as r@rooms.a.org`},
		{"link of a bridge's room", "domains: [a.org]\nbridges: [{name: x, plugin: demo}]\nlinks:\n  - {room: r@rooms.x.a.org, remotes: [{bridge: x, room: y}]}",
			`v.yaml:4: link: room r@rooms.x.a.org is no room of this server; write one such as r@rooms.a.org`},
		{"link twice", "domains: [a.org]\nbridges: [{name: x, plugin: demo}]\nlinks:\n  - {room: r@rooms.a.org, remotes: [{bridge: x, room: y}]}\n  - {room: R@rooms.a.org, remotes: [{bridge: x, room: z}]}",
			`v.yaml:5: link of R@rooms.a.org stands there twice; the first is in line 4`},
		{"remote twice", "domains: [a.org]\nbridges: [{name: x, plugin: demo}]\nlinks:\n  - {room: r@rooms.a.org, remotes: [{bridge: x, room: y}]}\n  - {room: s@rooms.a.org, remotes: [{bridge: x, room: y}]}",
			`v.yaml:5: link of s@rooms.a.org: x:y is linked in line 4 already; a remote room can be in one link only`},
		{"remote without a room", "domains: [a.org]\nbridges: [{name: x, plugin: demo}]\nlinks:\n  - {room: r@rooms.a.org, remotes: [{bridge: x}]}", `v.yaml:4: link of r@rooms.a.org: a remote of "x" has no room`},
		{"log level", "domains: [a.org]\nlog: {level: loud}", `v.yaml:2: log.level: "loud" is unknown; use debug, info, warn or error`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Parse([]byte(tc.text), "v.yaml", nil)
			var p Problems
			if !errors.As(err, &p) {
				t.Fatalf("accepted, error %v", err)
			}
			if p[0].String() != tc.want || len(p) != 1 {
				t.Errorf("got\n%v\nwant\n%s", err, tc.want)
			}
		})
	}
}

func TestAllProblemsAreReported(t *testing.T) {
	_, err := Parse([]byte("domains: [a.org]\nfoo: 1\nlimits: {off: 7}\nbar: 2"), "v.yaml", nil)
	var p Problems
	if !errors.As(err, &p) || len(p) != 3 {
		t.Errorf("problems: %v", err)
	}
}

func TestSecretHasOneSource(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "dsn")
	if err := os.WriteFile(secret, []byte("postgres://from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := func(set bool) func(string) (string, bool) {
		return func(k string) (string, bool) { return "postgres://from-env", set && k == "VIADUCT_STORAGE_DSN" }
	}
	for _, tc := range []struct {
		name, storage string
		env           bool
		want, problem string
	}{
		{"key", "dsn: in-key", false, "in-key", ""},
		{"file", "dsn_file: dsn", false, "postgres://from-file", ""},
		{"environment", "driver: sqlite", true, "postgres://from-env", ""},
		{"key and file", "dsn: x, dsn_file: dsn", false, "", "given twice"},
		{"file and key", "dsn_file: dsn, dsn: x", false, "", "given twice"},
		{"file and environment", "dsn_file: dsn", true, "", "VIADUCT_STORAGE_DSN; keep one"},
		{"no file", "dsn_file: nowhere", false, "", "cannot read the secret"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := &decoder{file: "v", env: env(tc.env), seen: map[string]int{}, readFile: func(n string) (string, error) { return readSecret(resolve(dir, n)) }}
			c := base()
			d.read(fmt.Appendf(nil, "domains: [a.org]\nstorage: {%s}", tc.storage), c)
			if len(d.problems) == 0 {
				d.environment(reflect.ValueOf(c).Elem(), "")
			}
			if tc.problem == "" {
				if len(d.problems) != 0 || c.Storage.DSN.Reveal() != tc.want {
					t.Errorf("got %q, problems %v", c.Storage.DSN.Reveal(), d.problems)
				}
				return
			}
			if len(d.problems) != 1 || !strings.Contains(d.problems[0].Text, tc.problem) || d.problems[0].Line != 2 {
				t.Errorf("problems: %v", d.problems)
			}
		})
	}
}

func TestSecretIsNeverShown(t *testing.T) {
	s := NewSecret("hunter2")
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v", s, struct{ S Secret }{s}, s), s.LogValue().String()} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("shown: %s", text)
		}
	}
}

func TestBridgeConfigAgainstSchema(t *testing.T) {
	type conf struct {
		Token string `json:"bot_token" secret:"true" doc:"token" required:"true"`
		URL   string `json:"url" doc:"where"`
	}
	schema := sdk.SchemaOf(conf{})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tok"), []byte("made-up\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "v.yaml")
	load := func(t *testing.T, config string) *Bridge {
		c, err := Parse([]byte("domains: [a.org]\nbridges:\n  - name: acme\n    plugin: slack\n    config:\n"+config), file, nil)
		if err != nil {
			t.Fatal(err)
		}
		return &c.Bridges[0]
	}
	t.Run("file", func(t *testing.T) {
		out, bad := load(t, "      bot_token_file: tok\n").Resolve(schema, file, nil)
		if len(bad) > 0 || !strings.Contains(string(out), `"bot_token":"made-up"`) {
			t.Errorf("%s %v", out, bad)
		}
	})
	t.Run("environment", func(t *testing.T) {
		out, bad := load(t, "      url: x\n").Resolve(schema, file, func(k string) (string, bool) {
			return "from-env", k == "VIADUCT_BRIDGE_ACME_BOT_TOKEN"
		})
		if len(bad) > 0 || !strings.Contains(string(out), "from-env") {
			t.Errorf("%s %v", out, bad)
		}
	})
	t.Run("unknown key has its line", func(t *testing.T) {
		_, bad := load(t, "      bot_token: x\n      ulr: y\n").Resolve(schema, file, nil)
		if len(bad) != 1 || bad[0].Line != 7 || !strings.Contains(bad[0].Text, "config.ulr") {
			t.Errorf("%v", bad)
		}
	})
}

func TestDefaultIsValid(t *testing.T) {
	c := Default()
	d := &decoder{file: "default", seen: map[string]int{}}
	d.check(c)
	if len(d.problems) > 0 {
		t.Fatal(d.problems)
	}
	want := []string{"localhost", "rooms.localhost", "pubsub.localhost", "upload.localhost", "demo.localhost", "rooms.demo.localhost"}
	if d := cmp.Diff(want, c.Hosts()); d != "" {
		t.Error(d)
	}
}

// What the server says of itself in links is a name of the certificate that it makes.
func TestCertificateNames(t *testing.T) {
	for _, c := range []struct{ url, more string }{
		{"", ""}, {"https://localhost:5443", ""}, {"https://files.example.net/x", "files.example.net"}, {"https://192.0.2.7:8443", "192.0.2.7"}, {"https://[2001:db8::1]/", "2001:db8::1"},
	} {
		cfg := Default()
		cfg.PublicURL = c.url
		want := cfg.Hosts()
		if c.more != "" {
			want = append(want, c.more)
		}
		if d := cmp.Diff(want, cfg.CertificateNames()); d != "" {
			t.Errorf("%s: %s", c.url, d)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte("domains: &a [x.org]\nlinks: *a"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse(text, "v.yaml", nil)
		if err == nil && len(c.Domains) == 0 {
			t.Error("accepted without a domain")
		}
	})
}
