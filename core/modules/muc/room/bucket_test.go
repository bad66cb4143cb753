package room

import (
	"fmt"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
)

// Each has her own bucket, is told how long to wait, and is forgotten when hers is full again.
func TestBuckets(t *testing.T) {
	var s Buckets
	r := Rate{Size: 2, Every: time.Minute}
	now := time.Unix(1000, 0)
	a, b := jid.MustParse("a@example.net"), jid.MustParse("b@example.net")
	for i, c := range []struct {
		who   jid.JID
		after time.Duration
		want  time.Duration
	}{
		{a, 0, 0}, {a, 0, 0}, {a, 0, time.Minute}, {b, 0, 0}, {a, 20 * time.Second, 40 * time.Second}, {a, 40 * time.Second, 0}, {a, 0, time.Minute},
	} {
		now = now.Add(c.after)
		if got := s.Take(c.who, r, now); got != c.want {
			t.Errorf("%d: wait %v, want %v", i, got, c.want)
		}
	}
	for i := range 5000 {
		if s.Take(jid.MustParse(fmt.Sprintf("u%d@example.net", i)), r, now) != 0 {
			t.Fatal("the first time was refused")
		}
		now = now.Add(time.Second)
	}
	if s.Len() > 520 {
		t.Errorf("%d people are remembered", s.Len())
	}
}
