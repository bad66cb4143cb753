package plugintest

import (
	"context"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

func hostileParts() []part {
	return []part{{"hostile operations", hostileOps}, {"deadlines", deadlines}, {"odd texts", oddTexts}}
}

// hostileOps: what makes no sense is refused for good, and nothing else suffers.
func hostileOps(t *testing.T, r *rig) {
	lost := sdk.PortalKey{Room: "no-such-room"}
	withPortal := func(p sdk.PortalKey) sdk.OpHeader { h := r.head(); h.Portal = p; return h }
	nobody := r.message("who am I?")
	nobody.Sender = sdk.Sender{}
	foreign := r.message("not mine")
	foreign.Login = "somebody-else"
	nothing := sdk.MessageRef{ID: sdk.RemoteMessageID(strings.Repeat("x", sdk.MaxID))}
	for name, op := range map[string]sdk.Op{
		"no such room":         &sdk.SendMessage{OpHeader: withPortal(lost), Content: sdk.Content{Body: richtext.FromPlain("hello?")}},
		"no room at all":       &sdk.SendMessage{OpHeader: withPortal(sdk.PortalKey{}), Content: sdk.Content{Body: richtext.FromPlain("hello?")}},
		"nothing said":         &sdk.SendMessage{OpHeader: r.head()},
		"nobody speaks":        nobody,
		"somebody else speaks": foreign,
		"edit of nothing":      &sdk.EditMessage{OpHeader: r.head(), Target: nothing, Content: sdk.Content{Body: richtext.FromPlain("x")}},
		"reaction to nothing":  &sdk.SetReactions{OpHeader: r.head(), Target: sdk.MessageRef{}, Emoji: []sdk.Emoji{{Text: "👍"}}},
		"topic of nowhere":     &sdk.SetTopic{OpHeader: withPortal(lost), Topic: "x"},
		"a name for nowhere":   &sdk.EditRoom{OpHeader: withPortal(lost)},
		"into nowhere":         &sdk.JoinGhost{OpHeader: withPortal(lost)},
		"an unknown action":    &sdk.Moderate{OpHeader: r.head(), User: r.net.Person(), Action: 99},
		"an unknown sort":      &sdk.UnknownOp{OpHeader: r.head()},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := r.try(t, op); !wrong(err) {
				t.Fatal("not a final refusal: ", err)
			}
		})
	}
	r.do(t, r.message("and now something sensible"))
}

// deadlines: an operation that is too late was not begun, and is for the moment.
func deadlines(t *testing.T, r *rig) {
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if _, err := sdk.Handle(ctx, r.remote(), r.message("yesterday")); err == nil || wrong(err) {
		t.Fatal(err)
	}
	r.do(t, r.message("today"))
	r.net.Say(t, r.room, "still listening")
	r.arrived(t, r.room, []string{"still listening"})
	for _, s := range r.net.Seen(t, r.room) {
		if s.Text == "yesterday" {
			t.Fatal("it was sent all the same")
		}
	}
}

// oddTexts get through in both directions, whatever they look like.
func oddTexts(t *testing.T, r *rig) {
	for name, text := range map[string]string{
		"markup":           "*not bold _nor `closed @ ~",
		"brackets":         `<b>&amp; "quotes" 'and' \back\slashes`,
		"right to left":    "שלום and عربي",
		"combined":         "e\u0301 👩‍👩‍👧‍👦 🇪🇺",
		"lines":            "one\ntwo\n\nthree",
		"a fence":          "```\nnot closed",
		"somebody":         "@everyone @here <!channel> @room",
		"a command":        "/kick everybody",
		"a long word":      strings.Repeat("x", 1500),
		"an URL":           "https://example.org/?a=b&c=d#e_f_g",
		"names with marks": "snake_case_name and 2*3*4",
	} {
		t.Run(name, func(t *testing.T) {
			d := r.do(t, r.message(text))
			for _, p := range d.Parts {
				if got := r.find(t, r.room, p.Remote).Text; got == "" || !utf8.ValidString(got) {
					t.Fatalf("%q", got)
				}
			}
			id := r.net.Say(t, r.two, text)
			var body richtext.Document
			r.host.Await(t, name, func() bool {
				for _, e := range r.host.Events() {
					if m, ok := e.(*sdk.Message); ok && m.Message == id {
						body = m.Content.Body
						return true
					}
				}
				return false
			})
			if again, changed := richtext.Normalize(body, richtext.DefaultLimits()); changed || !again.Equal(body) || body.Empty() {
				t.Fatalf("not in normal form: %+v", body)
			}
			for _, m := range body.Mentions() {
				if m.Target == richtext.MentionAll || m.Target == richtext.MentionActive {
					t.Fatal("a text became a call for everybody")
				}
			}
		})
	}
}
