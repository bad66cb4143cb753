package durability

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/internal/dev/programtest"
	"github.com/viaduct-xmpp/viaduct/plugins/grpcbridge"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// isPlugin tells whether this program was started by the server as a plugin: the test is its own bridge then.
func isPlugin() bool { return os.Getenv("VIADUCT_BRIDGE_PLUGIN") != "" }

// pluginEvents is how many messages the bridge delivers, one after the other.
const pluginEvents = 40

// clock is a bridge that writes down when each of its messages was acknowledged by the server.
type clock struct {
	log  string
	host sdk.Host
}

type clockConfig struct {
	Log string `json:"log" doc:"where acknowledgements are written down" required:"true"`
}

func (c *clock) Info() sdk.Info {
	one := func(name string) []sdk.AddressForm {
		return []sdk.AddressForm{{Name: name, Segments: []sdk.AddressSegment{{Name: name, Case: sdk.CaseFold}}}}
	}
	return sdk.Info{Plugin: "clock", Network: "clock", Title: "Clock", Config: sdk.SchemaOf(clockConfig{}),
		Addresses: sdk.AddressShape{Users: one("user"), Rooms: one("room")}}
}

func (c *clock) Configure(_ context.Context, conf sdk.Configuration) error {
	var cfg clockConfig
	if err := sdk.DecodeConfig(conf.JSON, &cfg); err != nil {
		return err
	}
	c.log = cfg.Log
	return nil
}

func (c *clock) Start(_ context.Context, h sdk.Host, _ sdk.Resume) error {
	c.host = h
	return nil
}

// JoinPortal has the room begin to tick.
func (c *clock) JoinPortal(_ context.Context, r sdk.JoinRequest) (sdk.ChatInfo, error) {
	go c.tick(r.Portal)
	return sdk.ChatInfo{Portal: r.Portal, Kind: sdk.ChatRoom, Name: "Clock"}, nil
}

// tick delivers messages and writes down when the server had each.
func (c *clock) tick(p sdk.PortalKey) {
	f, err := os.OpenFile(c.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return
	}
	defer f.Close() //nolint:errcheck // the test reads what is there
	out := json.NewEncoder(f)
	for i := range pluginEvents {
		token := body("tick", i)
		m := &sdk.Message{EventHeader: sdk.EventHeader{Portal: p, ID: sdk.EventID(token), Time: time.Now(), Actor: sdk.Party{User: "hand"}},
			Message: sdk.RemoteMessageID(token), Content: sdk.Content{Body: richtext.Doc(richtext.Para(richtext.Text(token)))}}
		for { // the room may not be open yet
			rec, err := c.host.Deliver(context.Background(), sdk.Batch{Events: []sdk.Event{m}})
			if err != nil {
				return
			}
			if len(rec.Problems) == 0 {
				break
			}
		}
		if out.Encode(map[string]any{"token": token, "at": time.Now()}) != nil {
			return
		}
	}
}

func (c *clock) Send(context.Context, *sdk.SendMessage) (sdk.Delivered, error) {
	return sdk.Delivered{}, sdk.Refuse(sdk.CodeForbidden, "a clock does not listen")
}

func (c *clock) Resolve(_ context.Context, r sdk.ResolveRequest) (sdk.Target, error) {
	return sdk.Target{Kind: sdk.TargetRoom, Portal: sdk.PortalKey{Room: sdk.RemoteRoomID(r.Text)}}, nil
}

func (c *clock) LeavePortal(context.Context, sdk.LeaveRequest) error { return nil }

func (c *clock) ChatInfo(_ context.Context, r sdk.ChatInfoRequest) (sdk.ChatInfo, error) {
	return sdk.ChatInfo{Portal: r.Portal, Kind: sdk.ChatRoom, Name: "Clock"}, nil
}

func (c *clock) UserInfo(_ context.Context, r sdk.UserInfoRequest) (sdk.UserInfo, error) {
	return sdk.UserInfo{ID: r.User, Name: "Hand"}, nil
}

func (c *clock) Test(context.Context) (sdk.Report, error) { return sdk.Report{}, nil }

func (c *clock) Drain(context.Context) error { return nil }

func servePlugin() { grpcbridge.Serve(&clock{}, grpcbridge.ServeOptions{}) }

// TestSyncBeforePluginAck: before a plugin's Deliver returns, an fdatasync of the log that began after the last write of the event's commit was over.
func TestSyncBeforePluginAck(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed; .ci/run installs it")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	site := programtest.Place(t, bin, fmt.Sprintf("limits: {off: true}\nlog: {level: warn}\nbridges: [{name: clock, plugin: %q, config: {log: acks.jsonl}}]\n", self))
	site.Replace(t, "acks.jsonl", filepath.Join(site.Dir, "acks.jsonl"))
	if _, errs, code := site.Run(t, password+"\n", "user", "add", "w0@"+domain, "--password-file", "-"); code != 0 {
		t.Fatal(errs)
	}
	trace := filepath.Join(site.Dir, "trace")
	srv := site.Serve(t, strace, "-D", "-f", "-ttt", "-T", "-y", "-xx", "-s", "6000", "-e", "trace=pwrite64,fdatasync,fsync", "-e", "signal=none", "-o", trace)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	listen(ctx, t, srv)
	if code := srv.Stop(t); code != 0 {
		t.Fatalf("exit status %d\n%s", code, srv.Log())
	}
	acked := readAcks(t, filepath.Join(site.Dir, "acks.jsonl"))
	calls := readTrace(t, trace)
	for token, at := range acked {
		if err := covered(calls, token, at); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d events acknowledged to the plugin, %d writes and syncs of the log", len(acked), len(calls))
	if len(acked) != pluginEvents {
		t.Errorf("%d of %d events were acknowledged\n%s", len(acked), pluginEvents, srv.Log())
	}
	proveTheCheck(t, calls, acked)
}

// listen joins the room of the clock until the last tick is heard.
func listen(ctx context.Context, t *testing.T, srv *programtest.Server) {
	t.Helper()
	c, _, err := Dial(ctx, srv.C2STLS, "w0", domain, password, "w", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	last := body("tick", pluginEvents-1)
	heard := func() bool {
		for _, g := range c.got {
			if g.Body == last {
				return true
			}
		}
		return false
	}
	// The plugin may still be starting: who is refused asks again.
	for c.err == nil && ctx.Err() == nil {
		refused := 0
		c.mu.Lock()
		refused = c.presenceErrors
		c.mu.Unlock()
		if err := c.Send("<presence to='wall@rooms.clock." + domain + "/w0'><x xmlns='http://jabber.org/protocol/muc'/></presence>"); err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(ctx, func() bool { return heard() || c.presenceErrors > refused }); err != nil {
			t.Fatalf("the last tick was not heard: %v\n%s", err, srv.Log())
		}
		c.mu.Lock()
		done := heard()
		c.mu.Unlock()
		if done {
			return
		}
	}
}

func readAcks(t *testing.T, file string) map[string]time.Time {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]time.Time{}
	for line := range strings.Lines(string(text)) {
		var a struct {
			Token string
			At    time.Time
		}
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatal(err)
		}
		out[a.Token] = a.At
	}
	return out
}
