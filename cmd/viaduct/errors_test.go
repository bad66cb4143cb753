package main

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/internal/dev/programtest"
)

// inside are names of packages and other words that are for the log and not for people.
var inside = regexp.MustCompile(`(^|[ ;(])(admin|auth|c2s|gateway|host|jid|journal|muc|plugin host|router|sasl|sdk|server|session|sqlite|storage|tlscert|transport): |0x[0-9a-f]+|%!|goroutine|\.go:`)

// TestErrorsAreForPeople: whatever a command fails at, it says what in one line, without the insides of the program.
func TestErrorsAreForPeople(t *testing.T) {
	site := programtest.Place(t, bin, "bridges: [{name: demo, plugin: demo}, {name: gone, plugin: /nowhere/viaduct-gone}]\n")
	for name, text := range map[string]string{"pw": "correct horse\n", "short": "x\n", "empty": "", "there": "x", "text.yaml": "domains: [a.test]\nnonsense: 1\n"} {
		if err := os.WriteFile(filepath.Join(site.Dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return filepath.Join(site.Dir, name) }
	type step struct{ args, want string }
	both := []step{
		{"user add", "usage: viaduct user add JID"},
		{"user add one two", `"two" is one argument too many`},
		{"user add nobody", `"nobody" is not the address of an account; write local@domain`},
		{"user add bob@elsewhere.test", "elsewhere.test is not a domain of this server"},
		{"user add bob@v.test --password-file " + at("short"), "less than 8 characters"},
		{"user add bob@v.test --password-file " + at("empty"), "there is no password in it"},
		{"user add bob@v.test --password-file " + at("absent"), "no such file"},
		{"user add bob@v.test --pasword-file x", "unknown flag"},
		{"user add here@v.test --password-file " + at("pw"), "the account exists already"},
		{"user show nobody@v.test", "there is no such account"},
		{"user passwd nobody@v.test --password-file " + at("pw"), "there is no such account"},
		{"user disable nobody@v.test", "there is no such account"},
		{"user enable nobody@v.test", "there is no such account"},
		{"user delete nobody@v.test --yes", "there is no such account"},
		{"user delete here@v.test", "say --yes"},
		{"user frobnicate", `there is no command "viaduct user frobnicate"`},
		{"frobnicate", "unknown command"},
		{"foom", `viaduct: unknown command "foom" for "viaduct"; Did you mean this? room`},
		{"room show nothing@rooms.v.test", "there is no room nothing@rooms.v.test"},
		{"room show nothing", "is not the address of a room; write room@rooms.domain"},
		{"backup " + at("there"), at("there") + " exists already"},
		{"backup " + at("absent/file"), "no such file or directory"},
		{"check frobnicate", `"frobnicate" cannot be checked; choose bridges or config or tls`},
		{"bridge setup nowhere", "plugin viaduct-nowhere: not found"},
		{"--config " + at("text.yaml") + " user list", `text.yaml:2: unknown key "nonsense"`},
		{"--config " + at("absent.yaml") + " user list", "no such file"},
	}
	running := []step{
		{"room create ops@rooms.v.test here@v.test", ""},
		{"room create ops@rooms.v.test here@v.test", "the room exists already"},
		{"room create ops@elsewhere.test here@v.test", "this host is not served here"},
		{"room create x@rooms.demo.v.test here@v.test", "a bridge's rooms are kept on the other network; change it there"},
		{"room destroy nothing@rooms.v.test --yes", "there is no such room"},
		{"room affiliation nothing@rooms.v.test here@v.test member", "there is no such room"},
		{"room affiliation ops@rooms.v.test here@v.test none", "a room needs an owner; make somebody else one first"},
		{"room affiliation ops@rooms.v.test here@v.test king", `"king" is no affiliation`},
		{"bridge status nobody", `there is no bridge "nobody"`},
		{"bridge restart nobody", `there is no bridge "nobody"`},
		{"bridge pause nobody", `there is no bridge "nobody"`},
		{"bridge resume nobody", `there is no bridge "nobody"`},
		{"bridge test nobody", `there is no bridge "nobody"`},
		{"bridge test gone", "bridge gone is broken: plugin /nowhere/viaduct-gone: there is no such file; check the path"},
		{"restore --yes " + at("there"), "stop it first"},
		{"serve", "in use by another process"},
	}
	stopped := []step{
		{"reload", "reload works with a running server only"},
		{"room destroy nothing@rooms.v.test --yes", "room destroy works with a running server only"},
		{"bridge status demo", "bridge status works with a running server only"},
		{"restore " + at("absent"), "no such file"},
		{"restore --yes " + at("there"), "viaduct: restore: the backup cannot be used: it is no database of this server"},
	}
	try := func(t *testing.T, steps []step) {
		t.Helper()
		for _, s := range steps {
			out, errs, code := site.Run(t, "", strings.Fields(s.args)...)
			switch {
			case s.want == "" && code != 0:
				t.Errorf("%s: %q", s.args, errs)
			case s.want != "" && (code != 1 || !strings.Contains(errs, s.want) || strings.Count(errs, "\n") != 1):
				t.Errorf("%s: status %d, output %q, error %q, want %q in one line", s.args, code, out, errs, s.want)
			}
			if m := inside.FindString(errs); m != "" {
				t.Errorf("%s: %q in %q", s.args, m, errs)
			}
		}
	}
	if _, errs, code := site.Run(t, "", "user", "add", "here@v.test", "--password-file", at("pw")); code != 0 {
		t.Fatal(errs)
	}
	t.Run("stopped", func(t *testing.T) { try(t, append(stopped, both...)) })
	t.Run("busy port", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		site.Replace(t, `c2s: ["127.0.0.1:0"]`, `c2s: ["`+l.Addr().String()+`"]`)
		defer site.Replace(t, `c2s: ["`+l.Addr().String()+`"]`, `c2s: ["127.0.0.1:0"]`)
		_, errs, code := site.Run(t, "", "serve")
		lines := strings.Split(strings.TrimSpace(errs), "\n") // the log is there, too
		last := lines[len(lines)-1]
		if code != 1 || !strings.HasPrefix(last, "viaduct: listen.c2s: "+l.Addr().String()+" is already in use") || inside.MatchString(last) {
			t.Errorf("%d %q", code, last)
		}
	})
	t.Run("running", func(t *testing.T) {
		site.Serve(t)
		try(t, append(running, both...))
	})
}

// TestSetupTransport: a plugin is asked for its setup over the transport that the configuration names.
func TestSetupTransport(t *testing.T) {
	script := filepath.Join(t.TempDir(), "viaduct-script")
	text := "#!/bin/sh\n[ -n \"$PLUGIN_CLIENT_CERT\" ] && echo certificate >&2 || echo socket >&2\nexit 1\n"
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	site := programtest.Place(t, bin, "bridges: [{name: one, plugin: "+script+", transport: socket}, {name: two, plugin: "+script+"}]\n")
	for name, want := range map[string]string{"one": `saying "socket"`, "two": `saying "certificate"`} {
		if _, errs, code := site.Run(t, "", "bridge", "setup", name); code != 1 || !strings.Contains(errs, want) {
			t.Errorf("%s: status %d, %q, want %s", name, code, errs, want)
		}
	}
}
