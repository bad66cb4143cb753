package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/internal/dev/programtest"
)

// TestLinks: two networks in processes of their own are linked by command and by the file.
func TestLinks(t *testing.T) {
	r := programtest.Place(t, bin, `bridges:
  - {name: one, plugin: demo}
  - {name: two, plugin: demo}
`).Serve(t)
	for _, name := range []string{"one", "two"} {
		bridgeStarts(t, r, name, 1)
	}
	const room = "ops@rooms.v.test"
	for _, step := range []struct {
		args string
		out  string // said on success
		err  string // said on failure
	}{
		{"link list", "There are no links.", ""},
		{"link show " + room, "", room + " is not linked"},
		{"link add " + room + " one", "", `"one" is not BRIDGE:ROOM`},
		{"link add lobby@rooms.one.v.test two:lobby", "", "is a room of the bridge one"},
		{"link add " + room + " one:lobby two:lobby", "two:lobby: linked", ""},
		{"link add " + room + " one:nowhere three:x", "one:nowhere: not linked: ", "-"},
		{"link show " + room, "connected", ""},
		{"link pause " + room, "is paused", ""},
		{"link list", "paused", ""},
		{"link resume " + room, "is resumed", ""},
		{"link replay " + room, "0 dead letters", ""},
		{"bridge status one", "linked with", ""},
		{"room destroy --yes " + room, "", "linked with other networks"},
		{"link remove " + room + " two:lobby", "two:lobby: removed", ""},
		{"link remove " + room, "one:lobby: removed", ""},
		{"link list", "There are no links.", ""},
	} {
		out, errs, code := r.Run(t, strings.Fields(step.args)...)
		switch {
		case step.err == "" && (code != 0 || !strings.Contains(out, step.out)):
			t.Errorf("%s: status %d, output %q, error %q", step.args, code, out, errs)
		case step.err == "-" && (code != 1 || !strings.Contains(out, step.out)):
			t.Errorf("%s: status %d, output %q", step.args, code, out)
		case step.err != "" && step.err != "-" && (code == 0 || !strings.Contains(errs, step.err)):
			t.Errorf("%s: status %d, output %q, error %q", step.args, code, out, errs)
		}
	}
	r.Site.Replace(t, "bridges:", "links:\n  - {room: "+room+", remotes: [{bridge: one, room: lobby}, {bridge: two, room: lobby}]}\nbridges:")
	if out, errs, code := r.Run(t, "reload"); code != 0 || !strings.Contains(out, "links was applied") {
		t.Fatalf("status %d, output %q, error %q", code, out, errs)
	}
	awaitLink(t, r, room, "connected")
	if out, _, code := r.Run(t, "link", "remove", room); code != 1 || !strings.Contains(out, "configuration file") {
		t.Errorf("status %d, output %q", code, out)
	}
	r.Site.Replace(t, "links:\n  - {room: "+room+", remotes: [{bridge: one, room: lobby}, {bridge: two, room: lobby}]}\n", "")
	if out, errs, code := r.Run(t, "reload"); code != 0 {
		t.Fatalf("status %d, output %q, error %q", code, out, errs)
	}
	if _, errs, code := r.Run(t, "link", "show", room); code == 0 || !strings.Contains(errs, "is not linked") {
		t.Errorf("status %d, error %q", code, errs)
	}
}

// awaitLink waits until a link is in a state.
func awaitLink(t *testing.T, r *programtest.Server, room, want string) {
	t.Helper()
	var last string
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		out, errs, code := r.Run(t, "link", "show", room, "--json")
		var v struct {
			State   string `json:"state"`
			Remotes []struct {
				Owner string `json:"owner"`
			} `json:"remotes"`
		}
		if last = out + errs; code == 0 && json.Unmarshal([]byte(out), &v) == nil && v.State == want && len(v.Remotes) == 2 && v.Remotes[0].Owner == "file" {
			return
		}
	}
	t.Fatalf("the link of %s was to be %s: %s", room, want, last)
}
