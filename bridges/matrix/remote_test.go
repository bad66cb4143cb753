package matrix

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/matrix/matrixtest"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

func TestWhatTheHomeserverAnswers(t *testing.T) {
	s := newStage(t)
	room, key := s.room("Lobby")
	s.must(s.send(key, "first"))
	send := "/send/m.room.message/"
	tests := []struct {
		name  string
		fault matrixtest.Fault
		code  sdk.Code
		later bool
		pause time.Duration
		words string
	}{
		{"rate limit in the body", matrixtest.Fault{Handle: answers(429, "application/json", `{"errcode":"M_LIMIT_EXCEEDED","error":"Too Many Requests","retry_after_ms":1500}`)}, sdk.CodeRateLimited, true, 1500 * time.Millisecond, ""},
		{"rate limit in the header", matrixtest.Fault{Handle: answers(429, "application/json", `{"errcode":"M_LIMIT_EXCEEDED"}`, "Retry-After", "7")}, sdk.CodeRateLimited, true, 7 * time.Second, ""},
		{"rate limit of a proxy", matrixtest.Fault{Handle: answers(429, "text/html", `<html>slow down</html>`)}, sdk.CodeRateLimited, true, 2 * time.Second, ""},
		{"absurd rate limit", matrixtest.Fault{Handle: answers(429, "application/json", `{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":1e15}`)}, sdk.CodeRateLimited, true, 10 * time.Minute, ""},
		{"forbidden", matrixtest.Fault{Times: 2, Handle: answers(403, "application/json", `{"errcode":"M_FORBIDDEN","error":"You may not speak"}`)}, sdk.CodeForbidden, false, 0, "You may not speak"},
		{"too large", matrixtest.Fault{Handle: answers(413, "application/json", `{"errcode":"M_TOO_LARGE","error":"big"}`)}, sdk.CodeTooBig, false, 0, "too big"},
		{"bad json", matrixtest.Fault{Handle: answers(400, "application/json", `{"errcode":"M_BAD_JSON","error":"no"}`)}, sdk.CodeInvalid, false, 0, "no"},
		{"unknown code", matrixtest.Fault{Handle: answers(404, "application/json", `{"errcode":"M_UNKNOWN","error":"No known servers"}`)}, sdk.CodeNotFound, false, 0, "No known servers"},
		{"token gone", matrixtest.Fault{Handle: answers(401, "application/json", `{"errcode":"M_UNKNOWN_TOKEN"}`)}, sdk.CodeBadCredentials, true, 0, ""},
		{"in trouble", matrixtest.Fault{Handle: answers(500, "application/json", `{"errcode":"M_UNKNOWN","error":"Internal server error"}`)}, sdk.CodeUnavailable, true, 0, ""},
		{"gateway error page", matrixtest.Fault{Handle: answers(502, "text/html", `<html>Bad Gateway</html>`)}, sdk.CodeUnavailable, true, 0, ""},
		{"proxy without a backend", matrixtest.Fault{Handle: answers(404, "text/html", `<html>nginx</html>`)}, sdk.CodeUnavailable, true, 0, ""},
		{"no JSON in the answer", matrixtest.Fault{Handle: answers(200, "text/html", `<html>hi</html>`)}, sdk.CodeUnavailable, true, 0, ""},
		{"cut off", matrixtest.Fault{Handle: func(w http.ResponseWriter, _ *http.Request) bool { panic(http.ErrAbortHandler) }}, sdk.CodeUnavailable, true, 0, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.fault.Path = send
			if test.fault.Times == 0 {
				test.fault.Times = 1
			}
			s.hs.Fail(test.fault)
			defer s.hs.Heal()
			_, err := s.do(s.send(key, test.name))
			if err == nil || err.Code != test.code || err.Temporary != test.later || err.RetryAfter != test.pause || !strings.Contains(err.Text, test.words) {
				t.Errorf("%+v", err)
			}
		})
	}
	if got := s.hs.Texts(room, juliet); !slices.Equal(got, []string{"first"}) {
		t.Errorf("%q", got)
	}
}

