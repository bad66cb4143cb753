package matrix

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/bridges/matrix/matrixtest"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

func TestWhoMayPush(t *testing.T) {
	s := newStage(t)
	room, _ := s.room("Lobby")
	token := s.c.reg.ServerToken
	tests := []struct {
		name, path, auth string
		body             string
		want             int
	}{
		{"no token", "/_matrix/app/v1/transactions/a", "", `{"events":[]}`, 401},
		{"wrong token", "/_matrix/app/v1/transactions/b", "Bearer x" + token[1:], `{"events":[]}`, 403},
		{"the other token", "/_matrix/app/v1/transactions/b", "Bearer " + s.c.reg.AppToken, `{"events":[]}`, 403},
		{"wrong in the query", "/_matrix/app/v1/transactions/c?access_token=x", "", `{"events":[]}`, 403},
		{"bearer wins over query", "/_matrix/app/v1/transactions/d?access_token=" + token, "Bearer x", `{"events":[]}`, 403},
		{"bearer", "/_matrix/app/v1/transactions/e", "Bearer " + token, `{"events":[]}`, 200},
		{"query", "/_matrix/app/v1/transactions/f?access_token=" + token, "", `{"events":[]}`, 200},
		{"path without version", "/transactions/g?access_token=" + token, "", `{"events":[]}`, 200},
		{"no JSON", "/_matrix/app/v1/transactions/h", "Bearer " + token, `events`, 400},
		{"a list", "/_matrix/app/v1/transactions/i", "Bearer " + token, `[]`, 400},
		{"events are no list", "/_matrix/app/v1/transactions/j", "Bearer " + token, `{"events":{}}`, 400},
		{"broken events beside a good one", "/_matrix/app/v1/transactions/k", "Bearer " + token,
			`{"events":[null,1,{},{"type":5},{"type":"m.room.message","content":[]},{"type":"m.room.message","room_id":"` + room + `","event_id":"$bad","sender":"` + alice + `","content":{"body":{},"msgtype":"m.text"}},` +
				`{"type":"m.room.member","room_id":"` + room + `","event_id":"$nokey","sender":"` + alice + `","content":{"membership":"join"}},` +
				`{"type":"m.room.message","room_id":"` + room + `","event_id":"$good","sender":"` + alice + `","content":{"body":"good","msgtype":"m.text"}}]}`, 200},
		{"unknown endpoint", "/_matrix/app/v1/else", "Bearer " + token, ``, 404},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, s.url+test.path, strings.NewReader(test.body))
			if test.auth != "" {
				req.Header.Set("Authorization", test.auth)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != test.want {
				t.Errorf("%d, not %d", resp.StatusCode, test.want)
			}
		})
	}
	if got := s.h.texts(room); !slices.Equal(got, []string{"good"}) {
		t.Errorf("%q", got)
	}
}

// A homeserver that was killed may give out names of transactions again.
func TestTransactionNamesComeAgain(t *testing.T) {
	s := newStage(t)
	room, _ := s.room("Lobby")
	var want []string
	for _, text := range []string{"before the kill", "after it"} {
		want = append(want, text)
		s.hs.Say(room, alice, text)
		events := s.hs.Unpushed()
		for range 2 { // and one that is repeated shows nothing twice
			if code := s.hs.PushAs(t.Context(), s.url, "17", events, nil); code != http.StatusOK {
				t.Fatal(code)
			}
		}
	}
	s.await(room, want)
	if s.h.repeats != 0 {
		t.Errorf("%d events were delivered again", s.h.repeats)
	}
}

// A number that is left out is a transaction that lies somewhere: its events come before those behind it.
func TestSkippedTransaction(t *testing.T) {
	s := newStage(t)
	s.settled()
	room, _ := s.room("Lobby")
	var want []string
	n := 0
	push := func(name string) {
		t.Helper()
		n++
		want = append(want, fmt.Sprint("text ", n))
		s.hs.Say(room, alice, want[n-1])
		if name == "" {
			s.hs.Lose()
		} else if code := s.hs.PushAs(t.Context(), s.url, name, s.hs.Unpushed(), nil); code != http.StatusOK {
			t.Fatal(code)
		}
	}
	looks := func() (n int) {
		for _, r := range s.hs.Requests() {
			if strings.HasSuffix(r, "/messages") {
				n++
			}
		}
		return n
	}
	push("7")
	before := looks()
	push("8")
	if looks() != before {
		t.Error("read back without a reason")
	}
	push("")
	push("10")
	s.await(room, want)
	// Where numbers are left out all the time, that is no reason for ever.
	before = looks()
	for i := range 3 * skipLooks {
		push(fmt.Sprint(20 + 2*i))
	}
	s.await(room, want)
	if got := looks() - before; got > skipLooks {
		t.Errorf("%d looks", got)
	}
	// But it is again after some time.
	s.clock.pass(2 * skipRefill)
	push("")
	push("1000")
	s.await(room, want)
}

