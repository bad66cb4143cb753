//go:build interop

package matrix

import (
	"fmt"
	"strings"
	"testing"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

func TestInteropGaps(t *testing.T) {
	homeservers(t, func(t *testing.T, p *peer) {
		s := newStory(t, p)
		ctx := t.Context()
		s.join(10)
		var want []string
		say := func(text string) {
			want = append(want, text)
			s.say(text)
		}
		arrived := func() {
			t.Helper()
			s.h.until(want[len(want)-1], func() bool {
				for _, ev := range s.h.events {
					if m, ok := ev.(*sdk.Message); ok && m.Content.Body.Plain() == want[len(want)-1] {
						return true
					}
				}
				return false
			})
			if got := s.h.texts(string(s.room)); strings.Join(got, "|") != strings.Join(want, "|") {
				t.Fatalf("got  %q\nwant %q", got, want)
			}
		}
		say("before")
		arrived()

		// The bridge is away; what is said meanwhile comes in order and once.
		s.stop()
		for i := range 30 {
			say(fmt.Sprintf("while the bridge was away %d", i))
		}
		s.l, s.stop = p.bridge(s.h)
		say("the bridge is back")
		arrived()

		// The homeserver is killed while both sides talk. What it accepted comes
		// through, and nothing is said twice.
		accepted := make(chan string, 1000)
		talked := make(chan struct{})
		go func() {
			defer close(talked)
			for i := range 40 {
				text := fmt.Sprintf("through the kill %d", i)
				txn := fmt.Sprintf("kill%d", i)
				for ctx.Err() == nil {
					_, err := s.alice.SendMessageEvent(ctx, s.room, event.EventMessage, map[string]any{"msgtype": "m.text", "body": text}, mautrix.ReqSendEvent{TransactionID: txn})
					if err == nil {
						accepted <- text
						break
					}
					if i%10 == 0 {
						accepted <- "" // given up: in doubt
						break
					}
				}
			}
		}()
		sent := map[string]sdk.RemoteMessageID{}
		for i := range 20 {
			text := fmt.Sprintf("from XMPP %d", i)
			op := &sdk.SendMessage{OpHeader: s.header(), Content: body(text)}
			if i == 10 {
				p.kill()
				p.start()
			}
			eventually(t, text, func() bool {
				d, err := sdk.Handle(ctx, s.l, op)
				op.Attempt++
				if err != nil {
					if !sdk.AsError(err).Temporary {
						t.Fatalf("%s: %v", text, err)
					}
					return false
				}
				sent[text] = d.Parts[0].Remote
				return true
			})
		}
		<-talked
		say("the end")
		s.h.until("the end", func() bool {
			m, ok := s.h.events[len(s.h.events)-1].(*sdk.Message)
			return ok && m.Content.Body.Plain() == "the end"
		})

		// The judge is the homeserver's own history.
		var truth []string
		count := map[string]int{}
		from := ""
		for {
			page := must(s.alice.Messages(ctx, s.room, from, "", mautrix.DirectionBackward, nil, 100))(t)
			for _, ev := range page.Chunk {
				_ = ev.Content.ParseRaw(ev.Type)
				if ev.Type != event.EventMessage {
					continue
				}
				count[ev.Content.AsMessage().Body]++
				if ev.Sender == s.alice.UserID {
					truth = append([]string{ev.Content.AsMessage().Body}, truth...)
				} else if id := sent[ev.Content.AsMessage().Body]; id != sdk.RemoteMessageID(ev.ID) {
					t.Errorf("%s is %s, the bridge says %s", ev.Content.AsMessage().Body, ev.ID, id)
				}
			}
			if page.End == "" || len(page.Chunk) == 0 {
				break
			}
			from = page.End
		}
		for text := range sent {
			if count[text] != 1 {
				t.Errorf("%s is there %d times", text, count[text])
			}
		}
		if got := s.h.texts(string(s.room)); strings.Join(got, "|") != strings.Join(truth, "|") {
			t.Errorf("got  %q\nwant %q", got, truth)
		}
	})
}
