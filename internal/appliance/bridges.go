package appliance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/gateway"
	"github.com/viaduct-xmpp/viaduct/bridges/gateway/admincmd"
	"github.com/viaduct-xmpp/viaduct/bridges/gateway/files"
	"github.com/viaduct-xmpp/viaduct/configs"
	"github.com/viaduct-xmpp/viaduct/core/admin"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc"
	"github.com/viaduct-xmpp/viaduct/plugins/host"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// bridges joins plugins/host, which runs the plugins, and bridges/gateway, which speaks for them. Neither knows the other.
type bridges struct {
	a     *Appliance
	o     Options
	gw    *gateway.Module
	host  *host.Host
	files *files.Files // nil: files of bridged rooms are named in text only
}

// newBridges makes both from the configuration; nothing is started.
func newBridges(a *Appliance) (*bridges, error) {
	b := &bridges{a: a, o: a.o}
	var err error
	opts := gateway.Options{IsAdmin: b.isAdmin, Admins: b.admins}
	if opts.Links, err = linkSpecs(a.config); err != nil {
		return nil, err
	}
	if b.files, err = bridgeFiles(a.config); err != nil {
		return nil, err
	}
	if b.files != nil { // an interface that holds a nil pointer is not nil
		opts.Media = b.files
	}
	var specs []host.Spec
	for i := range a.config.Bridges {
		c := &a.config.Bridges[i]
		opts.Bridges = append(opts.Bridges, gateway.BridgeSpec{Name: c.Name, Domain: c.Domain, Configured: true, Allow: allowOf(c),
			Configuration: sdk.Configuration{PublicURL: pluginURL(a.config, c.Name)}})
		specs = append(specs, b.spec(c))
	}
	if b.gw, err = gateway.New(opts); err != nil {
		return nil, err
	}
	ho := b.hostOptions()
	ho.Bridges, ho.Gateway, ho.DataDir = specs, b.gw, a.config.DataDir
	if b.host, err = host.New(ho); err != nil {
		return nil, err
	}
	return b, nil
}

// hostOptions are those that also a plugin has that is started for a moment.
func (b *bridges) hostOptions() host.Options {
	o := host.Options{Dirs: []string{b.o.ExeDir}, Server: "Viaduct " + Version()["version"]}
	if b.o.Log != nil {
		o.Log = b.o.Log.Logger
		o.LogLevel = b.o.Log.level.Level()
	}
	if b.o.File != "" { // relative paths in the file are relative to it, also those that only the plugin knows to be paths
		o.WorkDir = filepath.Dir(b.o.File)
	}
	if b.o.Config.PluginDir != "" {
		o.Dirs = append(o.Dirs, b.o.Config.PluginDir)
	}
	return o
}

func allowOf(c *configs.Bridge) gateway.Allow {
	return gateway.Allow{Use: c.Allow.Use, CreateRooms: c.Allow.CreateRooms, Link: c.Allow.Link}
}

func (b *bridges) spec(c *configs.Bridge) host.Spec {
	return host.Spec{Name: c.Name, Plugin: c.Plugin, Transport: host.Transport(c.Transport), Memory: int64(c.Limits.MemoryBytes),
		EventsPerSecond: c.Limits.EventsPerSecond,
		Configure: func(_ context.Context, info sdk.Info) (sdk.Configuration, error) {
			raw, bad := c.Resolve(info.Config, b.o.File, b.o.Env)
			if len(bad) > 0 {
				return sdk.Configuration{}, bad
			}
			return sdk.Configuration{Name: c.Name, Domain: c.Domain, JSON: raw, PublicURL: pluginURL(b.o.Config, c.Name), Server: "Viaduct " + Version()["version"]}, nil
		}}
}

func (b *bridges) isAdmin(who jid.JID) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	ok, err := b.a.core.Accounts().IsAdmin(ctx, who)
	return err == nil && ok
}

