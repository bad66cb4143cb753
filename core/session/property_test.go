package session

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// TestNothingLostNothingTwice plays a client with a bad line: whatever is cut, resumed and acknowledged, each message reaches it exactly once as far as
// it can know, in order, or is offline in the end.
func TestNothingLostNothingTwice(t *testing.T) {
	dir := t.TempDir()
	b := newBench(t, dir, Limits{QueueStanzas: 12, SpoolStanzas: 1000})
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		full := fmt.Sprintf("user%d@example.org/r", round)
		s, l, token := b.managed(full)
		p := &player{b: b, rt: rt, s: s, l: l, token: token}
		rt.Repeat(map[string]func(*rapid.T){
			"deliver": func(*rapid.T) { p.deliver() },
			"receive": func(rt *rapid.T) { p.receive() },
			"ack":     func(*rapid.T) { p.ack() },
			"cut":     func(*rapid.T) { p.cut() },
			"resume":  func(*rapid.T) { p.resume() },
		})
		s.Close("", "")
		<-s.Done()
		offline := b.kept(storage.Offline, s.JID().Bare().String())
		// What the client has acknowledged is its own; the rest is offline, in order.
		want := p.all[p.acked:]
		if !slices.Equal(offline, want) && len(offline)+len(want) > 0 {
			rt.Fatalf("offline %v, want %v (acknowledged %d of %v)", offline, want, p.acked, p.all)
		}
	})
}

type player struct {
	b     *bench
	rt    *rapid.T
	s     *Session
	l     *testLink // nil: no connection
	token string
	all   []string // delivered to the session
	got   []string // received by the client, over all connections
	acked int
}

func (p *player) deliver() {
	id := fmt.Sprintf("m%d", len(p.all))
	p.b.deliver(p.s, id)
	p.all = append(p.all, id)
	if p.l != nil && p.l.end() != "" { // it was too much
		p.l = nil
	}
}

func (p *player) receive() {
	if p.l == nil {
		return
	}
	p.b.settleQueue(p.s) // a load may be under way
	p.got = append(p.got, received(p.rt, p.b.fill(p.s, p.l))...)
	if !slices.Equal(p.got, p.all[:len(p.got)]) {
		p.rt.Fatalf("received %v of %v", p.got, p.all)
	}
}

func (p *player) ack() {
	if p.l == nil || len(p.got) == p.acked {
		return
	}
	p.acked = rapid.IntRange(p.acked, len(p.got)).Draw(p.rt, "h")
	if err := p.s.Ack(uint32(p.acked)); err != nil {
		p.rt.Fatal(err)
	}
	if rapid.Bool().Draw(p.rt, "settle") {
		p.b.settle(p.s)
	}
}

func (p *player) cut() {
	if p.l == nil {
		return
	}
	// Some of what was on the way arrives, the rest does not.
	sent := received(p.rt, p.b.fill(p.s, p.l))
	n := rapid.IntRange(0, len(sent)).Draw(p.rt, "arrived")
	p.got = append(p.got, sent[:n]...)
	p.s.Detach(p.l)
	p.l = nil
}

func (p *player) resume() {
	if p.l != nil {
		return
	}
	l := &testLink{}
	if _, err := p.b.m.Resume(p.b.t.Context(), ResumeRequest{Account: p.s.JID().Bare(), Token: p.token, H: uint32(len(p.got)), Link: l}); err != nil {
		p.rt.Fatal(err)
	}
	p.acked, p.l = len(p.got), l
	p.b.settle(p.s)
	if out, _ := p.s.Fill(l, nil, 1); !strings.HasPrefix(string(out), "<resumed") {
		p.rt.Fatalf("resumed: %s", out)
	}
}
