package attacks

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/internal/dev/programtest"
)

// script makes a file that is run as a plugin, and returns its name.
func script(t *testing.T, dir, text string, mode os.FileMode) string {
	t.Helper()
	name := filepath.Join(dir, "viaduct-bad")
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestInputPlugins: what is wrong with a plugin is said in one line by the check and by the status, and takes nothing with it: the server starts and
// serves.
func TestInputPlugins(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		mode       os.FileMode
		check      string // what viaduct check bridges says
		status     string // what viaduct bridge status says at last
	}{
		{"missing", "", 0, "there is no such file", "there is no such file"},
		{"not executable", "#!/bin/sh\n", 0o600, "it is not executable", "it is not executable"},
		{"of another version", "#!/bin/sh\nif [ \"$1\" = info ]; then echo '{\"protocol\":99,\"info\":{\"plugin\":\"bad\"}}'; exit; fi\necho '1|99|unix|/nowhere|grpc|'\nexec cat\n", 0o700,
			"it speaks version 99", "it speaks version 99"},
		{"exits at once", "#!/bin/sh\necho 'I am no plugin' >&2\nexit 3\n", 0o700, `exit status 3, saying "I am no plugin"`, "I am no plugin"},
		{"no program", "hello\n", 0o700, "exec format error", "broken"},
		{"garbage", "#!/bin/sh\necho 'hello, world'\nexec cat\n", 0o700, "it does not say what it is", "instead of a handshake"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "viaduct-bad")
			if tc.mode != 0 {
				path = script(t, dir, tc.text, tc.mode)
			}
			site := programtest.Place(t, bin, off+"bridges: [{name: bad, plugin: "+path+"}]\n")
			out, errs, code := site.Run(t, "", "check", "bridges")
			if code != 1 || !strings.Contains(out+errs, tc.check) {
				t.Errorf("check: %d %q %q", code, out, errs)
			}
			w := &world{site.Serve(t), t}
			w.account("alice")
			w.online("alice", "a")
			for i := 0; ; i++ { // each look is a process of its own: the server works meanwhile
				out, errs, _ := w.Run(t, "bridge", "status", "bad")
				if strings.Contains(out+errs, tc.status) {
					break
				}
				if i == 100 {
					t.Fatalf("status: %q %q\n%s", out, errs, w.Log())
				}
			}
			if code := w.Stop(t); code != 0 {
				t.Errorf("the server ends with %d", code)
			}
		})
	}
}

// TestInputPluginThatLies: a plugin speaks for its own people in its own rooms, and for nobody else. What is honest in the same batch is shown.
func TestInputPluginThatLies(t *testing.T) {
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "viaduct-liar")
	if err := os.Symlink(exe, path); err != nil {
		t.Fatal(err)
	}
	w := start(t, off+"bridges: [{name: net, plugin: "+path+"}]\n", "alice", "bob")
	bob := w.online("bob", "b")
	bob.enter("one@rooms."+Domain, "Bob")
	bob.unlock("one@rooms." + Domain)
	alice := w.online("alice", "a")
	const room = "lobby@rooms.net." + Domain
	for i := 0; ; i++ {
		got := alice.enter(room, "Alice")
		if last := got[len(got)-1]; !strings.Contains(last, "type='error'") {
			break
		} else if i == 200 {
			t.Fatalf("the room cannot be entered: %s\n%s", last, w.Log())
		}
		w.Run(t, "bridge", "list") // the plugin is being started
	}
	alice.send("<message to='" + room + "' type='groupchat' id='go'><body>go</body></message>")
	for {
		el := alice.next()
		if strings.Contains(el, "<body>lie") || strings.Contains(el, "from='admin@") {
			t.Fatalf("the lie is shown: %s", el)
		}
		if strings.Contains(el, "<body>honest</body>") {
			break
		}
	}
	for _, el := range bob.sync() {
		if strings.Contains(el, "lie") {
			t.Errorf("in a room of the server: %s", el)
		}
	}
	// The two that speak for others. The third names a room that is none of the network's, which is the same as one that nobody has entered.
	if n := w.metric(`viaduct_bridge_rejected_total{bridge="net"}`); n != 2 {
		t.Errorf("%v events were rejected, want 2", n)
	}
}