// The answer is lost, and with it the transaction id: the message is not sent twice.
func TestAnswerLost(t *testing.T) {
	s := newStage(t)
	room, key := s.room("Lobby")
	s.must(s.send(key, "first"))
	lost := matrixtest.Fault{Path: "/send/", Times: 1, After: func(http.ResponseWriter) { panic(http.ErrAbortHandler) }}
	for _, doubt := range []bool{false, true} {
		text := fmt.Sprint("once ", doubt)
		s.hs.Fail(lost)
		op := s.send(key, text)
		if _, err := s.do(op); err == nil || !err.Temporary {
			t.Fatalf("%v", err)
		}
		s.hs.Forget()
		op.Attempt, op.Doubt = 2, doubt
		d := s.must(op)
		if again := s.must(op); again.Parts[0].Remote != d.Parts[0].Remote {
			t.Errorf("%v, then %v", d, again)
		}
	}
	if got := s.hs.Texts(room, juliet); !slices.Equal(got, []string{"first", "once false", "once true"}) {
		t.Errorf("%q", got)
	}

	// Of a message in parts only what is missing is sent.
	long := s.send(key, strings.Repeat("word ", 16000))
	s.hs.Fail(matrixtest.Fault{Path: "/send/m.room.message/" + mark(long.ID, "1"), Times: 1, Handle: answers(500, "text/plain", "")})
	if _, err := s.do(long); err == nil || !err.Temporary {
		t.Fatalf("%v", err)
	}
	s.hs.Forget()
	long.Attempt = 2
	d := s.must(long)
	if got := s.hs.Texts(room, juliet)[3:]; len(got) != len(d.Parts) || len(got) < 3 || strings.Join(strings.Fields(strings.Join(got, " ")), " ") != strings.TrimSpace(strings.Repeat("word ", 16000)) {
		t.Errorf("%d texts for %d parts", len(got), len(d.Parts))
	}
}

// A homeserver was killed and is back before anybody looked: what it had taken is
// shown late, and is not sent twice until then.
func TestShownLate(t *testing.T) {
	s := bareStage(t, matrixtest.Options{NoPing: true})
	s.conf["ephemeral"] = "push" // no sync, which sets timers of its own
	s.start()
	s.settled()
	room, key := s.room("Lobby")
	s.must(s.send(key, "first"))
	s.clock.pass(time.Hour)
	s.hs.Fail(matrixtest.Fault{Path: "/send/", Times: 1, After: func(http.ResponseWriter) { panic(http.ErrAbortHandler) }})
	op := s.send(key, "once")
	if _, err := s.do(op); err == nil || !err.Temporary {
		t.Fatalf("%v", err)
	}
	taken := s.hs.Hide(room)
	s.hs.Forget()

	op.Attempt = 2
	done := make(chan sdk.Delivered, 1)
	go func() { d, _ := s.do(op); done <- d }()
	s.clock.await(t, showsLate/2) // it waits, and looks again
	s.hs.Show()
	for {
		s.clock.ring(t)
		select {
		case d := <-done:
			if len(d.Parts) != 1 || string(d.Parts[0].Remote) != taken {
				t.Errorf("%+v, not %s", d, taken)
			}
			if got := s.hs.Texts(room, juliet); !slices.Equal(got, []string{"first", "once"}) {
				t.Errorf("%q", got)
			}
			return
		case <-s.clock.asked:
		}
	}
}

