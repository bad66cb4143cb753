package host

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// A handshake is one short line.
const maxHandshake = 8 << 10

// handshakeGate passes on the first line of a plugin's standard output; whatever
// follows is nobody's and dropped, so that it neither blocks nor grows.
type handshakeGate struct {
	read  *io.PipeReader
	write *io.PipeWriter
	log   *slog.Logger
	left  int
	done  bool
	told  bool
}

func newHandshakeGate(log *slog.Logger) *handshakeGate {
	g := &handshakeGate{log: log, left: maxHandshake}
	g.read, g.write = io.Pipe()
	return g
}

// Write implements io.Writer for one goroutine; it never fails.
func (g *handshakeGate) Write(p []byte) (int, error) {
	n := len(p)
	if !g.done {
		line, _, found := bytes.Cut(p, []byte("\n"))
		p = p[min(len(line)+1, n):]
		line = line[:min(len(line), g.left)]
		g.left -= len(line)
		_, _ = g.write.Write(line)
		if found || g.left == 0 {
			g.done = true
			_, _ = g.write.Write([]byte("\n"))
		}
	}
	if g.done && len(p) > 0 && !g.told {
		g.told = true
		g.log.Warn("the plugin prints to its standard output, which nobody reads")
	}
	return n, nil
}

func (g *handshakeGate) close() { _ = g.write.Close() }

// Bounds of what a plugin prints to standard error.
const (
	maxLine     = 48 << 10
	bytesPerSec = 4 << 20 // read no faster than this: the plugin waits
	lastLines   = 6       // kept to explain an early end
)

// lineGate passes on lines of standard error at a rate and drops the others.
type lineGate struct {
	read  *io.PipeReader
	write *io.PipeWriter
	lines *rate.Limiter
	bytes *rate.Limiter
	notes *rate.Limiter // of what is said about dropped lines
	line  []byte

	mu      sync.Mutex
	dropped int
	last    []string
	crash   string // the first line of a crash, which says most
}

func newLineGate(perSecond int) *lineGate {
	g := &lineGate{
		lines: rate.NewLimiter(rate.Limit(perSecond), 5*perSecond), bytes: rate.NewLimiter(bytesPerSec, 1<<20),
		notes: rate.NewLimiter(rate.Every(10*time.Second), 1),
	}
	g.read, g.write = io.Pipe()
	return g
}

// Write implements io.Writer for one goroutine; it never fails.
func (g *lineGate) Write(p []byte) (int, error) {
	_ = g.bytes.WaitN(context.Background(), min(len(p), 1<<20)) // at most a quarter of a second
	for rest := p; len(rest) > 0; {
		line, after, found := bytes.Cut(rest, []byte("\n"))
		g.line = append(g.line, line[:min(len(line), maxLine-len(g.line))]...)
		if !found {
			break
		}
		g.pass()
		rest = after
	}
	return len(p), nil
}

func (g *lineGate) pass() {
	g.line = append(g.line, '\n')
	line := g.line
	g.line = g.line[:0] // nothing is added to it before line was written
	g.mu.Lock()
	if g.crash == "" && (bytes.HasPrefix(line, []byte("panic:")) || bytes.HasPrefix(line, []byte("fatal error:"))) {
		g.crash = string(line[:min(len(line)-1, 300)])
	}
	if len(g.last) == lastLines {
		g.last = g.last[1:]
	}
	g.last = append(g.last, string(line[:min(len(line)-1, 300)]))
	if !g.lines.Allow() {
		g.dropped++
		g.mu.Unlock()
		return
	}
	dropped := 0
	if g.dropped > 0 && g.notes.Allow() {
		dropped, g.dropped = g.dropped, 0
	}
	g.mu.Unlock()
	if dropped > 0 {
		_, _ = fmt.Fprintf(g.write, `{"@level":"warn","@message":"the plugin logs too much, lines were dropped","count":%d}`+"\n", dropped)
	}
	_, _ = g.write.Write(line)
}

func (g *lineGate) close() {
	if len(g.line) > 0 {
		g.pass()
	}
	_ = g.write.Close()
}

// tail is the last of what was printed, as one line: the first line of a crash, or else the last three.
func (g *lineGate) tail() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.crash != "" {
		return g.crash
	}
	var out []string
	for _, l := range g.last[max(0, len(g.last)-3):] {
		if l = strings.TrimSpace(l); l != "" {
			out = append(out, l)
		}
	}
	return strings.Join(out, " / ")
}

// said is the last thing printed that means something to a person.
func (g *lineGate) said() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.crash != "" {
		return g.crash
	}
	for i := len(g.last) - 1; i >= 0; i-- {
		if l := strings.TrimSpace(g.last[i]); l != "" {
			return l
		}
	}
	return ""
}