// The 200 waits for the host's ack.
func TestAckAfterTheHost(t *testing.T) {
	s := newStage(t)
	room, _ := s.room("Lobby")
	s.h.mu.Lock()
	s.h.hold = make(chan struct{})
	hold := s.h.hold
	s.h.mu.Unlock()
	s.hs.Say(room, alice, "held")
	answered := make(chan int, 1)
	go func() { answered <- s.hs.Push(t.Context(), s.url) }()
	// A second transaction meanwhile cannot overtake it.
	second := make(chan int, 1)
	go func() { second <- s.hs.PushAs(t.Context(), s.url, "other", nil, nil) }()
	select {
	case code := <-answered:
		t.Fatalf("answered %d before the host had it", code)
	default:
	}
	if got := s.h.texts(room); len(got) != 0 {
		t.Errorf("%q", got)
	}
	s.h.mu.Lock()
	s.h.hold = nil
	s.h.mu.Unlock()
	close(hold)
	if code := <-answered; code != 200 {
		t.Errorf("answered %d", code)
	}
	if code := <-second; code != 200 {
		t.Errorf("answered %d", code)
	}

	// A host that refuses is a 503, and the homeserver tries again.
	s.h.mu.Lock()
	s.h.refuse = sdk.ErrSessionLost
	s.h.mu.Unlock()
	s.hs.Say(room, alice, "refused at first")
	s.push(503)
	s.h.mu.Lock()
	s.h.refuse = nil
	s.h.mu.Unlock()
	s.push(200)
	if got := s.h.texts(room); !slices.Equal(got, []string{"held", "refused at first"}) {
		t.Errorf("%q", got)
	}
}

func TestTransactionsAreIdempotent(t *testing.T) {
	s := newStage(t)
	room, _ := s.room("Lobby")
	var want []string
	events := map[string][]matrixtest.Event{}
	for _, txn := range []string{"a", "b", "c"} {
		for i := range 3 {
			want = append(want, fmt.Sprint(txn, i))
			s.hs.Say(room, alice, want[len(want)-1])
		}
		events[txn] = s.hs.Unpushed()
	}
	push := func(txn, as string) {
		t.Helper()
		if code := s.hs.PushAs(t.Context(), s.url, as, events[txn], nil); code != 200 {
			t.Fatalf("%s: %d", txn, code)
		}
	}
	for _, txn := range []string{"a", "a", "b", "a", "c", "b"} {
		push(txn, txn) // repeated, and an older one repeated
	}
	push("b", "another name for the same events")

	// Two at the same time, and one of 5,000 events that is sent twice.
	var big []matrixtest.Event
	for i := range 5000 {
		want = append(want, fmt.Sprint("big", i))
		s.hs.Say(room, alice, want[len(want)-1])
	}
	big = s.hs.Unpushed()
	done := make(chan int, 3)
	for _, txn := range []string{"big", "big", "big again"} {
		go func() { done <- s.hs.PushAs(t.Context(), s.url, txn, big, nil) }()
	}
	for range 3 {
		if code := <-done; code != 200 {
			t.Errorf("answered %d", code)
		}
	}
	if got := s.h.texts(room); !slices.Equal(got, want) {
		t.Errorf("%d messages, not %d; the first difference: %s", len(got), len(want), firstDifference(got, want))
	}
}

func firstDifference(got, want []string) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("%d: %q, not %q", i, got[i], want[i])
		}
	}
	return "at the end"
}