// rooms are the hosts of group chat that the gateway's rooms live on.
func (b *bridges) rooms() []muc.HostSpec {
	var out []muc.HostSpec
	for _, h := range b.gw.RoomHosts() {
		out = append(out, muc.HostSpec{Name: h.Name, Origin: h.Origin, Title: h.Title, ListedIn: h.ListedIn})
	}
	return out
}

func (b *bridges) modules() []module.Module { return []module.Module{b.gw} }

// start is called when the core runs: a plugin's events need it.
func (b *bridges) start(ctx context.Context) error { return b.host.Start(ctx) }

func (b *bridges) stop(ctx context.Context) error { return b.host.Stop(ctx) }

// commands are the administrative commands of bridges.
func (b *bridges) commands() []*admin.Command {
	c := &admincmd.Commands{Plugins: plugins{b}}
	if b.gw != nil {
		c.Gateway = b.gw
	}
	return append(c.List(), c.Links()...)
}

// figures are the metrics of bridges.
func (b *bridges) figures(ctx context.Context, out map[string]float64) {
	for _, p := range b.host.List() {
		name := fmt.Sprintf(`{bridge=%q}`, p.Bridge)
		up := 0.0
		if p.State == host.Running {
			up = 1
		}
		out["bridge_up"+name] = up
		out["bridge_memory_bytes"+name] = float64(p.Memory)
		out["bridge_starts_total"+name] = float64(p.Starts)
		s, ok := b.gw.Status(ctx, p.Bridge)
		if !ok {
			continue
		}
		out["bridge_waiting"+name] = float64(s.Waiting)
		out["bridge_lag_seconds"+name] = s.Oldest.Seconds()
		out["bridge_received_total"+name] = float64(s.Received)
		out["bridge_rejected_total"+name] = float64(s.Rejected)
		out["bridge_delivered_total"+name] = float64(s.Delivered)
		out["bridge_refused_total"+name] = float64(s.Refused)
		out["bridge_failures_total"+name] = float64(s.Failures)
	}
}

// trouble says which plugins fail, and why.
func (b *bridges) trouble() []string {
	var out []string
	for _, p := range b.host.List() {
		if p.State == host.Waiting || p.State == host.Broken {
			out = append(out, fmt.Sprintf("bridge %q: %s; when that is mended: viaduct bridge restart %s", p.Bridge, admin.PlainText(p.Reason), p.Bridge))
		}
	}
	return out
}

// plugins is plugins/host as the commands see it.
type plugins struct{ b *bridges }

func view(s host.Status) admincmd.Plugin {
	return admincmd.Plugin{Bridge: s.Bridge, Plugin: s.Plugin, Path: s.Path, Version: s.Version, State: string(s.State), Reason: admin.PlainText(s.Reason), Since: s.Since,
		NextTry: s.NextTry, PID: s.PID, Memory: s.Memory, Starts: s.Starts, Failures: s.Failures}
}

// List implements admincmd.Plugins.
func (p plugins) List() []admincmd.Plugin {
	var out []admincmd.Plugin
	for _, s := range p.b.host.List() {
		out = append(out, view(s))
	}
	return out
}

// Get implements admincmd.Plugins.
func (p plugins) Get(name string) (admincmd.Plugin, error) {
	s, err := p.b.host.Status(name)
	return view(s), err
}

// Restart implements admincmd.Plugins.
func (p plugins) Restart(name string) error { return p.b.host.Restart(name) }

// Pause implements admincmd.Plugins.
func (p plugins) Pause(name string) error { return p.b.host.Pause(name) }

// Resume implements admincmd.Plugins.
func (p plugins) Resume(name string) error { return p.b.host.Resume(name) }

// Remote implements admincmd.Plugins.
func (p plugins) Remote(name string) (sdk.Remote, error) { return p.b.host.Bridge(name) }