// What is shown even later was sent again: it is taken back.
func TestShownTooLate(t *testing.T) {
	s := bareStage(t, matrixtest.Options{NoPing: true})
	s.conf["ephemeral"] = "push"
	s.start()
	s.settled()
	room, key := s.room("Lobby")
	s.hs.Fail(matrixtest.Fault{Path: "/send/", Times: 1, After: func(http.ResponseWriter) { panic(http.ErrAbortHandler) }})
	op := s.send(key, "once")
	if _, err := s.do(op); err == nil {
		t.Fatal("answered")
	}
	taken := s.hs.Hide(room)
	s.hs.Forget()
	s.clock.pass(2 * showsLate)
	op.Attempt = 2
	if d := s.must(op); string(d.Parts[0].Remote) == taken {
		t.Fatal("it was hidden")
	}
	s.push(200) // both, the late one first
	timeout := time.After(patience)
	for {
		changed := s.hs.Changed()
		if texts := s.hs.Texts(room, juliet); len(texts) == 1 {
			break
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("%q", s.hs.Texts(room, juliet))
		}
	}
	for _, ev := range s.hs.Events(room) {
		if content, _ := ev["content"].(matrixtest.Event); ev["event_id"] == taken && content["body"] != nil {
			t.Error("the one that the host knows was taken back")
		}
	}
}

func TestGhosts(t *testing.T) {
	s := newStage(t)
	room, key := s.room("Lobby")
	s.h.mu.Lock()
	s.h.files["face1"] = []byte("picture one")
	s.h.mu.Unlock()
	s.juliet.Avatar = &sdk.Media{ID: "face1", Key: "hash1", Type: "image/png"}
	s.must(s.send(key, "hello"))
	name, avatar, _, _, ok := s.hs.Profile(juliet)
	if !ok || name != "Juliet" || avatar == "" || s.hs.Membership(room, juliet) != "join" {
		t.Fatalf("%q %q %v", name, avatar, ok)
	}
	before := len(s.hs.Requests())
	s.must(s.send(key, "nothing changed"))
	if got := s.hs.Requests()[before:]; len(got) != 1 {
		t.Errorf("a message costs %d requests: %q", len(got), got)
	}

	// A new name, and no face any more.
	empty := "Juliet C."
	s.must(&sdk.ChangeProfile{OpHeader: s.header(sdk.PortalKey{}), Name: &empty, Avatar: &sdk.Media{}})
	if name, avatar, _, _, _ := s.hs.Profile(juliet); name != "Juliet C." || avatar != "" {
		t.Errorf("%q %q", name, avatar)
	}
	s.juliet.Name, s.juliet.Avatar = empty, nil

	// Kicked without our knowing: she comes back with the next message.
	s.hs.Member(room, alice, juliet, "leave")
	s.must(s.send(key, "I am back"))
	if s.hs.Membership(room, juliet) != "join" {
		t.Error("she is not back")
	}
	// Banned: refused with a reason, and nothing is tried for ever.
	s.hs.Member(room, alice, juliet, "ban")
	if _, err := s.do(s.send(key, "never said")); err == nil || err.Temporary || err.Code != sdk.CodeForbidden {
		t.Errorf("%v", err)
	}

	// A restarted bridge knows what the host kept.
	s.hs.Member(room, alice, juliet, "leave")
	s.stop()
	s.start()
	before = len(s.hs.Requests())
	s.must(s.send(key, "after a restart"))
	for _, r := range s.hs.Requests()[before:] {
		if strings.Contains(r, "/profile/"+juliet) {
			t.Errorf("%s", r)
		}
	}

	// Somebody whose address may not be shown, and somebody with an endless one.
	occupant := s.send(key, "from nowhere")
	occupant.Sender = sdk.Sender{Person: "p3", Occupant: "Zm9v", Name: "Masked"}
	s.must(occupant)
	long := s.send(key, "from far away")
	long.Sender = sdk.Sender{Person: "p4", Address: strings.Repeat("x", 300) + "@xmpp.test", Name: "Long"}
	s.must(long)
	s.push(200)
	for person, text := range map[sdk.PersonID]string{"p3": "from nowhere", "p4": "from far away"} {
		eventOf(s.h, text, func(m *sdk.Message) bool {
			return m.Own && m.Actor.Person == person && m.Content.Body.Plain() == text && m.Origin != ""
		})
	}
	nobody := s.send(key, "x")
	nobody.Sender = sdk.Sender{}
	if _, err := s.do(nobody); err == nil || err.Code != sdk.CodeInvalid {
		t.Errorf("%v", err)
	}

	// She is gone for good: out of every room.
	s.must(&sdk.ChangeProfile{OpHeader: s.header(sdk.PortalKey{}), Gone: true})
	if s.hs.Membership(room, juliet) != "leave" {
		t.Error("she is still there")
	}
}