func TestNoAckWhileAway(t *testing.T) {
	s := bareStage(t, matrixtest.Options{})
	s.hs.Fail(matrixtest.Fault{Path: "whoami", Times: -1, Handle: answers(502, "text/html", "<html>Bad Gateway</html>")})
	raw, _ := readRegistration(s.file)
	raw.Namespaces.UserIDs[0].Regex = "@_xmpp_.*" // names no server, so nothing is known before the homeserver answers
	s.configure()
	s.c.reg = raw
	if err := s.l.Start(t.Context(), s.h, sdk.Resume{}); err != nil {
		t.Fatal(err)
	}
	room := s.hs.CreateRoom(alice, "Lobby")
	s.push(503)
	if _, err := s.do(s.send(sdk.PortalKey{Room: sdk.RemoteRoomID(room)}, "x")); err == nil || !err.Temporary {
		t.Errorf("%v", err)
	}
	s.hs.Heal()
	s.clock.ring(t)
	s.h.until("the connection", func() bool { return s.h.status[len(s.h.status)-1].State == sdk.LoginConnected })
	s.push(200)
	s.stop()
	if code := s.hs.PushAs(t.Context(), s.url, "late", nil, nil); code == 200 {
		t.Error("a transaction was taken after the drain")
	}
}

func TestBadToken(t *testing.T) {
	s := bareStage(t, matrixtest.Options{})
	s.hs.Fail(matrixtest.Fault{Path: "whoami", Times: -1, Handle: answers(401, "application/json", `{"errcode":"M_UNKNOWN_TOKEN","error":"no"}`)})
	s.configure()
	err := s.l.Start(t.Context(), s.h, sdk.Resume{})
	if e := sdk.AsError(err); e == nil || e.Code != sdk.CodeBadCredentials {
		t.Fatalf("%v", err)
	}
	s.c.stop = nil // it never started
	report, err := s.l.Test(t.Context())
	if err != nil || !report.Failed() || report.Checks[1].Fix == "" {
		t.Errorf("%+v, %v", report, err)
	}
}

// answers is a fault that answers in the homeserver's place.
func answers(status int, kind, body string, headers ...string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", kind)
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
		return true
	}
}

func TestQueries(t *testing.T) {
	s := newStage(t)
	s.h.mu.Lock()
	s.h.people["romeo@xmpp.test"] = sdk.Sender{Person: "p2", Address: "romeo@xmpp.test", Name: "Romeo"}
	s.h.rooms["den@conf.xmpp.test"] = sdk.RoomCard{Address: "den@conf.xmpp.test", Name: "The den", Public: true}
	s.h.mu.Unlock()
	ask := func(method, path string) int {
		req, _ := http.NewRequestWithContext(t.Context(), method, s.url+path, nil)
		req.Header.Set("Authorization", "Bearer "+s.c.reg.ServerToken)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	tests := []struct {
		name, method, path string
		want               int
	}{
		{"ping", "POST", "/_matrix/app/v1/ping", 200},
		{"somebody", "GET", "/_matrix/app/v1/users/@_xmpp_romeo=40xmpp.test:hs.test", 200},
		{"somebody, old path", "GET", "/users/@_xmpp_romeo=40xmpp.test:hs.test", 200},
		{"nobody", "GET", "/_matrix/app/v1/users/@_xmpp_nobody=40xmpp.test:hs.test", 404},
		{"an occupant", "GET", "/_matrix/app/v1/users/@_xmpp_occ=2fabc:hs.test", 404},
		{"of Matrix", "GET", "/_matrix/app/v1/users/@alice:hs.test", 404},
		{"a room", "GET", "/_matrix/app/v1/rooms/%23_xmpp_den=40conf.xmpp.test:hs.test", 200},
		{"again", "GET", "/rooms/%23_xmpp_den=40conf.xmpp.test:hs.test", 200},
		{"no room", "GET", "/_matrix/app/v1/rooms/%23_xmpp_nix=40conf.xmpp.test:hs.test", 404},
		{"no alias of ours", "GET", "/_matrix/app/v1/rooms/%23ops:hs.test", 404},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := ask(test.method, test.path); got != test.want {
				t.Errorf("%d, not %d", got, test.want)
			}
		})
	}
	if name, _, _, _, ok := s.hs.Profile("@_xmpp_romeo=40xmpp.test:hs.test"); !ok || name != "Romeo" {
		t.Errorf("%q %v", name, ok)
	}
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	opened := 0
	for _, ev := range s.h.events {
		if o, ok := ev.(*sdk.PortalOpened); ok && o.XMPPRoom == "den@conf.xmpp.test" && o.Info.Name == "The den" {
			opened++
		}
	}
	if opened != 1 {
		t.Errorf("opened %d times", opened)
	}
}

func TestErrorsAreTyped(t *testing.T) {
	if sdk.AsError(explain("x", errors.New("broken pipe"))).Code != sdk.CodeUnavailable {
		t.Error("an error without an answer is no trouble of the homeserver's")
	}
	if explain("x", nil) != nil {
		t.Error("no error became one")
	}
}
