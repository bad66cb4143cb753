package c2s

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// inTime runs a test in which time passes only when everybody waits.
func inTime(t *testing.T, config Config, test func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(newRig(t, rigOptions{pipe: true, config: config})) })
}

// pass lets time pass.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// TestTimeToLogIn: half a login is thrown away at its deadline, wherever it stands (attacks rows 3 and 26).
func TestTimeToLogIn(t *testing.T) {
	cutOff := func(p *peer) {
		if el := p.next(); el != "EOF" {
			p.t.Errorf("got %s", el)
		}
	}
	for _, tc := range []struct {
		name string
		run  func(p *peer)
		end  func(p *peer)
	}{
		{"nothing said", func(*peer) {}, func(p *peer) { p.expect("<stream>"); p.refused("connection-timeout") }},
		{"half a header", func(p *peer) { p.send("<?xml version='1.0'?><stream:str") }, func(p *peer) { p.expect("<stream>"); p.refused("connection-timeout") }},
		{"a header", func(p *peer) { p.open(); p.expect("starttls") }, func(p *peer) { p.refused("connection-timeout") }},
		{"TLS", func(p *peer) { p.secure() }, func(p *peer) { p.refused("connection-timeout") }},
		{"a login", func(p *peer) { p.secure(); p.auth("alice", password) }, func(p *peer) { p.refused("connection-timeout") }},
		{"half a handshake", func(p *peer) {
			p.open()
			p.expect("starttls")
			p.send("<starttls xmlns='" + ns.TLS + "'/>")
			p.expect("<proceed")
			p.send("\x16\x03")
		}, cutOff},
		{"direct TLS: nothing said", func(*peer) {}, cutOff},
		{"direct TLS: half a handshake", func(p *peer) { p.send("\x16\x03") }, cutOff},
		{"direct TLS: a handshake", func(p *peer) { p.handshake(); p.openSecure() }, func(p *peer) { p.refused("connection-timeout") }},
		{"direct TLS: a handshake that takes most of the time", func(p *peer) {
			<-time.After(4 * time.Second)
			p.handshake()
			p.openSecure()
			p.auth("alice", password)
		}, func(p *peer) { p.refused("connection-timeout") }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inTime(t, Config{AuthSeconds: 5}, func(r *rig) { // below what a test's read waits
				key, began := "", time.Now()
				if strings.HasPrefix(tc.name, "direct TLS") {
					key = "c2s_tls"
				}
				p := r.dial(key)
				tc.run(p)
				tc.end(p)
				if d := time.Since(began); d < 5*time.Second || d > 5*time.Second+lingerTime { // the clock is the test's own
					r.t.Errorf("it was over after %v", d)
				}
				pass(10 * time.Second)
				if n := r.server.Stats().Open; n != 0 {
					r.t.Errorf("%d connections are open", n)
				}
			})
		})
	}
}

// TestResumeTime: a session waits for its client as long as <enabled/> says, then its messages are offline.
func TestResumeTime(t *testing.T) {
	inTime(t, Config{SMResumeSeconds: 60}, func(r *rig) {
		bob := r.login("bob", "b")
		id := bob.enable()
		alice := r.login("alice", "a")
		bob.cut()
		r.detached("bob@example.org/b")
		alice.send(msg("1", "bob@example.org"))
		pass(59 * time.Second)
		if _, ok := r.sessions.Get(r.t.Context(), jid.MustParse("bob@example.org/b")); !ok {
			r.t.Fatal("the session is over too early")
		}
		pass(2 * time.Second)
		if _, ok := r.sessions.Get(r.t.Context(), jid.MustParse("bob@example.org/b")); ok {
			r.t.Fatal("the session is not over")
		}
		r.settle()
		if n := r.refs(storage.Offline, "bob@example.org"); n != 1 {
			r.t.Errorf("%d messages are offline", n)
		}
		r.resume("bob", id, "0").expect("<failed", "item-not-found", "h='0'")
	})
}

