package pubsub

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/journal"
)

// posted collects what is posted, to run it when the test says so.
type posted struct{ list []func() }

func (p *posted) Post(fn func()) { p.list = append(p.list, fn) }

func (p *posted) run() bool {
	if len(p.list) == 0 {
		return false
	}
	fn := p.list[0]
	p.list = p.list[1:]
	fn()
	return true
}

var _ journal.Poster = (*posted)(nil)

// Who comes first to a key is served first, and nobody runs while another holds one of her keys.
func TestLocksAreFair(t *testing.T) {
	var l locks
	var q posted
	var order []string
	held := map[string]string{}
	release := map[string]func(){}
	take := func(who string, keys ...string) {
		l.run(keys, &q, func(r func()) {
			for _, k := range keys {
				if held[k] != "" {
					t.Errorf("%s and %s hold %s", who, held[k], k)
				}
				held[k] = who
			}
			order = append(order, who)
			release[who] = func() {
				for _, k := range keys {
					held[k] = ""
				}
				r()
			}
		})
	}
	take("a", "1")
	take("b", "2", "1")
	take("c", "2")
	take("d", "1")
	take("e", "3", "2")
	for i := 0; i < len(order); i++ {
		release[order[i]]()
		release[order[i]]() // a second call is nothing
		for q.run() {
		}
	}
	// b waits for 1 first: it comes to 2 behind e.
	if got := strings.Join(order, " "); got != "a c e b d" {
		t.Errorf("order %s", got)
	}
	if n := l.busy(); n != 0 {
		t.Errorf("%d keys are held at the end", n)
	}
}

// Taken in any order by many, the keys block nobody for ever.
func TestLocksDoNotCircle(t *testing.T) {
	var l locks
	var q posted
	done := 0
	for i := range 200 {
		keys := []string{fmt.Sprint(i % 3), fmt.Sprint(i % 5), fmt.Sprint(i % 7)}
		if i%2 == 0 {
			slices.Reverse(keys)
		}
		l.run(keys, &q, func(r func()) {
			q.Post(func() { done++; r() })
		})
	}
	for q.run() {
	}
	if done != 200 || l.busy() != 0 {
		t.Errorf("%d of 200 were served; %d keys are held", done, l.busy())
	}
}

// attacks row 29: what waits for one node is bounded.
func TestLocksAreBounded(t *testing.T) {
	var l locks
	var q posted
	var free func()
	l.run([]string{"n"}, &q, func(r func()) { free = r })
	taken, ran := 0, 0
	for range maxWaiting + 10 {
		if l.run([]string{"n"}, &q, func(r func()) { ran++; r() }) {
			taken++
		}
	}
	if taken != maxWaiting {
		t.Errorf("%d wait", taken)
	}
	if !l.run([]string{"other"}, &q, func(r func()) { r() }) {
		t.Error("another node is refused")
	}
	free()
	for q.run() {
	}
	if ran != maxWaiting || l.busy() != 0 {
		t.Errorf("%d ran; %d keys are held", ran, l.busy())
	}
}
