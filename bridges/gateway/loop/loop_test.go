package loop_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/gateway/loop"
)

// step is one message and what it is taken for.
type step struct {
	author, text string
	echo, loop   bool
}

func TestHear(t *testing.T) {
	echoes := func(n int, author, text string) (out []step) {
		for i := range n {
			out = append(out, step{author, text, true, i == n-1})
		}
		return out
	}
	rounds := func(n int, text string, who ...string) (out []step) {
		for i := range n {
			for j, w := range who {
				out = append(out, step{w, text, i+j > 0 && j > 0, false})
			}
		}
		return out
	}
	for name, steps := range map[string][]step{
		"names pile up": {{"ann", "hello", false, false}, {"fa", "<ann> hello", true, false}, {"fa", "<fa> <ann> hello", true, false},
			{"fa", "<fa> <fa> <ann> hello", true, true}},
		"a network before the name": {{"ann", "hello", false, false}, {"fa", "[slack] <ann> hello", true, false}, {"fa", "[slack] <fa> [slack] <ann> hello", true, false},
			{"fa", "[m] [slack] <fa> [slack] <ann> hello", true, true}},
		"names with a colon":        {{"ann", "hello", false, false}, {"fa", "ann: hello", true, false}, {"fa", "fa: ann: hello", true, false}, {"fa", "**fa: fa: ann: hello", true, true}},
		"the text alone":            append([]step{{"ann", "good morning all", false, false}}, echoes(3, "fa", "good morning all")...),
		"both ends of the bridge":   {{"ann", "good morning all", false, false}, {"fa", "good morning all", true, false}, {"fb", "good morning all", true, false}, {"fa", "good morning all", true, false}, {"fb", "good morning all", true, false}, {"fa", "good morning all", true, true}},
		"a name before a short one": {{"ann", "+1", false, false}, {"fa", "<ann> +1", true, false}, {"fa", "<fa> <ann> +1", true, false}, {"fa", "<fa> <fa> <ann> +1", true, true}},
		"people agree":              rounds(1, "+1", "ann", "bob", "eve"),
		"people agree often":        rounds(5, "+1", "ann", "bob", "eve"),
		"she repeats herself":       rounds(20, "is anybody here?", "ann"),
		"people say other things":   {{"ann", "one", false, false}, {"bob", "two: one and a half", false, false}, {"eve", "<three>", false, false}, {"eve", "", false, false}},
		"a short one ten times":     append([]step{{"ann", "ok", false, false}}, echoes(10, "fa", "ok")...),
	} {
		t.Run(name, func(t *testing.T) {
			d, now := loop.New(), time.Unix(1e9, 0)
			for i, s := range steps {
				now = now.Add(time.Second)
				v := d.Hear(now, loop.Said{ID: fmt.Sprint(i), Author: s.author, Text: s.text})
				if v.Echo != s.echo || v.Loop != s.loop {
					t.Errorf("%d: %s says %q: %+v", i, s.author, s.text, v)
				}
			}
		})
	}
}

func TestMachinesAndTime(t *testing.T) {
	start := time.Unix(1e9, 0)
	d := loop.New()
	d.Hear(start, loop.Said{ID: "0", Author: "ann", Text: "ok"})
	for i := 1; i <= 3; i++ {
		v := d.Hear(start, loop.Said{ID: fmt.Sprint(i), Author: "hook", Text: "ok", Bot: true})
		if v.Loop != (i == 3) {
			t.Errorf("a machine's echo %d: %+v", i, v)
		}
	}
	if v := d.Hear(start, loop.Said{ID: "2", Author: "hook", Text: "ok", Bot: true}); v.Times != 2 || v.Loop {
		t.Errorf("the same message told again: %+v", v)
	}
	if v := d.Hear(start.Add(loop.Window+time.Second), loop.Said{ID: "9", Author: "hook", Text: "ok", Bot: true}); v.Echo {
		t.Errorf("after a minute: %+v", v)
	}
	for i := range 10 {
		if v := d.Hear(start, loop.Said{ID: fmt.Sprint("own", i), Author: "alarm", Text: "the build has failed", Bot: true}); v.Loop {
			t.Errorf("a machine that says it for the %dth time: %+v", i+1, v)
		}
	}
	if v := d.Hear(start, loop.Said{ID: "own", Author: "alarm", Text: "the build has failed", Bot: true}); !v.Loop {
		t.Errorf("a machine that hears itself: %+v", v)
	}
	d.Forget()
	if v := d.Hear(start, loop.Said{ID: "10", Author: "bob", Text: "ok"}); v.Echo {
		t.Errorf("after forgetting: %+v", v)
	}
}

