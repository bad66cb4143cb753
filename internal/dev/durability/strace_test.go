package durability

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/internal/dev/programtest"
)

// call is a system call of the server on its write-ahead log.
type call struct {
	sync       bool
	data       string
	begin, end float64 // seconds since 1970
}

// The lines of strace -f -ttt -y: a call of a thread that another one interrupts stands in two.
var (
	callLine    = regexp.MustCompile(`^(\d+) +([\d.]+) (pwrite64|fdatasync|fsync)\(\d+<([^>]*)>(.*)$`)
	resumedLine = regexp.MustCompile(`^(\d+) +([\d.]+) <\.\.\. (?:pwrite64|fdatasync|fsync) resumed>`)
	duration    = regexp.MustCompile(`<([\d.]+)>$`)
)

// readTrace returns the calls on files whose names end in -wal.
func readTrace(t *testing.T, file string) []call {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // read only
	number := func(s string) float64 {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	var calls []call
	open := map[string]int{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if m := resumedLine.FindStringSubmatch(line); m != nil {
			if i, ok := open[m[1]]; ok {
				calls[i].end = number(m[2])
				delete(open, m[1])
			}
			continue
		}
		m := callLine.FindStringSubmatch(line)
		if m == nil || !strings.HasSuffix(m[4], hex("-wal")) {
			continue
		}
		c := call{sync: m[3] != "pwrite64", data: m[5], begin: number(m[2])}
		if d := duration.FindStringSubmatch(line); d != nil {
			c.end = c.begin + number(d[1])
		} else {
			open[m[1]] = len(calls)
		}
		calls = append(calls, c)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return calls
}

// hex is a text as strace -xx writes it.
func hex(text string) string {
	var b strings.Builder
	for i := range len(text) {
		fmt.Fprintf(&b, `\x%02x`, text[i])
	}
	return b.String()
}

// A frame of the log is its header, 24 bytes, and a page. Bytes 4 to 7 of the header are 0 but in the last frame of a commit
// (https://www.sqlite.org/fileformat2.html#the_write_ahead_log).
var commitHeader = regexp.MustCompile(`^, "(?:\\x[0-9a-f]{2}){4}((?:\\x[0-9a-f]{2}){4})(?:\\x[0-9a-f]{2}){16}", 24,`)

func endsCommit(c call) bool {
	m := commitHeader.FindStringSubmatch(c.data)
	return m != nil && m[1] != `\x00\x00\x00\x00`
}

// covered returns an error unless the commit that wrote token first was whole and a sync began after its last write and was over before at.
func covered(calls []call, token string, at time.Time) error {
	limit := float64(at.UnixNano()) / 1e9
	first := slices.IndexFunc(calls, func(c call) bool { return !c.sync && strings.Contains(c.data, hex(token)) })
	if first < 0 || calls[first].begin > limit {
		return fmt.Errorf("%s was acknowledged and not written before", token)
	}
	last := -1
	for i := max(0, first-1); i < len(calls) && last < 0; i++ { // the header of a page stands before it
		if endsCommit(calls[i]) {
			last = i
		}
	}
	page := slices.IndexFunc(calls[last+1:], func(c call) bool { return !c.sync })
	if last < 0 || page < 0 {
		return fmt.Errorf("the commit of %s has no end in the log", token)
	}
	written := calls[last+1+page].end
	for _, c := range calls {
		if c.sync && c.begin >= written && c.end > 0 && c.end <= limit {
			return nil
		}
	}
	return fmt.Errorf("%s was written and acknowledged, and no sync was over in between", token)
}

// TestSyncBeforeAck: for each message that an <a/> covers and each iq result, an fdatasync of the write-ahead log began after the last write of its row
// and was over before the client had the answer.
func TestSyncBeforeAck(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed; .ci/run installs it")
	}
	r := newRun(t)
	trace := filepath.Join(r.site.Dir, "trace")
	// -D keeps the server our own child, so that it can be stopped by its pid.
	srv := r.site.Serve(t, strace, "-D", "-f", "-ttt", "-T", "-y", "-xx", "-s", "6000", "-e", "trace=pwrite64,fdatasync,fsync", "-e", "signal=none", "-o", trace)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	acked := map[string]time.Time{}
	for _, p := range r.pairs[:2] {
		talk(ctx, t, srv, p, p.n == 0, acked)
	}
	if code := srv.Stop(t); code != 0 {
		t.Fatalf("exit status %d\n%s", code, srv.Log())
	}
	calls := readTrace(t, trace)
	for token, at := range acked {
		if err := covered(calls, token, at); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d acknowledgements, %d writes and syncs of the log", len(acked), len(calls))
	if len(acked) < 80 {
		t.Errorf("only %d acknowledgements", len(acked))
	}
	proveTheCheck(t, calls, acked)
}

// proveTheCheck has the check fail where it must: with the syncs taken away.
func proveTheCheck(t *testing.T, calls []call, acked map[string]time.Time) {
	var without []call
	for _, c := range calls {
		if !c.sync {
			without = append(without, c)
		}
	}
	for token, at := range acked {
		if covered(without, token, at) == nil {
			t.Fatalf("the check passes %s without any sync", token)
		}
	}
}

// talk has a writer send messages and change contacts, one acknowledgement at a time, to a reader who is there or is not.
func talk(ctx context.Context, t *testing.T, srv *programtest.Server, p *pair, there bool, acked map[string]time.Time) {
	t.Helper()
	if there {
		reader, _, err := Dial(ctx, srv.C2STLS, p.reader, domain, password, "r", "", 0)
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		if err := reader.Send("<presence/>"); err != nil {
			t.Fatal(err)
		}
	}
	c, _, err := Dial(ctx, srv.C2STLS, p.writer, domain, password, "w", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i := range 40 {
		b := body(p.writer+"-strace", i)
		if err := c.Send(fmt.Sprintf("<message to='%s@%s' type='chat' id='%s'><body>%s</body></message><r xmlns='urn:xmpp:sm:3'/>", p.reader, domain, b, b), b); err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(ctx, func() bool { return c.acked == len(c.sent) }); err != nil {
			t.Fatalf("%s was not acknowledged: %v", b, err)
		}
	}
	for i := range 5 {
		id := fmt.Sprintf("contact-%s-%d", p.writer, i)
		if err := c.Send(fmt.Sprintf("<iq type='set' id='%s'><query xmlns='jabber:iq:roster'><item jid='%s@%s'/></query></iq>", id, id, domain), id); err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(ctx, func() bool { return c.results[id] == "result" }); err != nil {
			t.Fatalf("%s was not confirmed: %v", id, err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for token, at := range c.ackedAt {
		if strings.Contains(token, "-strace-") || c.results[token] == "result" && strings.HasPrefix(token, "contact-") {
			acked[token] = at
		}
	}
}
