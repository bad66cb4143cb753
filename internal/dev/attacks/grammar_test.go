package attacks

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestGrammar plays random sessions of four clients for VIADUCT_GRAMMAR (10s by default) while two others talk, and looks at what is left.
// VIADUCT_SEED repeats what the clients say.
func TestGrammar(t *testing.T) {
	length := 10 * time.Second
	if s := os.Getenv("VIADUCT_GRAMMAR"); s != "" {
		var err error
		if length, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("VIADUCT_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seed %d", seed)
	users := []string{"alice", "bob", "mallory", "trudy"}
	w := start(t, "limits: {stanzas_per_second: 1000000, bytes_per_second: 100000000, sm_resume_seconds: 1}\nbridges: [{name: demo, plugin: demo}]\n", users...)
	w.away("bob") // whoever logs in once has made what each account costs
	threads, memory := w.metric(goroutines), w.metric(resident)

	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	var wg sync.WaitGroup
	var said, heard, lives atomic.Int64
	for i, who := range []string{"mallory", "trudy", "mallory", "trudy"} {
		g := &Grammar{Rand: rand.New(rand.NewPCG(seed, uint64(i))), Addresses: addresses} //nolint:gosec // what a test says
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := live(ctx, w, g, who, fmt.Sprintf("r%d", i), &said, &heard); err != nil {
					if end, _ := ctx.Deadline(); time.Until(end) < time.Second { // it was cut off by the end of the test
						return
					}
					t.Errorf("%s cannot log in: %v", who, err)
					return
				}
				lives.Add(1)
			}
		})
	}
	talked := talk(ctx, t, w)
	wg.Wait()
	t.Logf("%d stanzas and others in %d sessions, %d answers; %d messages between two who behave", said.Load(), lives.Load(), heard.Load(), talked)
	if heard.Load() < 1000 || talked < 10 {
		t.Error("that is too little to have tried anything")
	}
	w.falls(sessions, 0)
	w.falls(goroutines, threads+20)
	if grown := w.metric(resident) - memory; grown > 400<<20 {
		t.Errorf("resident memory grew by %.0f MiB", grown/(1<<20))
	}
	for line := range strings.Lines(w.Log()) {
		if strings.Contains(line, "level=ERROR") {
			t.Error(line)
		}
	}
	w.away("bob")
}

var addresses = []string{
	"v.test", "mallory@v.test", "trudy@v.test", "mallory@v.test/r0", "trudy@v.test/r1", "mallory@v.test/r2", "bob@v.test", "nobody@v.test", "nobody@v.test/x",
	"rooms.v.test", "one@rooms.v.test", "one@rooms.v.test/Nick", "one@rooms.v.test/Nick", "one@rooms.v.test/Other", "two@rooms.v.test/Nick", "two@rooms.v.test", "one@rooms.v.test",
	"demo.v.test", "rooms.demo.v.test", "lobby@rooms.demo.v.test", "lobby@rooms.demo.v.test/Nick", "lobby@rooms.demo.v.test/mira", "mira@demo.v.test", "nowhere@rooms.demo.v.test/Nick",
	"elsewhere.test", "who@elsewhere.test/x", "@v.test", "a@b@c", "MALLORY@V.TEST",
}

// away logs somebody in and out.
func (w *world) away(user string) {
	w.t.Helper()
	p := w.online(user, "once")
	p.send("</stream:stream>")
	p.End()
}

// live is one session: it says something until the server has enough, and at times does not read.
func live(ctx context.Context, w *world, g *Grammar, who, resource string, said, heard *atomic.Int64) error {
	c, err := Dial(ctx, w.C2STLS, true)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Login(who, password, resource); err != nil {
		if ctx.Err() != nil || strings.Contains(err.Error(), "bind: ") {
			return nil // the other session of this name has taken the resource at this moment
		}
		return err
	}
	stop := context.AfterFunc(ctx, c.Close)
	defer stop()
	done := make(chan struct{})
	reads := g.Rand.IntN(5) > 0
	go func() {
		defer close(done)
		for reads {
			if _, err := c.Next(); err != nil {
				return
			}
			heard.Add(1)
		}
	}()
	_ = c.Conn.SetWriteDeadline(time.Now().Add(patience))
	for ended := false; !ended && g.Rand.IntN(3000) > 0; {
		s := g.Stanza()
		if g.Rand.IntN(50) == 0 {
			s = g.Other()
		}
		if _, err := c.Conn.Write([]byte(s)); err != nil {
			break
		}
		said.Add(1)
		select {
		case <-done:
			ended = reads
		default:
		}
	}
	c.Close()
	<-done
	return nil
}

// talk has alice write to bob until ctx ends; each message must arrive, once and in order.
func talk(ctx context.Context, t *testing.T, w *world) int {
	bob := w.online("bob", "b")
	alice := w.online("alice", "a")
	n := 0
	for ; ctx.Err() == nil; n++ {
		body := fmt.Sprintf("message %d", n)
		alice.send("<message to='bob@v.test/b' type='chat' id='" + strconv.Itoa(n) + "'><body>" + body + "</body></message>")
		for {
			el := bob.next()
			if strings.Contains(el, " from='alice@v.test/a'") && strings.Contains(el, "<message") {
				if !strings.Contains(el, "<body>"+body+"</body>") {
					t.Errorf("instead of message %d: %s", n, el)
				}
				break
			}
		}
		if got := alice.sync(); slices.ContainsFunc(got, func(el string) bool { return strings.Contains(el, "type='error'") && strings.Contains(el, "from='bob") }) {
			t.Errorf("message %d was refused: %s", n, got)
		}
	}
	for _, p := range []*peer{alice, bob} {
		p.send("</stream:stream>")
		p.End()
	}
	return n
}
