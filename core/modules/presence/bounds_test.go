package presence_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// Row 28 of the attacks: whom a session is available to without a subscription is remembered up to a bound; the latest are told of its end, once each.
func TestDirectedIsBounded(t *testing.T) {
	const sent, most = 1200, 1024
	far := newElsewhere()
	far.got = make(chan arrived, 3*sent)
	s, _ := startWith(t, far)
	c := s.Login(t, "alice@example.org/a")
	for i := range sent {
		c.Write(fmt.Sprintf("<presence to='u%d@elsewhere.example/r'/>", i))
	}
	c.Write(strings.Repeat(fmt.Sprintf("<presence to='u%d@elsewhere.example/r'/>", sent-1), 10))
	for range sent + 10 {
		<-far.got
	}
	c.Write("</stream:stream>")
	told := map[string]int{}
	for range most {
		a := <-far.got
		if a.st.Type != stanza.TypeUnavailable {
			t.Fatalf("elsewhere received %s", a.st)
		}
		told[a.st.To.Local()]++
	}
	for i := sent - most; i < sent; i++ {
		if n := told[fmt.Sprint("u", i)]; n != 1 {
			t.Errorf("u%d was told %d times", i, n)
		}
	}
	s.Shutdown(t)
	if n := len(far.got); n != 0 {
		t.Errorf("%d more were told", n)
	}
}
