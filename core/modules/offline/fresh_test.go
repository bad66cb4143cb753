package offline

import (
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

type at struct {
	module.Clock
	now time.Time
}

func (a at) Now() time.Time { return a.now }

// What only waited behind other messages comes without a delay; what waited for its receiver, or long, has one.
func TestFresh(t *testing.T) {
	sent := time.UnixMilli(1_800_000_000_000)
	id := storage.MessageID(sent.UnixMilli() << 20)
	for _, tc := range []struct {
		name string
		note []byte
		age  time.Duration
		want bool
	}{
		{"behind others", append([]byte{7}, behind...), time.Second, true},
		{"behind others, long ago", append([]byte{7}, behind...), time.Hour, false},
		{"nobody was there", []byte{7}, time.Second, false},
		{"of another list", nil, time.Second, false},
	} {
		m := &Module{d: module.Deps{Clock: at{now: sent.Add(tc.age)}}}
		if got := m.fresh(&storage.Stored{Ref: storage.Ref{ID: id, Msg: id, Note: tc.note}}); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}
