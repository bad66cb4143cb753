package demo

import (
	"context"
	"fmt"
	"net/http"

	"github.com/viaduct-xmpp/viaduct/bridges/demo/demoid"
	"github.com/viaduct-xmpp/viaduct/bridges/demo/demonet"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

func opOf(m demonet.Message) string { return demoid.Op(m.Key) }

// Setup implements sdk.Setupper: what an administrator has to do on the
// network's side. Here that is nothing; a real bridge writes its registration file
// or manifest, and says where to put it.
func (c *Connector) Setup(_ context.Context, r sdk.SetupRequest) (sdk.SetupPlan, error) {
	name := r.Name
	if name == "" {
		name = "demo"
	}
	return sdk.SetupPlan{
		Config: []sdk.SetupValue{{Key: "talk_every", Value: "6s", Doc: "pause between two things that people do by themselves"}},
		Steps: []string{
			"Nothing has to be done: the demo network needs no account.",
			fmt.Sprintf("Join lobby@rooms.%s.%s with any client and type !help.", name, r.Domain),
		},
		Files: []sdk.SetupFile{{Name: name + "-commands.txt", Content: []byte("Join a room of the demo network and type !help\n")}},
	}, nil
}

// Test implements sdk.Bridge: what was looked at, what was found, what to do.
func (c *Connector) Test(ctx context.Context) (sdk.Report, error) {
	c.mu.Lock()
	api, starts, host := c.api, c.starts, c.host
	c.mu.Unlock()
	if api == nil {
		return sdk.Report{Checks: []sdk.Check{{Name: "network", Status: sdk.CheckFailed, Found: "the bridge is not started", Fix: "start it"}}}, nil
	}
	var report sdk.Report
	if res, err := api.Call(ctx, demonet.Request{Do: "self"}); err != nil {
		report.Checks = append(report.Checks, sdk.Check{
			Name: "network", Status: sdk.CheckFailed, Found: err.Error(), Fix: "wait for the end of the outage, or check `network:`",
		})
	} else {
		report.Checks = append(report.Checks, sdk.Check{Name: "network", Status: sdk.CheckOK, Found: res.Token})
	}
	report.Checks = append(report.Checks, sdk.Check{Name: "state", Status: sdk.CheckOK, Found: fmt.Sprintf("started %d times", starts)})
	web := sdk.Check{Name: "public_url", Status: sdk.CheckOK, Found: host.PublicURL()}
	if web.Found == "" {
		web = sdk.Check{Name: "public_url", Status: sdk.CheckWarning, Found: "none", Fix: "set public_url to see the page of the demo network"}
	}
	report.Checks = append(report.Checks, web)
	return report, nil
}

// ServeHTTP implements sdk.HTTPHandler: what stands under /bridge/NAME/. Real
// networks send their events and answers of OAuth here.
func (c *Connector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	api := c.api
	c.mu.Unlock()
	if r.URL.Path != "/" || r.Method != http.MethodGet || api == nil {
		http.NotFound(w, r)
		return
	}
	res, err := api.Call(r.Context(), demonet.Request{Do: "rooms"})
	if err != nil {
		http.Error(w, "the demo network cannot be reached", http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for _, room := range res.Rooms {
		_, _ = fmt.Fprintf(w, "%s: %s, %d people\n", room.ID, room.Topic, len(room.Members))
	}
}