// Setup implements admincmd.Plugins.
func (p plugins) Setup(ctx context.Context, plugin, name string, answers map[string]string) (plan sdk.SetupPlan, written []string, err error) {
	c := p.b.o.Config
	if p.b.a != nil { // nil while no server runs: RunStopped
		c = p.b.a.Config()
	}
	req := sdk.SetupRequest{Name: name, Domain: c.Domains[0], PublicURL: c.PublicURL, Answers: answers}
	var entry *configs.Bridge
	var transport host.Transport
	for i := range c.Bridges {
		if c.Bridges[i].Name == name {
			entry = &c.Bridges[i]
			req.Domain, plugin = entry.Domain, entry.Plugin
			transport = host.Transport(entry.Transport)
		}
	}
	err = host.Ask(ctx, p.b.hostOptions(), host.Spec{Name: name, Plugin: plugin, Transport: transport}, func(ctx context.Context, r sdk.Remote) error {
		if entry != nil && !entry.Config.IsZero() {
			raw, bad := entry.Resolve(r.Info().Config, p.b.o.File, p.b.o.Env)
			if len(bad) > 0 {
				return bad
			}
			req.JSON = raw
		}
		plan, err = r.Setup(ctx, req)
		return err
	})
	if err != nil {
		return sdk.SetupPlan{}, nil, err
	}
	written, err = writeSetup(filepath.Dir(p.b.o.File), req.JSON, plan.Files)
	return plan, written, err
}

// placeOf is where a file of a plan belongs: where the bridge's configuration says, else beside the configuration.
func placeOf(dir, name string, config []byte) string {
	var keys map[string]any
	if json.Unmarshal(config, &keys) == nil {
		for _, v := range keys {
			if path, ok := v.(string); ok && filepath.IsAbs(path) && filepath.Base(path) == name {
				return path
			}
		}
	}
	return filepath.Join(dir, name)
}

// writeSetup writes the files of a plan. A file that is there with another content is never overwritten.
func writeSetup(dir string, config []byte, files []sdk.SetupFile) ([]string, error) {
	var written []string
	for _, f := range files {
		if f.Name != filepath.Base(f.Name) || strings.HasPrefix(f.Name, ".") {
			return written, fmt.Errorf("the plugin wants to write %q, which is not the name of a file beside the configuration", f.Name)
		}
		name := placeOf(dir, f.Name, config)
		if abs, err := filepath.Abs(name); err == nil {
			name = abs
		}
		mode := os.FileMode(0o644)
		if f.Secret {
			mode = 0o600
		}
		out, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
		if errors.Is(err, os.ErrExist) {
			if same, _ := os.ReadFile(name); string(same) == string(f.Content) {
				continue
			}
			return written, fmt.Errorf("%s exists already and is not overwritten; move it away if a new one is wanted", name)
		}
		if err != nil {
			return written, err
		}
		_, err = out.Write(f.Content)
		if err = errors.Join(err, out.Close()); err != nil {
			return written, err
		}
		written = append(written, name)
	}
	return written, nil
}

// checkBridges looks for each plugin and checks its configuration against what the plugin says it takes.
func checkBridges(ctx context.Context, o Options) []string {
	b := &bridges{o: o}
	dirs := b.hostOptions().Dirs
	var out []string
	for i := range o.Config.Bridges {
		out = append(out, checkBridge(ctx, o, &o.Config.Bridges[i], dirs)...)
	}
	return out
}

// checkBridge looks for the plugin of one bridge and checks its configuration.
func checkBridge(ctx context.Context, o Options, c *configs.Bridge, dirs []string) []string {
	path, err := host.Find(c.Plugin, dirs)
	if err != nil {
		return []string{fmt.Sprintf("bridge %q: %v", c.Name, err)}
	}
	d, err := host.Describe(ctx, path)
	if err != nil {
		return []string{fmt.Sprintf("bridge %q: %v", c.Name, err)}
	}
	_, bad := c.Resolve(d.Info.Config, o.File, o.Env)
	var out []string
	for _, p := range bad {
		out = append(out, p.String())
	}
	return out
}
