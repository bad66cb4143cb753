package sqlite_test

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A trace is what a child did to its files and when it acknowledged, in the order of the system.

type action int

const (
	creates action = iota
	writes
	truncates
	removes
	syncs // also of a directory
	acknowledges
)

// event is one system call. Calls of different threads overlap: from is when it began and to when it was over, in lines of the trace.
type event struct {
	action action
	path   string
	off    int64
	data   []byte
	n      int // the number acknowledged, or the new length
	from   int
	to     int
}

// traced runs a child under strace and returns the events on the files of dir.
func traced(t *testing.T, dir string, groups int) []event {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	log := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command(strace, "-f", "--seccomp-bpf", "-y", "-xx", "-s", "100000", "-o", log,
		"-e", "trace=open,openat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,fallocate,truncate,rename,renameat,renameat2,unlink,unlinkat,fsync,fdatasync,"+
			"sync_file_range,msync,copy_file_range,sendfile", os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir, childGroups+"="+strconv.Itoa(groups))
	out, err := cmd.CombinedOutput()
	if err != nil {
		if strings.Contains(string(out), "ptrace") {
			t.Skipf("strace may not trace here: %s", out)
		}
		t.Fatalf("%v: %s", err, out)
	}
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := parser{dir: dir, pending: map[string]int{}}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		if err := p.line(lines.Text()); err != nil {
			t.Fatalf("trace line %d: %v", p.lines, err)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return p.events
}

var (
	callLine   = regexp.MustCompile(`^(\d+) +(\w+)\((.*)$`)
	resumeLine = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>(.*)$`)
	result     = regexp.MustCompile(`\) += (-?\d+)`)
	fdPath     = regexp.MustCompile(`^\d+<([^>]*)>`)
	quoted     = regexp.MustCompile(`"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?`)
)

// parser turns the lines of strace -f into events. A call of a thread that another thread interrupts is in two lines.
type parser struct {
	dir     string
	lines   int
	events  []event
	pending map[string]int // unfinished: thread -> event, -1 if it is none of ours
}

func (p *parser) line(s string) error {
	p.lines++
	if m := resumeLine.FindStringSubmatch(s); m != nil {
		i, ok := p.pending[m[1]]
		delete(p.pending, m[1])
		if ok && i >= 0 {
			return p.over(i, m[3])
		}
		return nil
	}
	m := callLine.FindStringSubmatch(s)
	if m == nil {
		return nil // a signal, an exit
	}
	i, err := p.call(m[2], m[3])
	if err != nil {
		return err
	}
	if strings.HasSuffix(s, "<unfinished ...>") {
		p.pending[m[1]] = i
		return nil
	}
	if i >= 0 {
		return p.over(i, m[3])
	}
	return nil
}

// over notes the end of a call. One that failed did nothing.
func (p *parser) over(i int, rest string) error {
	m := result.FindStringSubmatch(rest)
	if m == nil {
		return fmt.Errorf("no result in %.200q", rest)
	}
	n, err := strconv.Atoi(m[1])
	e := &p.events[i]
	switch {
	case err != nil:
		return err
	case n < 0:
		if e.action != creates {
			return fmt.Errorf("a call failed: %+v: %.200q", e.action, rest)
		}
		e.path = ""
	case e.action == writes && n != len(e.data):
		return fmt.Errorf("%d of %d bytes were written", n, len(e.data))
	}
	e.to = p.lines
	return nil
}

// call notes the beginning of a call and returns the number of its event, or -1.
func (p *parser) call(name, args string) (int, error) {
	e := event{from: p.lines}
	path := ""
	if m := fdPath.FindStringSubmatch(args); m != nil {
		path = unescape(m[1])
	} else if m := quoted.FindStringSubmatch(args); m != nil {
		path = unescape(m[1])
	}
	if name == "openat" || name == "unlinkat" {
		if m := quoted.FindStringSubmatch(args); m != nil {
			path = unescape(m[1])
		}
	}
	ours := path == p.dir || strings.HasPrefix(path, p.dir+"/")
	e.path = path
	switch name {
	case "open", "openat":
		if !ours || !strings.Contains(args, "O_CREAT") {
			return -1, nil
		}
		e.action = creates
	case "unlink", "unlinkat":
		e.action = removes
	case "fsync", "fdatasync":
		e.action = syncs
	case "ftruncate":
		e.action = truncates
		e.n = int(lastNumber(args))
	case "write", "pwrite64":
		return p.write(name, args, ours, e)
	default:
		if ours {
			return -1, fmt.Errorf("the test does not know what %s does", name)
		}
		return -1, nil
	}
	if !ours {
		return -1, nil
	}
	p.events = append(p.events, e)
	return len(p.events) - 1, nil
}

func (p *parser) write(name, args string, ours bool, e event) (int, error) {
	m := quoted.FindStringSubmatch(args)
	if m == nil || m[2] != "" {
		return -1, fmt.Errorf("no whole data in %.200q", args)
	}
	data := []byte(unescape(m[1]))
	switch {
	case ours && name == "pwrite64":
		e.action, e.data, e.off = writes, data, lastNumber(args)
	case ours:
		return -1, fmt.Errorf("write without an offset to %s", e.path)
	default:
		if n, err := fmt.Sscanf(string(data), "acked %d\n", &e.n); n != 1 || err != nil || !strings.HasPrefix(args, "1<") {
			return -1, nil
		}
		e.action, e.data = acknowledges, nil
	}
	p.events = append(p.events, e)
	return len(p.events) - 1, nil
}

var number1 = regexp.MustCompile(`(\d+)(?:\)| <unfinished)`)

// lastNumber is the last argument of a call.
func lastNumber(args string) int64 {
	args = args[strings.LastIndex(args, ", ")+2:]
	m := number1.FindStringSubmatch(args)
	if m == nil {
		return -1
	}
	n, _ := strconv.ParseInt(m[1], 10, 64)
	return n
}

func unescape(s string) string {
	if !strings.HasPrefix(s, `\x`) {
		return s
	}
	b, err := hex.DecodeString(strings.ReplaceAll(s, `\x`, ""))
	if err != nil {
		return ""
	}
	return string(b)
}

// TestTraced looks at what a traced child did to its files.
func TestTraced(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	const groups = 80
	events := traced(t, dir, groups)
	t.Run("synced before Commit returns", func(t *testing.T) { testSynced(t, events, dir, groups) })
	t.Run("power loss", func(t *testing.T) { testPowerLoss(t, events, dir) })
}

// testSynced looks at every acknowledgement: since the last write to the WAL before it, a sync of the WAL must have begun and ended.
func testSynced(t *testing.T, events []event, dir string, groups int) {
	acknowledged := 0
	for i, ack := range events {
		if ack.action != acknowledges {
			continue
		}
		acknowledged++
		lastWrite, synced := -1, false
		for _, e := range events[:i] {
			switch {
			case e.path != filepath.Join(dir, "viaduct.db-wal"):
			case e.action == writes:
				lastWrite, synced = max(lastWrite, e.to), false
			case e.action == syncs && e.from > lastWrite && e.to < ack.from:
				synced = true
			}
		}
		if !synced || lastWrite < 0 || lastWrite >= ack.from {
			t.Errorf("unit %d was acknowledged (line %d) without a sync behind the WAL's last write (line %d)", ack.n, ack.from, lastWrite)
		}
	}
	if acknowledged != groups {
		t.Errorf("%d acknowledgements in the trace, want %d", acknowledged, groups)
	}
}
