package discord

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/bwmarrin/discordgo"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// bareAPI is an api whose Discord is one function.
func bareAPI(t *testing.T, h http.HandlerFunc) *api {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return newAPI(apiOptions{Base: srv.URL + "/api/v10", Token: "secret", Timeout: patience, Now: time.Now, After: time.After, Client: srv.Client()})
}

// TestAnswers: what the library does with an answer is not what becomes of it here.
func TestAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		header map[string]string
		body   string
		check  func(discordgo.Channel, error) bool
	}{
		"one that says yes":              {200, nil, `{"id":"7"}`, func(c discordgo.Channel, err error) bool { return err == nil && c.ID == "7" }},
		"a good status of another kind":  {202, nil, `{"id":"7"}`, func(c discordgo.Channel, err error) bool { return err == nil && c.ID == "7" }},
		"a limit's header without sense": {200, map[string]string{"X-RateLimit-Reset-After": "soon"}, `{"id":"7"}`, func(c discordgo.Channel, err error) bool { return err == nil && c.ID == "7" }},
		"one that cannot be read": {200, nil, `{"id":7`, func(_ discordgo.Channel, err error) bool {
			var u *unsure
			return errors.As(err, &u)
		}},
		"a refusal": {403, nil, `{"code":50013,"message":"Missing Permissions"}`, func(_ discordgo.Channel, err error) bool {
			return hasCode(err, codeMissingRight) && hasStatus(err, 403)
		}},
		"a limit, to the microsecond": {429, nil, `{"message":"slow","retry_after":0.2999}`, func(_ discordgo.Channel, err error) bool {
			return sdk.AsError(err).RetryAfter == 299_900*time.Microsecond
		}},
		"an outage": {502, map[string]string{"Content-Type": "text/html"}, `<html>`, func(_ discordgo.Channel, err error) bool {
			var u *unsure
			return errors.As(err, &u) && hasStatus(err, 502)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			a := bareAPI(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				for k, v := range test.header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			})
			if c, err := get[discordgo.Channel](t.Context(), a, "/channels/7", ""); !test.check(c, err) {
				t.Error(c.ID, err)
			}
		})
	}
}

// TestNothing: null is no channel.
func TestNothing(t *testing.T) {
	a := bareAPI(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "null") })
	var u *unsure
	if _, err := newWorld(nil).load(t.Context(), a, "7"); !errors.As(err, &u) {
		t.Error(err)
	}
}

// TestAddresses: the library's addresses become those of the configured API, and the
// token goes where it belongs.
func TestAddresses(t *testing.T) {
	type seen struct{ address, token, query string }
	var got []seen
	a := bareAPI(t, func(w http.ResponseWriter, r *http.Request) {
		got = append(got, seen{r.URL.EscapedPath(), r.Header.Get("Authorization"), r.URL.RawQuery})
		_, _ = io.WriteString(w, "{}")
	})
	_, err := a.user(t.Context(), "@me")
	err2 := a.do(t.Context(), call{Method: http.MethodPut, Path: "/channels/1/messages/2/reactions/%F0%9F%91%8D/@me"}, nil)
	err3 := a.do(t.Context(), call{Method: http.MethodPatch, Path: "/webhooks/1/t/messages/2", Query: "thread_id=3", Anon: true, Body: map[string]any{}}, nil)
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
	want := []seen{
		{"/api/v10/users/@me", "Bot secret", ""}, {"/api/v10/channels/1/messages/2/reactions/%F0%9F%91%8D/@me", "Bot secret", ""}, {"/api/v10/webhooks/1/t/messages/2", "", "thread_id=3"},
	}
	for i, w := range want {
		if got[i] != w {
			t.Errorf("%+v", got[i])
		}
	}
}

// TestNobodyWaits: two requests of one bucket are under way together, and a long limit
// is told of instead of slept through.
func TestNobodyWaits(t *testing.T) {
	both := make(chan struct{})
	a := bareAPI(t, func(w http.ResponseWriter, r *http.Request) {
		select { // each waits for the other
		case both <- struct{}{}:
		case <-both:
		case <-r.Context().Done():
		}
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("X-RateLimit-Reset-After", "3600")
		_, _ = io.WriteString(w, "{}")
	})
	done := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := a.user(t.Context(), "1")
			done <- err
		}()
	}
	if err := errors.Join(<-done, <-done); err != nil {
		t.Error(err)
	}
	if _, err := a.user(t.Context(), "1"); sdk.AsError(err).RetryAfter < time.Minute {
		t.Error("asked against the limit, or waited for it: ", err)
	}
}

// TestUnknownComponents: a message with a component of next year's is a message.
func TestUnknownComponents(t *testing.T) {
	raw := `{"id":"1","content":"hello","application_id":"9","components":[{"type":999}],
		"attachments":[{"id":"2","filename":"a.txt","title":"An a","description":"about it","size":3}],
		"referenced_message":{"id":"3","content":"asked","components":[{"type":999}]},
		"message_snapshots":[{"message":{"content":"forwarded","components":[{"type":999}]}}]}`
	var m message
	if err := json.Unmarshal([]byte(raw), &m); err != nil {
		t.Fatal(err)
	}
	if m.Content != "hello" || m.App != "9" || m.Referenced.Content != "asked" || m.Snapshots[0].Message.Content != "forwarded" {
		t.Errorf("%+v", m)
	}
	if a := m.Attachments[0]; a.Title != "An a" || a.About != "about it" || a.Filename != "a.txt" || a.Size != 3 {
		t.Errorf("%+v", a)
	}
	var theirs discordgo.Message
	if json.Unmarshal([]byte(raw), &theirs) == nil {
		t.Error("the library takes it by now: plain is no longer needed")
	}
}
