package session

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// model is a ring as plain slices: what is on its way, and what is not sent.
type model struct {
	sent, unsent []entry
}

func (m *model) bytes() (n int) {
	for _, e := range append(append([]entry{}, m.sent...), m.unsent...) {
		n += int(e.size)
	}
	return n
}

// TestRingModel: any sequence of operations gives what the plain model gives.
func TestRingModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r ring
		var m model
		var next storage.MessageID
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				next++
				e := entry{msg: next, size: int32(rapid.IntRange(1, 9).Draw(t, "size")), counted: rapid.Bool().Draw(t, "counted")}
				if !e.counted {
					e.raw = []byte("x")
				}
				r.push(e)
				m.unsent = append(m.unsent, e)
			},
			"send": func(t *rapid.T) {
				e := r.next()
				if len(m.unsent) == 0 {
					if e != nil {
						t.Fatalf("next is %v of an empty ring", e)
					}
					return
				}
				want := m.unsent[0]
				if e == nil || e.msg != want.msg {
					t.Fatalf("next is %v, want %d", e, want.msg)
				}
				if r.advance() != want.counted {
					t.Fatal("advance tells another kind")
				}
				m.unsent = m.unsent[1:]
				if want.counted {
					m.sent = append(m.sent, want)
				}
			},
			"ack": func(t *rapid.T) {
				k := rapid.IntRange(0, len(m.sent)).Draw(t, "k")
				var got []storage.MessageID
				if n := r.ack(uint32(k), func(e *entry) { got = append(got, e.msg) }); int(n) != k || len(got) != k {
					t.Fatalf("acknowledged %d (%v) of %d", n, got, k)
				}
				for i, id := range got {
					if m.sent[i].msg != id {
						t.Fatalf("acknowledged %v", got)
					}
				}
				m.sent = m.sent[k:]
			},
			"rewind": func(t *rapid.T) {
				r.rewind()
				all := append(append([]entry{}, m.sent...), m.unsent...)
				m = model{}
				for _, e := range all {
					if e.counted {
						m.unsent = append(m.unsent, e)
					}
				}
			},
			"": func(t *rapid.T) {
				if r.bytes != m.bytes() {
					t.Fatalf("%d bytes, want %d", r.bytes, m.bytes())
				}
				if unsent := r.n - r.sent; unsent != len(m.unsent) {
					t.Fatalf("%d unsent, want %d", unsent, len(m.unsent))
				}
			},
		})
	})
}

func TestRingGivesMemoryBack(t *testing.T) {
	var r ring
	for range 1000 {
		r.push(entry{size: 1})
	}
	for r.next() != nil {
		r.advance()
	}
	if r.buf != nil || r.bytes != 0 {
		t.Errorf("an empty ring keeps %d entries and %d bytes", len(r.buf), r.bytes)
	}
	r.push(entry{})
	if len(r.buf) != smallRing {
		t.Errorf("one entry takes %d", len(r.buf))
	}
	r.advance()
	if r.buf != nil {
		t.Error("a small empty ring keeps its buffer")
	}
}

// TestAnswersAreBounded: a client that asks on without reading ends its session instead of filling the memory (attacks row 26).
func TestAnswersAreBounded(t *testing.T) {
	b := newBench(t, t.TempDir(), Limits{QueueBytes: 10 << 10})
	s, l := b.bind("bob@example.org/b")
	n := 0
	for ; l.end() == "" && n < 1000; n++ {
		s.SendNonza(xmlstream.NewNode(ns.SM, "failed"))
	}
	equal(t, "ended with", l.end(), "ended policy-violation")
	if n < 10 || n > 200 {
		t.Errorf("it took %d answers", n)
	}
	<-s.Done()
}