// TestEchoesGrowOld: a text that is said all day keeps nobody's echoes of the morning.
func TestEchoesGrowOld(t *testing.T) {
	d, now := loop.New(), time.Unix(1e9, 0)
	d.Hear(now, loop.Said{ID: "0", Author: "ann", Text: "good morning all"})
	for i := range 200 {
		now = now.Add(40 * time.Second)
		v := d.Hear(now, loop.Said{ID: fmt.Sprint("b", i), Author: []string{"bob", "eve"}[i%2], Text: "good morning all"})
		if !v.Echo || v.Times != 1 || v.Loop {
			t.Fatalf("message %d: %+v", i, v)
		}
		if again := d.Hear(now, loop.Said{ID: fmt.Sprint("b", i), Author: []string{"bob", "eve"}[i%2], Text: "good morning all"}); again != v {
			t.Fatalf("message %d, told twice: %+v", i, again)
		}
	}
}

func TestLongTexts(t *testing.T) {
	d, now, long := loop.New(), time.Unix(1e9, 0), strings.Repeat("a long text ", 1000)
	d.Hear(now, loop.Said{ID: "0", Author: "ann", Text: long})
	for i := 1; i <= 3; i++ {
		if v := d.Hear(now, loop.Said{ID: fmt.Sprint(i), Author: "fa", Text: "<ann> " + long}); !v.Echo || v.Loop != (i == 3) {
			t.Errorf("echo %d: %+v", i, v)
		}
	}
	if v := d.Hear(now, loop.Said{ID: "9", Author: "bob", Text: long + "!"}); v.Echo {
		t.Error("another text is an echo")
	}
}

func TestCrowd(t *testing.T) {
	d, now := loop.New(), time.Unix(1e9, 0)
	d.Hear(now, loop.Said{ID: "0", Author: "ann", Text: "good morning all"})
	for i := range 5000 {
		if v := d.Hear(now, loop.Said{ID: fmt.Sprint("c", i), Author: fmt.Sprint("guest", i), Text: "good morning all"}); v.Loop {
			t.Fatalf("guest %d: %+v", i, v)
		}
	}
}

func TestBounds(t *testing.T) {
	d, now := loop.New(), time.Unix(1e9, 0)
	for i := range 5000 {
		d.Hear(now, loop.Said{ID: fmt.Sprint(i), Author: "ann", Text: fmt.Sprint("text ", i)})
	}
	if v := d.Hear(now, loop.Said{Author: "fa", Text: "text 4999"}); !v.Echo {
		t.Error("the last text was forgotten")
	}
	if v := d.Hear(now, loop.Said{Author: "fa", Text: "text 0"}); v.Echo {
		t.Error("nothing is ever forgotten")
	}
	d.Hear(now, loop.Said{Author: "fa", Text: strings.Repeat("<x> ", 10000) + "text 4999"})
}

// FuzzHear: whatever is said, nothing breaks, a text is not its own echo, and the same message is judged once.
func FuzzHear(f *testing.F) {
	f.Add("hello", "<ann> hello")
	f.Add("[a] [b] x", "<>: ")
	f.Add("a: b: c", "\n")
	f.Fuzz(func(t *testing.T, one, two string) {
		d, now := loop.New(), time.Unix(1e9, 0)
		if v := d.Hear(now, loop.Said{ID: "1", Author: "ann", Text: one}); v.Echo {
			t.Errorf("%q is an echo of nothing", one)
		}
		v := d.Hear(now, loop.Said{ID: "2", Author: "fa", Text: two})
		if again := d.Hear(now, loop.Said{ID: "2", Author: "fa", Text: two}); again != v {
			t.Errorf("%q is %+v, then %+v", two, v, again)
		}
	})
}
