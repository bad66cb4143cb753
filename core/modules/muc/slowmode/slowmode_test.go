package slowmode

import (
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
)

// Who has waited long enough is forgotten, so that a room in which thousands have spoken remembers few.
func TestPaceForgets(t *testing.T) {
	p := pace{last: map[jid.JID]lastWord{}}
	at := time.Unix(1_700_000_000, 0)
	for i := range 1000 {
		who, err := jid.New("u"+strings.Repeat("x", i%500)+string(rune('a'+i/500)), "example.org", "")
		if err != nil {
			t.Fatal(err)
		}
		p.note(who, lastWord{At: at.Add(time.Duration(i) * time.Minute)}, time.Minute)
	}
	if len(p.last) > 100 {
		t.Errorf("%d are remembered", len(p.last))
	}
}
