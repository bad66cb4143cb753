package private_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

// TestPipelinedWrites: what an account may keep holds for requests that are sent in one go, too: each builds on the one before, from all its sessions.
func TestPipelinedWrites(t *testing.T) {
	const may, sent = 200, 230
	s := xmpptest.Start(t, xmpptest.Options{})
	sessions := []*xmpptest.Client{s.Login(t, "alice@example.org/a"), s.Login(t, "alice@example.org/b")}
	for k, c := range sessions {
		var b strings.Builder
		for i := range sent / 2 {
			fmt.Fprintf(&b, "<iq type='set' id='i%d'><query xmlns='%s'><x xmlns='u:%d-%d'/></query></iq>", i, ns.Private, k, i)
		}
		c.Write(b.String())
	}
	good := 0
	for _, c := range sessions {
		for range sent / 2 {
			switch n := c.Next(); {
			case n.Attr("type") == "result":
				good++
			case !strings.Contains(n.String(), "resource-constraint"):
				t.Errorf("refused: %s", n)
			}
		}
	}
	rows := 0
	for from := ""; ; {
		list, err := s.Data().Table("private").Range(t.Context(), "alice@example.org", from, "", 100, false)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		rows += len(list)
		from = list[len(list)-1].Key + "\x00"
	}
	if good != may || rows != may {
		t.Errorf("%d of %d were confirmed, %d are kept", good, sent, rows)
	}
	// What is there can still be written, and other accounts do not wait.
	if n := sessions[0].Request("set", "", "<query xmlns='"+ns.Private+"'><x xmlns='u:0-0'><new/></x></query>"); n.Attr("type") != "result" {
		t.Errorf("written again: %s", n)
	}
}
