// Package admincmd is the administrative commands of bridges ("bridge list", "status", "test", "restart", "pause", "resume" and "setup") and of links ("link add",
// "list", "show", "pause", "resume", "replay" and "remove"), for the table of core/admin.
//
// What a plugin's process is doing is known to plugins/host, which this package does not import: [Plugins] is what it needs of it.
//
// Goroutines: none.
package admincmd

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/gateway"
	"github.com/viaduct-xmpp/viaduct/core/admin"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Plugin is how the process of a bridge is doing.
type Plugin struct {
	Bridge   string    `json:"bridge"`
	Plugin   string    `json:"plugin"`
	Path     string    `json:"path,omitempty"`
	Version  string    `json:"version,omitempty"`
	State    string    `json:"state"`
	Reason   string    `json:"reason,omitempty"`
	Since    time.Time `json:"since"`
	NextTry  time.Time `json:"next_try,omitzero"`
	PID      int       `json:"pid,omitempty"`
	Memory   int64     `json:"memory,omitempty"`
	Starts   int       `json:"starts"`
	Failures int       `json:"failures"`
}

// Plugins is what the commands need of whoever runs the plugins.
type Plugins interface {
	List() []Plugin
	// Get returns the state of one bridge; an error if there is none of that name.
	Get(name string) (Plugin, error)
	Restart(name string) error
	Pause(name string) error
	Resume(name string) error
	// Remote is the running instance, or an error that says why there is none.
	Remote(name string) (sdk.Remote, error)
	// Setup starts a plugin for a moment and asks what has to be done on the network's side. Files are written beside the configuration; the names
	// of those written are returned.
	Setup(ctx context.Context, plugin, name string, answers map[string]string) (plan sdk.SetupPlan, written []string, err error)
}

// Gateway is what the commands need of the gateway.
type Gateway interface {
	Status(ctx context.Context, name string) (gateway.Status, bool)
	Portals(ctx context.Context, name string) []gateway.PortalStatus
	Linker
}

// Commands are the commands; Gateway and the running parts of Plugins are only used with a running server.
type Commands struct {
	Plugins Plugins
	Gateway Gateway
}

// List returns them.
func (c *Commands) List() []*admin.Command {
	return []*admin.Command{
		{Name: "bridge list", Run: c.list, Short: "list the bridges and how they are doing"},
		{Name: "bridge status", Args: "NAME", Min: 1, Max: 1, Run: c.status, Short: "show health, lag, queue and the last error of a bridge"},
		{Name: "bridge test", Args: "NAME", Min: 1, Max: 1, Run: c.test, Short: "make a round trip to the network and say what to mend",
			Long: "The exit status is 1 if anything fails."},
		{Name: "bridge restart", Args: "NAME", Min: 1, Max: 1, Run: c.order("restart"), Short: "end a bridge's plugin and start it again at once",
			Long: "What is on the way waits and is delivered afterwards."},
		{Name: "bridge pause", Args: "NAME", Min: 1, Max: 1, Run: c.order("pause"), Short: "stop a bridge until it is resumed; what is written to its rooms waits"},
		{Name: "bridge resume", Args: "NAME", Min: 1, Max: 1, Run: c.order("resume"), Short: "end a pause"},
		{Name: "bridge setup", Args: "PLUGIN", Min: 1, Max: 1, Stopped: true, Run: c.setup, Short: "write and tell what the network's side needs: registration, manifest, permissions",
			Flags: []admin.Flag{
				{Name: "name", Value: "NAME", Doc: "the bridge's name in the configuration; the plugin's by default"},
				{Name: "answer", Value: "KEY=VALUE", Doc: "answer to a question of an earlier call; several are separated by commas"},
			}},
	}
}

func (c *Commands) list(ctx context.Context, _ *admin.Request) (admin.Result, error) {
	type entry struct {
		Plugin
		Waiting   int    `json:"waiting"`
		LastError string `json:"last_error,omitempty"`
	}
	list := []entry{}
	t := &admin.Table{Columns: []string{"bridge", "plugin", "state", "waiting", "what is wrong"}, Empty: "There are no bridges in the configuration."}
	for _, p := range c.Plugins.List() {
		s, _ := c.Gateway.Status(ctx, p.Bridge)
		e := entry{Plugin: p, Waiting: s.Waiting, LastError: s.LastError}
		list = append(list, e)
		t.Rows = append(t.Rows, []string{p.Bridge, p.Plugin, p.State, fmt.Sprint(s.Waiting), firstOf(p.Reason, connectionTrouble(s), s.LastError)})
	}
	return admin.Result{Data: list, Table: t}, nil
}

// connectionTrouble is what a plugin that runs says of its connection, if that is not well.
func connectionTrouble(s gateway.Status) string {
	if s.Connection == sdk.LoginConnected {
		return ""
	}
	return s.Text
}

