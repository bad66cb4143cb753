package matrix

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"

	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"github.com/viaduct-xmpp/viaduct/bridges/matrix/matrixid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

var update = flag.Bool("update", false, "write the golden files")

// quiet is a connector that is not connected but knows who it is.
func quiet(t testing.TB) *Connector {
	c := New(Options{})
	ns := matrixid.Namespace{Prefix: "_xmpp_", Server: "hs.test"}
	c.reg = newRegistration("matrix", "http://127.0.0.1:1", ns)
	c.conf = Config{Prefix: "_xmpp_", Presence: true}
	c.ghosts, c.rooms = newGhostBook(), newRoomBook(sdk.Resume{})
	c.self.Store(&identity{ns: ns, bot: botID})
	c.host = newRecordingHost(&testing.T{})
	if t, ok := t.(*testing.T); ok {
		c.host = newRecordingHost(t)
	}
	c.server = newPushServer(c)
	return c
}

type translateCase struct {
	Name   string         `json:"name"`
	Sender string         `json:"sender"`
	Event  map[string]any `json:"event"`
}

func cases(t testing.TB) []translateCase {
	raw, err := os.ReadFile("testdata/events/all.json")
	if err != nil {
		t.Fatal(err)
	}
	var out []translateCase
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	for i := range out {
		out[i].Event["event_id"], out[i].Event["room_id"], out[i].Event["origin_server_ts"] = "$ev", "!r:hs.test", 1_700_000_000_000
		if out[i].Sender == "" {
			out[i].Sender = alice
		}
		out[i].Event["sender"] = out[i].Sender
	}
	return out
}

// TestTranslate compares what becomes of events with testdata/events/all.golden.
func TestTranslate(t *testing.T) {
	var got bytes.Buffer
	for _, test := range cases(t) {
		c := quiet(t)
		c.rooms.get("!r:hs.test").setLevels(&event.PowerLevelsEventContent{Users: map[id.UserID]int{alice: 100}})
		raw, _ := json.Marshal(test.Event)
		got.WriteString("=== " + test.Name + "\n")
		for _, ev := range c.parse([]json.RawMessage{raw}) {
			for _, out := range c.translate(t.Context(), ev) {
				got.WriteString(strings.TrimPrefix(reflect.TypeOf(out).String(), "*sdk.") + " " + compact(t, out) + "\n")
			}
		}
	}
	const golden = "testdata/events/all.golden"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		g, w := strings.Split(got.String(), "\n"), strings.Split(string(want), "\n")
		t.Errorf("differs: %s", firstDifference(g, w))
	}
}

// compact is a value as JSON without its zero fields.
func compact(t *testing.T, v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	_ = json.Unmarshal(raw, &tree)
	raw, _ = json.Marshal(prune(tree))
	return string(raw)
}

func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, child := range v {
			if child = prune(child); child != nil {
				out[key] = child
			}
		}
		if len(out) > 0 {
			return out
		}
	case []any:
		var out []any
		for _, child := range v {
			out = append(out, prune(child))
		}
		if out != nil {
			return out
		}
	case string:
		if v != "" && v != "0001-01-01T00:00:00Z" {
			return v
		}
	case float64:
		if v != 0 {
			return v
		}
	case bool:
		if v {
			return v
		}
	}
	return nil
}

// FuzzTransaction throws bytes at the handler: it answers 200 or 400 and what
// reaches the host is well-formed.
func FuzzTransaction(f *testing.F) {
	for _, test := range cases(f) {
		raw, _ := json.Marshal(map[string]any{"events": []any{test.Event}})
		f.Add(raw)
	}
	f.Add([]byte(`{"ephemeral":[{"type":"m.typing","room_id":"!r:hs.test","content":{"user_ids":["@a:b",""]}},{"type":"m.presence","sender":"@a:b","content":{"presence":"busy"}},{"type":"m.receipt","room_id":"!r:hs.test","content":{"$x":{"m.read":{"@a:b":{"ts":1}}}}}]}`))
	f.Add([]byte(`{"events":[{"origin_server_ts":1e30,"type":"m.room.message"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		c := quiet(t)
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/_matrix/app/v1/transactions/1", bytes.NewReader(body))
		req.Header.Set("Authorization", "Bearer "+c.reg.ServerToken)
		w := httptest.NewRecorder()
		c.ServeHTTP(w, req)
		if w.Code != 200 && w.Code != 400 {
			t.Fatalf("answered %d", w.Code)
		}
		for _, ev := range c.host.(*recordingHost).events {
			h := ev.Head()
			if h.Portal.Room == "" || h.ID == "" || len(h.ID) > sdk.MaxID || h.Actor.IsZero() && h.Origin != "" {
				t.Fatalf("%+v", ev)
			}
		}
	})
}

func TestEphemeral(t *testing.T) {
	s := newStage(t)
	room, key := s.room("Lobby")
	push := func(events ...map[string]any) {
		t.Helper()
		s.ops++
		if code := s.hs.PushAs(t.Context(), s.url, "eph"+strings.Repeat("x", s.ops), nil, events); code != 200 {
			t.Fatal(code)
		}
	}
	typing := func(users ...string) map[string]any {
		return map[string]any{"type": "m.typing", "room_id": room, "content": map[string]any{"user_ids": users}}
	}
	push(typing(alice, bob, juliet))
	signal(s.h, "bob's typing", func(v *sdk.Typing) bool { return v.Who.User == bob && v.Active && v.Portal == key })
	push(typing(alice))
	signal(s.h, "the end of bob's typing", func(v *sdk.Typing) bool { return v.Who.User == bob && !v.Active })
	push(map[string]any{"type": "m.presence", "sender": alice, "content": map[string]any{"presence": "unavailable", "status_msg": "lunch", "last_active_ago": 60000}},
		map[string]any{"type": "m.presence", "sender": juliet, "content": map[string]any{"presence": "online"}},
		map[string]any{"type": "m.receipt", "room_id": room, "content": map[string]any{"$x": map[string]any{"m.read": map[string]any{
			alice: map[string]any{"ts": 5}, bob: map[string]any{"ts": 5, "thread_id": "$t"}, juliet: map[string]any{"ts": 5}}}}},
		map[string]any{"type": "m.direct_to_device", "content": map[string]any{}})
	signal(s.h, "presence", func(v *sdk.Presence) bool {
		return v.Who.User == alice && v.Show == sdk.ShowAway && v.Status == "lunch" && !v.Since.IsZero()
	})
	signal(s.h, "the receipt", func(v *sdk.ReadState) bool { return v.Who.User == alice && v.UpTo.ID == "$x" })
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	for _, sig := range s.h.signals {
		if who := sig.Coalesce().Who; who.Address != "" || sig.Coalesce().Sort == "read" && who.User == bob {
			t.Errorf("%+v", sig)
		}
	}
}