// Anybody can copy the field that marks our events.
func TestOriginIsNotForged(t *testing.T) {
	s := newStage(t)
	room, _ := s.room("Lobby")
	s.hs.Send(room, alice, "m.room.message", matrixtest.Event{"msgtype": "m.text", "body": "forged", opField: "OP1"})
	s.push(200)
	m := eventOf(s.h, "the message", func(m *sdk.Message) bool { return m.Content.Body.Plain() == "forged" })
	if m.Origin != "" || m.Own {
		t.Errorf("%+v", m)
	}
}

func TestReactions(t *testing.T) {
	s := newStage(t)
	room, key := s.room("Lobby")
	target := sdk.MessageRef{ID: sdk.RemoteMessageID(s.hs.Say(room, alice, "react to this"))}
	set := func(added, removed []string) {
		t.Helper()
		op := &sdk.SetReactions{OpHeader: s.header(key), Target: target}
		for _, e := range added {
			op.Added = append(op.Added, sdk.Emoji{Text: e})
		}
		for _, e := range removed {
			op.Removed = append(op.Removed, sdk.Emoji{Text: e})
		}
		s.must(op)
	}
	standing := func() []string {
		var out []string
		for _, ev := range s.hs.Events(room) {
			content, _ := ev["content"].(matrixtest.Event)
			relates, _ := content["m.relates_to"].(matrixtest.Event)
			if key, ok := relates["key"].(string); ok && ev["sender"] == juliet {
				out = append(out, key)
			}
		}
		slices.Sort(out)
		return out
	}
	set([]string{"a", "b"}, nil)
	set([]string{"c"}, []string{"a"})
	if got := standing(); !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("%q", got)
	}
	// The host's memory of one is lost: it is looked up.
	s.h.mu.Lock()
	delete(s.h.state, reactionKey("", "", "", ""))
	for k := range s.h.state {
		if strings.HasPrefix(k, "reaction/") {
			delete(s.h.state, k)
		}
	}
	s.h.mu.Unlock()
	set(nil, []string{"b", "never set"})
	if got := standing(); !slices.Equal(got, []string{"c"}) {
		t.Errorf("%q", got)
	}
}

func TestSignalsOut(t *testing.T) {
	s := newStage(t)
	room, key := s.room("Lobby")
	said := s.hs.Say(room, alice, "hello?")
	typing := &sdk.Typing{Portal: key, Sender: &s.juliet, Active: true}
	// Who is not in the room shows nothing there.
	if err := s.c.Typing(t.Context(), typing); err != nil || s.hs.Typing(room, juliet) {
		t.Errorf("%v", err)
	}
	s.must(&sdk.JoinGhost{OpHeader: s.header(key)})
	if err := s.c.Typing(t.Context(), typing); err != nil || !s.hs.Typing(room, juliet) {
		t.Errorf("%v", err)
	}
	read := &sdk.ReadState{Portal: key, Sender: &s.juliet, UpTo: sdk.MessageRef{ID: sdk.RemoteMessageID(said)}}
	if err := s.c.MarkRead(t.Context(), read); err != nil || s.hs.Read(room, juliet) != said {
		t.Errorf("%v", err)
	}
	show := func(show sdk.Show, status string) {
		t.Helper()
		if err := s.c.Presence(t.Context(), &sdk.Presence{Sender: &s.juliet, Show: show, Status: status}); err != nil {
			t.Error(err)
		}
	}
	show(sdk.ShowBusy, "at work")
	if _, _, presence, status, _ := s.hs.Profile(juliet); presence != "online" || status != "at work" {
		t.Errorf("%q %q", presence, status)
	}
	count := func() (n int) {
		for _, r := range s.hs.Requests() {
			if strings.Contains(r, "/presence/") {
				n++
			}
		}
		return n
	}
	show(sdk.ShowBusy, "at work")
	if count() != 1 {
		t.Error("the same presence was sent twice")
	}
	// A homeserver that takes none is asked once.
	s.hs.Fail(matrixtest.Fault{Path: "/presence/", Times: -1, Handle: answers(403, "application/json", `{"errcode":"M_FORBIDDEN"}`)})
	show(sdk.ShowAway, "")
	show(sdk.ShowOnline, "")
	if count() != 2 {
		t.Errorf("%d requests", count())
	}
}

