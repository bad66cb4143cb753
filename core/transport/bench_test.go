package transport

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// The clients of BenchmarkIdle run in a process of their own, so that the heap
// of this one is the server's alone. They are told by lines on standard input.
const clientsEnv = "TRANSPORT_TEST_CLIENTS"

func runAsClients() bool {
	spec := os.Getenv(clientsEnv)
	if spec == "" {
		return false
	}
	address, count, _ := strings.Cut(spec, " ")
	n, _ := strconv.Atoi(count)
	var conns []*tls.Conn
	for range n {
		c, err := tls.Dial("tcp", address, clientConfig(tls.VersionTLS13))
		if err != nil {
			fmt.Println(err)
			return true
		}
		conns = append(conns, c)
	}
	fmt.Println("connected")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		size, _ := strconv.Atoi(in.Text())
		for _, c := range conns {
			_, _ = c.Write(make([]byte, size))
		}
		fmt.Println("sent")
	}
	return true
}

// BenchmarkIdle reports what an idle TLS connection costs in this process: heap
// and stacks, after the handshake and after each client sent 8 KB once.
func BenchmarkIdle(b *testing.B) {
	const conns = 2000
	l := NewListeners(Options{PerIP: -1})
	got := make(chan int, conns)
	err := l.Listen(b.Context(), Spec{Key: "listen.test", Addrs: []string{"127.0.0.1:0"}, TLS: serverConfig(), Serve: serveCounting(got)})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Stop(b.Context()) }()
	before := used()
	tell, lines := startClients(b, l.Addrs("listen.test")[0], conns)
	for range conns {
		<-got // served
	}
	<-lines
	for b.Loop() {
		runtime.Gosched()
	}
	b.ReportMetric(float64(used()-before)/conns, "B/conn")
	tell("8192")
	<-lines
	for left := conns * 8192; left > 0; {
		left -= <-got
	}
	b.ReportMetric(float64(used()-before)/conns, "B/conn-after-8KB")
	if left := l.Stats().Open; left != conns {
		b.Fatalf("%d connections", left)
	}
}

// used is the memory of goroutines and heap after several collections, which
// also shrink stacks and empty pools.
func used() int64 {
	for range 5 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

func startClients(b *testing.B, addr net.Addr, n int) (tell func(string), lines <-chan string) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", clientsEnv, addr, n))
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
	ch := make(chan string)
	go func() {
		defer close(ch)
		for s := bufio.NewScanner(out); s.Scan(); {
			ch <- s.Text()
		}
	}()
	b.Cleanup(func() {
		_ = in.Close()
		for range ch { //nolint:revive // until the process has ended
		}
		_ = cmd.Wait()
	})
	return func(s string) { _, _ = io.WriteString(in, s+"\n") }, ch
}

func BenchmarkHandshake(b *testing.B) {
	for name, curves := range map[string][]tls.CurveID{"X25519": {tls.X25519}, "X25519MLKEM768": {tls.X25519MLKEM768}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				here, there := net.Pipe()
				c := NewConn(here, ConnOptions{})
				done := make(chan error, 1)
				go func() {
					cfg := clientConfig(tls.VersionTLS13)
					cfg.CurvePreferences = curves
					client := tls.Client(there, cfg)
					done <- client.Handshake()
				}()
				if err := c.Handshake(b.Context(), Server, serverConfig()); err != nil {
					b.Fatal(err)
				}
				if err := <-done; err != nil {
					b.Fatal(err)
				}
				c.Abort()
				_ = there.Close()
			}
		})
	}
}

// BenchmarkEcho sends a 180-byte stanza through the loop and the writer and
// waits for it to come back.
func BenchmarkEcho(b *testing.B) {
	c, client, _ := tlsPair(b, tls.VersionTLS13, ConnOptions{})
	ring := &ring{}
	w := NewWriter(c, ring, nil)
	go func() {
		_ = c.ReadLoop(b.Context(), func(p []byte) (bool, error) {
			ring.push(p)
			w.Wake()
			return true, nil
		})
	}()
	stanza, back := make([]byte, 180), make([]byte, 180)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Write(stanza); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(client, back); err != nil {
			b.Fatal(err)
		}
	}
	_ = w.Stop(b.Context())
}
