package demo

import (
	"testing"

	"github.com/viaduct-xmpp/viaduct/bridges/demo/demonet"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// A guest that is called is the XMPP person it stands for, under her name; an account of the network stays one.
func TestMentionedGuestIsAPerson(t *testing.T) {
	c := &Connector{guests: map[sdk.PersonID]guest{"k7q2": {name: "Alice"}}}
	doc := c.content(demonet.Message{Text: "*@x-k7q2* and @mira"}).Body
	got := doc.Mentions()
	want := []richtext.Mention{{Target: richtext.MentionUser, Person: "k7q2"}, {Target: richtext.MentionUser, ID: "mira"}}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("mentions %+v", got)
	}
	if p := doc.Plain(); p != "@Alice and @mira" {
		t.Errorf("reads %q", p)
	}
}
