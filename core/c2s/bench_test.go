package c2s

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/session"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/transport"
)

// nowhere is a router that only submits.
type nowhere struct{ j journal.Submitter }

func (n nowhere) Route(_ context.Context, u *journal.Unit, _ *stanza.Stanza) { n.j.Submit(u) }

// boundClient is a client with a session, without its reading loop.
func boundClient(b testing.TB, r *rig, managed bool) *client {
	ours, theirs := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, ours) }()
	c := r.server.admit(context.Background(), transport.NewConn(theirs, transport.ConnOptions{}))
	b.Cleanup(func() { c.lost(nil); _ = ours.Close() })
	c.user, c.stage, c.domain = jid.MustParse("alice@example.org"), stageBind, "example.org"
	s, err := r.sessions.Bind(context.Background(), session.BindRequest{Account: c.user, Link: c, ID: c.id})
	check(b, err)
	_ = c.bound(s, &event.Point[event.SessionBound]{})
	if managed {
		s.Enable(true, 0)
		r.settle()
	}
	_, _ = c.dec.Write([]byte(header))
	if _, err := c.dec.Next(); err != nil {
		b.Fatal(err)
	}
	return c
}

// BenchmarkInbound is a message of 180 bytes from the decrypted bytes to the router.
func BenchmarkInbound(b *testing.B) {
	for _, managed := range []bool{false, true} {
		b.Run("sm="+strconv.FormatBool(managed), func(b *testing.B) {
			r := newRig(b, rigOptions{pipe: true, config: Config{Off: true}})
			r.server.o.Router = nowhere{r.journal}
			c := boundClient(b, r, managed)
			in := []byte("<message id='id-12345678' type='chat' to='bob@example.org'><body>" + strings.Repeat("lorem ipsum ", 9) + "</body></message>")
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.feed(in); err != nil {
					b.Fatal(err)
				}
			}
			if c.out.closing() {
				b.Fatal("the stream was closed")
			}
		})
	}
}

// TestIdleHoldsNothing: what a stanza took is given back when the stream is idle.
func TestIdleHoldsNothing(t *testing.T) {
	r := newRig(t, rigOptions{pipe: true, config: Config{Off: true}})
	r.server.o.Router = nowhere{r.journal}
	c := boundClient(t, r, false)
	in := "<message type='chat' to='bob@example.org'><body>" + strings.Repeat("x", 8000) + "</body></message>"
	for _, part := range []struct {
		bytes string
		idle  bool
	}{{in[:4000], false}, {in[4000:], true}} {
		idle, err := c.feed([]byte(part.bytes))
		if err != nil || idle != part.idle {
			t.Fatalf("idle: %v %v", idle, err)
		}
	}
	if !reflect.ValueOf(c.el).IsZero() {
		t.Errorf("an idle stream holds %v", c.el.Name)
	}
}

const idleEnv = "VIADUCT_BENCH_IDLE"

// TestIdleClients is no test: it is the other end of BenchmarkIdle, in a process of its own.
func TestIdleClients(t *testing.T) {
	args := strings.Fields(os.Getenv(idleEnv))
	if len(args) != 3 {
		t.Skip("it belongs to BenchmarkIdle")
	}
	addr, managed := args[0], args[2] == "true"
	count, err := strconv.Atoi(args[1])
	check(t, err)
	for i := range count {
		conn, err := net.Dial("tcp", addr)
		check(t, err)
		p := newPeer(t, conn)
		p.secure()
		p.auth("alice", password)
		p.bind(fmt.Sprintf("r%d", i))
		p.send("<presence/>")
		if managed {
			p.enable()
			p.send(request)
			p.ackedTo(0)
		}
	}
	fmt.Println("ready")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
}

// BenchmarkIdle tells the memory of an idle, bound TLS session in KiB: heap and stacks of the server's process, after a garbage collection.
func BenchmarkIdle(b *testing.B) {
	for _, managed := range []bool{false, true} {
		b.Run("sm="+strconv.FormatBool(managed), func(b *testing.B) { benchmarkIdle(b, managed) })
	}
}

func benchmarkIdle(b *testing.B, managed bool) {
	const n = 1000
	for b.Loop() {
		r := newRig(b, rigOptions{config: Config{Off: true}})
		before := memory()
		cmd := exec.Command(os.Args[0], "-test.run=^TestIdleClients$", "-test.v")
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %v", idleEnv, r.listeners.Addrs("c2s")[0], n, managed))
		in, err := cmd.StdinPipe()
		check(b, err)
		out, err := cmd.StdoutPipe()
		check(b, err)
		check(b, cmd.Start())
		lines := bufio.NewScanner(out)
		for lines.Scan() && lines.Text() != "ready" {
			if strings.Contains(lines.Text(), "FAIL") {
				b.Fatal(lines.Text())
			}
		}
		r.settle()
		after := memory()
		b.ReportMetric(float64(after-before)/n/1024, "KiB/session")
		_, _ = io.WriteString(in, "\n")
		_ = cmd.Wait()
		r.stop()
	}
}

// memory is the heap and the stacks in use.
func memory() int64 {
	for range 3 { // stacks shrink by half in each
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