func (c *Commands) status(ctx context.Context, r *admin.Request) (admin.Result, error) {
	p, err := c.Plugins.Get(r.Args[0])
	if err != nil {
		return admin.Result{}, err
	}
	s, _ := c.Gateway.Status(ctx, p.Bridge)
	portals := c.Gateway.Portals(ctx, p.Bridge)
	var b strings.Builder
	line := func(key, format string, args ...any) {
		fmt.Fprintf(&b, "  %-12s %s\n", key, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "%s\n", p.Bridge)
	line("plugin", "%s %s %s", p.Plugin, p.Version, p.Path)
	line("state", "%s since %s", p.State, p.Since.Format(time.RFC3339))
	if p.Reason != "" {
		line("reason", "%s", p.Reason)
	}
	if !p.NextTry.IsZero() {
		line("next try", "%s", p.NextTry.Format(time.RFC3339))
	}
	if p.PID != 0 {
		line("process", "%d, %d MiB, %d starts, %d failures", p.PID, p.Memory>>20, p.Starts, p.Failures)
	}
	if s.Text != "" {
		line("connection", "%s", s.Text)
	}
	line("waiting", "%d, the oldest for %s", s.Waiting, s.Oldest.Round(time.Second))
	line("out", "%d delivered, %d refused, %d temporary failures", s.Delivered, s.Refused, s.Failures)
	line("in", "%d events, %d known already, %d echoes, %d rejected", s.Received, s.Duplicates, s.Echoes, s.Rejected)
	if s.LastError != "" {
		line("last error", "%s", s.LastError)
	}
	for _, m := range s.Missing {
		line("note", "%s", m)
	}
	for _, q := range portals {
		line("room", "%s: %d people here, %d there, %d waiting for %s, %d delivered, %d refused%s", roomName(q), q.People, q.Puppets, q.Waiting, q.Lag.Round(time.Second), q.Sent, q.Refused, lastError(q))
	}
	return admin.Result{Data: map[string]any{"plugin": p, "gateway": gatewayData(s), "rooms": roomsData(portals)}, Text: b.String()}, nil
}

// lastError is what a room's network said last of what it did not take.
func lastError(q gateway.PortalStatus) string {
	if q.Error == "" {
		return ""
	}
	return "; last error: " + q.Error
}

func (c *Commands) test(ctx context.Context, r *admin.Request) (admin.Result, error) {
	remote, err := c.Plugins.Remote(r.Args[0])
	if err != nil {
		return admin.Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	rep, err := remote.Test(ctx)
	if err != nil {
		return admin.Result{}, fmt.Errorf("test of bridge %s: %w", r.Args[0], err)
	}
	var b strings.Builder
	for _, k := range rep.Checks {
		fmt.Fprintf(&b, "%-8s %s", checkWord(k.Status), k.Name)
		if k.Found != "" {
			b.WriteString(": " + k.Found)
		}
		if k.Fix != "" {
			b.WriteString("; " + k.Fix)
		}
		b.WriteByte('\n')
	}
	return admin.Result{Data: checksData(rep.Checks), Text: b.String(), Failed: rep.Failed()}, nil
}

func checkWord(s sdk.CheckStatus) string {
	switch s {
	case sdk.CheckOK:
		return "ok"
	case sdk.CheckWarning:
		return "warning"
	case sdk.CheckFailed:
		return "FAILED"
	}
	return "?"
}

func (c *Commands) order(verb string) func(context.Context, *admin.Request) (admin.Result, error) {
	return func(_ context.Context, r *admin.Request) (admin.Result, error) {
		name := r.Args[0]
		do := map[string]func(string) error{"restart": c.Plugins.Restart, "pause": c.Plugins.Pause, "resume": c.Plugins.Resume}[verb]
		if err := do(name); err != nil {
			return admin.Result{}, err
		}
		return admin.Result{Data: map[string]string{"bridge": name, "order": verb}, Text: fmt.Sprintf("%s will %s; see viaduct bridge status %s", name, verb, name)}, nil
	}
}

func (c *Commands) setup(ctx context.Context, r *admin.Request) (admin.Result, error) {
	name := firstOf(r.Flag("name"), r.Args[0])
	answers := map[string]string{}
	if list := r.Flag("answer"); list != "" {
		for pair := range strings.SplitSeq(list, ",") {
			k, v, ok := strings.Cut(pair, "=")
			if !ok {
				return admin.Result{}, admin.Usagef("--answer: %q is not KEY=VALUE", pair)
			}
			answers[strings.TrimSpace(k)] = strings.TrimSpace(v)
		}
	}
	plan, written, err := c.Plugins.Setup(ctx, r.Args[0], name, answers)
	if err != nil {
		return admin.Result{}, fmt.Errorf("setup of %s: %w", r.Args[0], err)
	}
	return admin.Result{Data: setupData(plan, written),
		Text: planText(r.Args[0], name, plan, written), Failed: len(plan.Questions) > 0}, nil
}

func planText(plugin, name string, plan sdk.SetupPlan, written []string) string {
	var b strings.Builder
	for _, f := range written {
		fmt.Fprintf(&b, "Wrote %s.\n", f)
	}
	if len(plan.Config) > 0 {
		fmt.Fprintf(&b, "In the configuration:\n  bridges:\n    - name: %s\n      plugin: %s\n      config:\n", name, plugin)
		for _, v := range plan.Config {
			fmt.Fprintf(&b, "        %s: %q", v.Key, v.Value)
			if v.Doc != "" {
				b.WriteString("   # " + v.Doc)
			}
			b.WriteByte('\n')
		}
	}
	for i, s := range plan.Steps {
		fmt.Fprintf(&b, "%d. %s\n", i+1, s)
	}
	if len(plan.Questions) > 0 { // after the steps, which may be how the answer is got
		b.WriteString("Still needed; call again with --answer KEY=VALUE,…\n")
		for _, q := range plan.Questions {
			fmt.Fprintf(&b, "  %s: %s\n", q.Name, q.Label)
		}
	}
	return b.String()
}

func firstOf(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}
