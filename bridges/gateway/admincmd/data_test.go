package admincmd

import (
	"encoding/json"
	"testing"

	"github.com/viaduct-xmpp/viaduct/bridges/gateway"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// TestJSON holds the names that scripts read: a rename in the gateway must not reach them, and empty lists are lists.
func TestJSON(t *testing.T) {
	for _, c := range []struct {
		name string
		data any
		want string
	}{
		{"checks", checksData([]sdk.Check{{Name: "network", Status: sdk.CheckFailed, Found: "nothing", Fix: "start it"}}),
			`[{"fix":"start it","found":"nothing","name":"network","status":"failed"}]`},
		{"no checks", checksData(nil), `[]`},
		{"no setup", setupData(sdk.SetupPlan{}, nil), `{"config":[],"questions":[],"steps":[],"written":[]}`},
		{"setup", setupData(sdk.SetupPlan{Config: []sdk.SetupValue{{Key: "k", Value: "v", Doc: "d"}}, Questions: []sdk.LoginField{{Name: "q", Label: "l"}}}, []string{"f"}),
			`{"config":[{"doc":"d","key":"k","value":"v"}],"questions":[{"label":"l","name":"q"}],"steps":[],"written":["f"]}`},
		{"no rooms", roomsData(nil), `[]`},
		{"status", gatewayData(gateway.Status{Title: "Demo", Connection: sdk.LoginTrouble, Waiting: 2})["connection"], `"trouble"`},
	} {
		if got, err := json.Marshal(c.data); err != nil || string(got) != c.want {
			t.Errorf("%s: %s (%v), want %s", c.name, got, err, c.want)
		}
	}
	direct := gateway.PortalStatus{Remote: sdk.PortalKey{Room: "dm-a-b"}}
	if got := roomName(direct); got != "direct chat dm-a-b" {
		t.Errorf("a direct chat is shown as %q", got)
	}
}

// TestPlanText: what is still needed stands below the steps that say where it is found.
func TestPlanText(t *testing.T) {
	plan := sdk.SetupPlan{Config: []sdk.SetupValue{{Key: "token", Doc: "the token"}}, Steps: []string{"Make an application."},
		Questions: []sdk.LoginField{{Name: "id", Label: "its id"}}}
	want := "Wrote f.\nIn the configuration:\n  bridges:\n    - name: n\n      plugin: p\n      config:\n        token: \"\"   # the token\n" +
		"1. Make an application.\nStill needed; call again with --answer KEY=VALUE,…\n  id: its id\n"
	if got := planText("p", "n", plan, []string{"f"}); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
