package admincmd

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/gateway"
	"github.com/viaduct-xmpp/viaduct/core/admin"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// fakeGateway notes what it is told.
type fakeGateway struct {
	Gateway
	calls []string
	links []gateway.LinkStatus
}

func (f *fakeGateway) note(verb string, room jid.JID, remotes []gateway.RemoteName) {
	call := verb + " " + room.String()
	for _, r := range remotes {
		call += " " + r.Bridge + "|" + r.Room
	}
	f.calls = append(f.calls, call)
}

func (f *fakeGateway) AddLink(_ context.Context, room jid.JID, remotes []gateway.RemoteName, by jid.JID) ([]gateway.RemoteResult, error) {
	f.note("add", room, remotes)
	var out []gateway.RemoteResult
	for i, r := range remotes {
		res := gateway.RemoteResult{Remote: r}
		if i == 1 {
			res.Err = errors.New("Acme: no such channel")
		}
		out = append(out, res)
	}
	if !by.IsZero() {
		f.calls = append(f.calls, "by "+by.String())
	}
	return out, nil
}

func (f *fakeGateway) RemoveLink(_ context.Context, room jid.JID, remotes []gateway.RemoteName) ([]gateway.RemoteResult, error) {
	f.note("remove", room, remotes)
	return []gateway.RemoteResult{{Remote: gateway.RemoteName{Bridge: "acme", Room: "#ops"}, Note: "later"}}, nil
}

func (f *fakeGateway) PauseLink(_ context.Context, room jid.JID, reason string) error {
	f.note("pause "+reason, room, nil)
	return nil
}

func (f *fakeGateway) ResumeLink(_ context.Context, room jid.JID) error {
	f.note("resume", room, nil)
	return gateway.ErrNoLink
}

func (f *fakeGateway) ReplayLink(_ context.Context, room jid.JID, remotes []gateway.RemoteName) (int, error) {
	f.note("replay", room, remotes)
	return 2, nil
}

func (f *fakeGateway) Links(context.Context) []gateway.LinkStatus { return f.links }

func (f *fakeGateway) Link(context.Context, jid.JID) (gateway.LinkStatus, error) {
	return f.links[0], nil
}

func TestLinkCommands(t *testing.T) {
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	ops := jid.MustParse("ops@rooms.v.test")
	f := &fakeGateway{links: []gateway.LinkStatus{{Room: ops, Paused: true, Quarantined: true, Reason: "a loop: x", Since: at, Remotes: []gateway.RemoteStatus{
		{Remote: gateway.RemoteName{Bridge: "acme", Room: "#ops"}, By: "root@v.test", At: at, State: "paused",
			Portal: gateway.PortalStatus{Room: ops, Remote: sdk.PortalKey{Room: "C1"}, Name: "ops", Puppets: 3, Waiting: 4, Lag: 90 * time.Second, Sent: 5, Refused: 1},
			Dead:   []gateway.DeadLetter{{At: at, Op: "say", Who: "ann@v.test", Code: "forbidden", Reason: "the channel is archived"}}},
		{Remote: gateway.RemoteName{Bridge: "guild", Room: "12"}, File: true, State: "pending", Error: "no such room"},
	}}}}
	reg := &admin.Registry{}
	c := &Commands{Gateway: f}
	if err := reg.Add(c.Links()...); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		call   string
		want   []string // in the text; of an error if it begins with "!"
		failed bool
	}{
		{"link add ops@rooms.v.test acme:#ops matrix:#ops:hs.test", []string{"acme:#ops: linked", "matrix:#ops:hs.test: not linked: Acme: no such channel"}, true},
		{"link add ops@rooms.v.test", []string{"!usage: viaduct link add ROOM REMOTE…"}, false},
		{"link add rooms.v.test acme:#ops", []string{"!is not the address of a room"}, false},
		{"link add ops@rooms.v.test acme", []string{"!is not BRIDGE:ROOM"}, false},
		{"link remove ops@rooms.v.test", []string{"acme:#ops: removed; later"}, false},
		{"link replay ops@rooms.v.test guild:12", []string{"2 dead letters"}, false},
		{"link pause ops@rooms.v.test", []string{"is paused"}, false},
		{"link resume ops@rooms.v.test", []string{"!is not linked"}, false},
		{"link show ops@rooms.v.test", []string{"ops@rooms.v.test: quarantined", "a loop: x", "viaduct link resume ops@rooms.v.test", "4, the oldest for 1m30s", "5 delivered, 1 refused", "the channel is archived",
			"viaduct link replay ROOM acme:#ops", "not joined yet", "no such room"}, false},
	} {
		words := strings.Fields(tc.call)
		res, err := reg.Execute(t.Context(), strings.Join(words[:2], " "), &admin.Request{Args: words[2:], By: "local"})
		text := res.Text
		if err != nil {
			text = "!" + err.Error()
		}
		for _, w := range tc.want {
			if !strings.Contains(text, strings.TrimPrefix(w, "!")) || strings.HasPrefix(w, "!") != (err != nil) {
				t.Errorf("%s: %q lacks %q", tc.call, text, w)
			}
		}
		if res.Failed != tc.failed {
			t.Errorf("%s: failed is %v", tc.call, res.Failed)
		}
	}
	want := "add ops@rooms.v.test acme|#ops matrix|#ops:hs.test\nremove ops@rooms.v.test\nreplay ops@rooms.v.test guild|12\npause by an administrator ops@rooms.v.test\nresume ops@rooms.v.test"
	if got := strings.Join(f.calls, "\n"); got != want {
		t.Errorf("the gateway was told\n%s\nwant\n%s", got, want)
	}
	if res, err := reg.Execute(t.Context(), "link list", &admin.Request{}); err != nil || len(res.Table.Rows) != 2 || res.Table.Rows[0][5] != "1" || res.Table.Rows[1][2] != "file" {
		t.Errorf("%+v, %v", res, err)
	}
}
