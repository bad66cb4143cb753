package xmpptest

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/c2s"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/server"
	"github.com/viaduct-xmpp/viaduct/core/tlscert"
)

const idleEnv = "VIADUCT_BENCH_IDLE" // address, file of the authority, sessions

// TestIdleClients is no test: it is the other end of BenchmarkIdle, in a process of its own. Lines of its input are what it does.
func TestIdleClients(t *testing.T) {
	args := strings.Fields(os.Getenv(idleEnv))
	if len(args) != 3 {
		t.Skip("it belongs to BenchmarkIdle")
	}
	pem, err := os.ReadFile(args[1])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	n, err := strconv.Atoi(args[2])
	if err != nil {
		t.Fatal(err)
	}
	clients := make([]*Client, n)
	for i := range clients {
		nc, err := tls.Dial("tcp", args[0], (&Server{roots: roots}).TLS("example.org", tlscert.ALPNClient))
		if err != nil {
			t.Fatal(err)
		}
		clients[i] = &Client{Conn: newConn(t, nc), JID: idleUser(i), vars: Vars{}}
		clients[i].logIn(t, Password)
		clients[i].Bind("idle")
		clients[i].Online()
	}
	fmt.Println("idle")
	in := bufio.NewScanner(os.Stdin)
	if !in.Scan() { // what each is to send
		return
	}
	for _, c := range clients {
		c.Request("get", "example.org", "<query xmlns='urn:example:unknown'>"+in.Text()+"</query>")
	}
	fmt.Println("idle")
	in.Scan()
}

func idleUser(i int) jid.JID { return jid.MustParse(fmt.Sprintf("user%d@example.org", i)) }

// BenchmarkIdle tells what an idle session takes of a whole server with all its modules, without contacts: heap and stacks in KiB after garbage
// was collected, first as it comes online and then after each has sent one stanza of 8 KB.
func BenchmarkIdle(b *testing.B) {
	const n = 400
	for b.Loop() {
		dir := b.TempDir()
		s := Start(b, Options{Dir: dir, C2S: c2s.Config{Off: true}})
		for i := range n {
			s.AddUser(b, idleUser(i))
		}
		before := memory()
		cmd := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^TestIdleClients$")
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d", idleEnv, s.addr(b, server.KeyC2SDirect), filepath.Join(dir, "tls", "ca.crt"), n))
		in, err := cmd.StdinPipe()
		if err != nil {
			b.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for _, unit := range []string{"KiB/session", "KiB/session-after-8KB"} {
			for lines.Scan() && lines.Text() != "idle" {
				if strings.Contains(lines.Text(), "FAIL") {
					b.Fatal(lines.Text())
				}
			}
			if got := s.Sessions().Count(); got != n {
				b.Fatalf("%d sessions", got)
			}
			b.ReportMetric(float64(memory()-before)/n/1024, unit)
			_, _ = io.WriteString(in, strings.Repeat("x", 8000)+"\n")
		}
		for lines.Scan() { //nolint:revive // until it has ended
		}
		_ = cmd.Wait()
		s.Shutdown(b)
	}
}

// memory is the heap and the stacks in use.
func memory() int64 {
	for range 5 { // pools are emptied in two collections, stacks shrink by half in each
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