// TestSilentClient: with stream management a silent client is asked, and loses its connection but not its session when it does not answer; without, it
// gets white space.
func TestSilentClient(t *testing.T) {
	config := Config{PingSeconds: 10, PongSeconds: 5}
	t.Run("answers", func(t *testing.T) {
		inTime(t, config, func(r *rig) {
			p := r.login("alice", "a")
			p.enable()
			for range 3 {
				p.expect("<r xmlns")
				p.send(ack(0))
			}
			if i, _ := r.sessions.Get(r.t.Context(), jid.MustParse("alice@example.org/a")); i.Detached || i.JID.IsZero() {
				r.t.Error("a living client lost its connection")
			}
		})
	})
	t.Run("does not answer", func(t *testing.T) {
		inTime(t, config, func(r *rig) {
			p := r.login("alice", "a")
			p.enable()
			p.expect("<r xmlns")
			if el := p.next(); el != "EOF" {
				r.t.Fatalf("got %s", el)
			}
			r.detached("alice@example.org/a")
			if n := r.server.Stats().DeadPeers; n != 1 {
				r.t.Errorf("%d dead peers", n)
			}
		})
	})
	t.Run("white space", func(t *testing.T) {
		inTime(t, config, func(r *rig) {
			p := r.login("alice", "a")
			got := make(chan int)
			go func() {
				b := make([]byte, 10)
				n, _ := p.conn.Read(b)
				if b[0] != ' ' {
					n = 0
				}
				got <- n
				_, _ = p.conn.Read(b)
				close(got)
			}()
			if n := <-got; n != 1 {
				r.t.Errorf("%d bytes", n)
			}
			p.send("<iq type='get' id='1' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>")
			<-got
		})
	})
}

// TestPace: somebody who sends too fast is read more slowly; nothing is lost and nobody is thrown out.
func TestPace(t *testing.T) {
	inTime(t, Config{StanzasPerSecond: 2}, func(r *rig) {
		p := r.login("alice", "a")
		start := time.Now()
		const n = 2*burstSeconds + 10
		go func() {
			for range n {
				_, _ = p.conn.Write([]byte("<iq type='get' id='x' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>"))
			}
		}()
		for range n {
			p.expect("<iq", "id='x'")
		}
		if d := time.Since(start); d < 4*time.Second || d > 6*time.Second { // the clock is the test's own
			r.t.Errorf("10 stanzas above the burst took %v at 2 a second", d)
		}
	})
}

// TestSetConfig: changed limits hold for the streams that begin afterwards.
func TestSetConfig(t *testing.T) {
	inTime(t, Config{AuthSeconds: 5, StanzaBytes: 20000}, func(r *rig) {
		early := r.dial("")
		early.secure()
		r.server.SetConfig(Config{Off: true, AuthSeconds: 8, StanzaBytes: 30000})
		if c := r.server.Config(); c.Off || c.AuthSeconds != 8 || c.PingSeconds != 300 {
			t.Errorf("in force: %+v", c)
		}
		late := r.dial("")
		late.secure()
		pass(6 * time.Second)
		early.refused("connection-timeout")
		late.auth("alice", password)
		late.bind("a")
		late.send("<iq type='get' id='big' to='example.org'><ping xmlns='urn:xmpp:ping'>" + strings.Repeat("x", 25000) + "</ping></iq>")
		late.expect("<iq", "id='big'")
	})
}

func TestBucket(t *testing.T) {
	now := time.Unix(1e9, 0)
	b := newBucket(10, now)
	for i := range 100 {
		if d := b.take(now); d != 0 {
			t.Fatalf("stanza %d of the burst waits %v", i, d)
		}
	}
	if d := b.take(now); d != 100*time.Millisecond {
		t.Errorf("the first above the burst waits %v", d)
	}
	if d := b.take(now.Add(time.Hour)); d != 0 {
		t.Errorf("after an hour it waits %v", d)
	}
	var off bucket
	if d := off.take(now); d != 0 {
		t.Errorf("without a limit it waits %v", d)
	}
}