func TestEncryptedRoomsAreRefused(t *testing.T) {
	s := newStage(t)
	room, key := s.room("Lobby")
	s.hs.SetState(room, alice, "m.room.encryption", "", matrixtest.Event{"algorithm": "m.megolm.v1.aes-sha2"})
	s.hs.Send(room, alice, "m.room.encrypted", matrixtest.Event{"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x"})
	s.push(200)
	eventOf(s.h, "the message", func(m *sdk.Message) bool { return m.Content.Unencrypted != "" })
	if _, err := s.do(s.send(key, "x")); err == nil || err.Code != sdk.CodeEncrypted {
		t.Errorf("%v", err)
	}
	info, err := s.l.ChatInfo(t.Context(), sdk.ChatInfoRequest{Portal: key})
	if err != nil || !info.Encrypted || info.Capabilities == nil {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestMembersArePaged(t *testing.T) {
	s := newStage(t)
	room := s.hs.CreateRoom(alice, "Crowd")
	for i := range 25 {
		s.hs.Member(room, fmt.Sprintf("@u%02d:hs.test", i), fmt.Sprintf("@u%02d:hs.test", i), "join")
	}
	s.hs.Say(room, "@u20:hs.test", "I speak")
	key := sdk.PortalKey{Room: sdk.RemoteRoomID(room)}
	info, err := s.l.JoinPortal(t.Context(), sdk.JoinRequest{Portal: key, For: s.juliet, Members: 7})
	if err != nil || info.MemberCount != 26 || len(info.Members) != 7 || info.Members[0].User.ID != "@u20:hs.test" {
		t.Fatalf("%+v, %v", info, err)
	}
	seen := map[sdk.RemoteUserID]bool{}
	for pages := 0; ; pages++ {
		for _, m := range info.Members {
			seen[m.User.ID] = true
		}
		if info.NextMembers == "" {
			break
		}
		if pages > 10 {
			t.Fatal("pages without an end")
		}
		if info, err = s.l.ChatInfo(t.Context(), sdk.ChatInfoRequest{Portal: key, Members: 7, After: info.NextMembers}); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 26 || seen[botID] {
		t.Errorf("%d: %v", len(seen), seen)
	}
}

func TestLongTextIsWholeOnTheOtherSide(t *testing.T) {
	s := newStage(t)
	room, key := s.room("Lobby")
	text := strings.Repeat("a sentence with <b>angles</b> & such. ", 2000)
	op := s.send(key, text)
	op.Content.Body = richtext.Doc(richtext.Para(richtext.Bold(richtext.Text(text))))
	d := s.must(op)
	if len(d.Parts) < 4 {
		t.Errorf("%d parts", len(d.Parts))
	}
	if got := strings.Fields(strings.Join(s.hs.Texts(room, juliet), " ")); !slices.Equal(got, strings.Fields(text)) {
		t.Error("the text is another")
	}
}
