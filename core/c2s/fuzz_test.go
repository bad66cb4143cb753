package c2s

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/transport"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// complaints is a log that remembers panics.
type complaints struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (c *complaints) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("panic")) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.out.Write(p)
	}
	return len(p), nil
}

// FuzzNegotiation feeds streams in every stage with anything. Whatever comes: nothing panics, what we answer is well-formed, and the connection and
// its session end.
func FuzzNegotiation(f *testing.F) {
	open := header
	for _, s := range []string{
		open,
		open + "<starttls xmlns='" + ns.TLS + "'/>",
		open + plain("", "alice", password),
		open + "<auth xmlns='" + ns.SASL + "' mechanism='SCRAM-SHA-1'>biwsbj1hbGljZSxyPWE=</auth><response xmlns='" + ns.SASL + "'>=</response><abort xmlns='" + ns.SASL + "'/>",
		open + "<iq type='set' id='1'><bind xmlns='" + ns.Bind + "'><resource>r</resource></bind></iq><iq type='set' id='2'><session xmlns='" + ns.Session + "'/></iq><presence/>",
		open + "<iq type='set' id='1'><bind xmlns='" + ns.Bind + "'/></iq><enable xmlns='" + ns.SM + "' resume='1' max='5'/><r xmlns='" + ns.SM + "'/><a xmlns='" + ns.SM + "' h='0'/>" + msg("1", "alice@example.org") + "<r xmlns='" + ns.SM + "'/></stream:stream>",
		open + "<resume xmlns='" + ns.SM + "' previd='x' h='1'/><iq type='set' id='1'><bind xmlns='" + ns.Bind + "'/></iq><a xmlns='" + ns.SM + "' h='4294967295'/>",
		open + "<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq><message from='bob@example.org'/>",
		"<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='" + ns.Stream + "' to='example.org'/>",
	} {
		for stage := range 3 {
			f.Add(uint8(stage), []byte(s))
		}
	}
	log := &complaints{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	r := newRig(f, rigOptions{pipe: true, config: Config{Off: true}, change: func(o *Options) { o.Log = logger }})
	alice := jid.MustParse("alice@example.org")
	f.Fuzz(func(t *testing.T, stage uint8, in []byte) {
		ours, theirs := net.Pipe()
		served := transport.NewConn(theirs, transport.ConnOptions{Log: logger})
		c := r.server.admit(context.Background(), served)
		at := [...]step{{stages: stageTLS}, {stages: stageAuth}, {stages: stageBind}}[stage%3].stages
		over := c.ctx.Done()
		if at == stageBind {
			c.user = alice
		}
		served.Go(func() { c.run(c.ctx, at) })
		answer := make(chan []byte, 1)
		go func() { out, _ := io.ReadAll(ours); answer <- out }()
		_, _ = ours.Write(in)
		_, _ = ours.Write([]byte("</stream:stream>")) // whatever is left of the stream ends here
		_ = ours.Close()
		out := <-answer
		<-over
		r.sessions.Close(context.Background(), alice, "", "")
		if n := r.sessions.Count(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
		log.mu.Lock()
		defer log.mu.Unlock()
		if log.out.Len() > 0 {
			t.Fatal(log.out.String())
		}
		wellFormed(t, out)
	})
}

// wellFormed parses what we have answered: one stream, or with a new header several.
func wellFormed(t *testing.T, out []byte) {
	t.Helper()
	for _, part := range strings.Split(string(out), "<?xml version='1.0'?>")[1:] {
		d := xmlstream.NewDecoder(xmlstream.Maximum)
		_, _ = d.Write([]byte(part))
		for {
			kind, err := d.Next()
			if err != nil {
				t.Fatalf("%v in %s", err, part)
			}
			if kind == xmlstream.NeedMore {
				break
			}
		}
	}
}
