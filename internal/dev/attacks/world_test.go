package attacks

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/internal/dev/programtest"
)

var bin string

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "viaduct-liar" {
		lie()
		return
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, cleanup, err := programtest.Build()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer cleanup()
	bin = dir
	return m.Run()
}

const password = "correct horse battery"

// off switches the limits of rates and numbers off, for tests of other limits.
const off = "limits: {off: true}\n"

// world is a running server with accounts.
type world struct {
	*programtest.Server
	t testing.TB
}

// start serves a configuration; when the test ends, nothing may have panicked.
func start(t testing.TB, extra string, users ...string) *world {
	t.Helper()
	site := programtest.Place(t, bin, extra)
	site.Run(t, password+"\n", "user", "add", "admin@"+Domain, "--admin", "--password-file", "-")
	w := &world{site.Serve(t), t}
	t.Cleanup(func() {
		if log := w.Log(); strings.Contains(log, "panic") || strings.Contains(log, "DATA RACE") {
			t.Errorf("the server panicked, or a binary with the race detector found something:\n%s", log)
		}
	})
	for _, u := range users {
		w.account(u)
	}
	return w
}

func (w *world) account(user string) {
	w.t.Helper()
	if _, errs, code := w.Site.Run(w.t, password+"\n", "user", "add", user+"@"+Domain, "--password-file", "-"); code != 0 {
		w.t.Fatal(errs)
	}
}

// peer is a Client whose failures are the test's.
type peer struct {
	*Client
	t testing.TB
}

// dial connects: "tls", or "clear" to the port for STARTTLS.
func (w *world) dial(port string) *peer {
	w.t.Helper()
	addr, direct := w.C2STLS, true
	if port == "clear" {
		addr, direct = w.C2S, false
	}
	c, err := Dial(w.t.Context(), addr, direct)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(c.Close)
	return &peer{c, w.t}
}

// as is the world reporting to another test.
func (w *world) as(t testing.TB) *world { return &world{w.Server, t} }

func (w *world) login(user, resource string) *peer {
	w.t.Helper()
	p := w.dial("tls")
	if err := p.Login(user, password, resource); err != nil {
		w.t.Fatalf("%s: %v", user, err)
	}
	return p
}

// online logs in and becomes available.
func (w *world) online(user, resource string) *peer {
	w.t.Helper()
	p := w.login(user, resource)
	p.send("<presence/>")
	p.sync()
	return p
}

func (p *peer) send(xml string) {
	p.t.Helper()
	if err := p.Send(xml); err != nil {
		p.t.Fatal("send:", err)
	}
}

func (p *peer) next() string {
	p.t.Helper()
	n, err := p.Next()
	if err != nil {
		p.t.Fatal("the next element:", err)
	}
	return n.String()
}

func (p *peer) sync() []string {
	p.t.Helper()
	nodes, err := p.Sync()
	if err != nil {
		p.t.Fatal("the stream is broken:", err)
	}
	out := make([]string, len(nodes))
	for i, n := range nodes {
		out[i] = n.String()
	}
	return out
}

// ask returns the condition of the answer, "" for a result, and the answer.
func (p *peer) ask(typ, to, payload string) (condition, answer string) {
	p.t.Helper()
	n, err := p.Ask(typ, to, payload)
	if err != nil {
		p.t.Fatal("ask:", err)
	}
	return Condition(n), n.String()
}

// meets has from send something to p, and then a mark; it returns what p got before the mark.
func (p *peer) meets(from *peer, xml string) []string {
	p.t.Helper()
	mark := "mark-" + p.ID() + "-" + from.JID
	from.send(xml + "<message type='chat' to='" + p.JID + "' id='" + mark + "'><body>mark</body></message>")
	var out []string
	for {
		n, err := p.Next()
		if err != nil {
			p.t.Fatal("waiting for the mark:", err)
		}
		if n.Attr("id") == mark {
			return out
		}
		out = append(out, n.String())
	}
}

// enter joins a room and waits for the subject, the end of what a room tells.
func (p *peer) enter(room, nick string) []string {
	p.t.Helper()
	p.send("<presence to='" + room + "/" + nick + "'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	var out []string
	for {
		el := p.next()
		out = append(out, el)
		if strings.Contains(el, "<subject") || strings.Contains(el, "type='error'") {
			return out
		}
	}
}

// unlock takes the defaults for a room that was made (XEP-0045 §10.1.2).
func (p *peer) unlock(room string) {
	p.t.Helper()
	if c, _ := p.ask("set", room, "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query>"); c != "" {
		p.t.Fatal("unlock the room:", c)
	}
}

// metric reads one figure of the metrics page.
func (w *world) metric(name string) float64 {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+w.Admin+"/metrics", http.NoBody)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindSubmatch(page)
	if m == nil {
		w.t.Fatalf("%s is not on the metrics page", name)
	}
	v, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

const (
	goroutines = "go_goroutines"
	resident   = "process_resident_memory_bytes"
	heap       = "go_memstats_heap_inuse_bytes"
	sessions   = "viaduct_sessions"
)

// falls waits until a figure is at most limit. Each look is a request: the server has worked between them.
func (w *world) falls(name string, limit float64) {
	w.t.Helper()
	v := 0.0
	for range 2000 {
		if v = w.metric(name); v <= limit {
			return
		}
	}
	w.t.Errorf("%s is %v and does not fall to %v", name, v, limit)
}
