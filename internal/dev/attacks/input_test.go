package attacks

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/internal/dev/programtest"
)

// TestInputXML: malformed and hostile XML before and after the login ends that stream with the condition of RFC 6120 §4.9.3 and nobody else's.
func TestInputXML(t *testing.T) {
	w := start(t, off, "alice", "bob")
	bob := w.online("bob", "b")
	for _, tc := range []struct{ name, xml, want string }{
		{"not well-formed", "<message><body></message>", "not-well-formed"},
		{"two attributes of a name", "<message id='1' id='2'/>", "not-well-formed"},
		{"no UTF-8", "<message><body>\xc3\x28</body></message>", "unsupported-encoding"},
		{"overlong UTF-8", "<message><body>\xc0\xbc</body></message>", "unsupported-encoding"},
		{"a character XML does not have", "<message><body>&#0;</body></message>", "not-well-formed"},
		{"an undeclared prefix", "<x:message/>", "bad-namespace-prefix"},
		{"comment", "<!-- x --><message/>", "restricted-xml"},
		{"no XMPP", "GET / HTTP/1.1\r\n\r\n", "?"},
		{"deep", strings.Repeat("<a>", 1000), "?"},
	} {
		for _, stage := range []string{"before TLS", "before login", "after login"} {
			t.Run(tc.name+" "+stage, func(t *testing.T) {
				p := w.as(t).at(stage)
				p.send(tc.xml)
				got := p.End()
				if got != tc.want && (tc.want != "?" || got == "") {
					t.Errorf("the stream ends with %q, want %q", got, tc.want)
				}
			})
		}
	}
	bob.sync()
}

// at is a stream at a stage.
func (w *world) at(stage string) *peer {
	w.t.Helper()
	switch stage {
	case "before TLS":
		p := w.dial("clear")
		p.send(Header)
		p.next()
		return p
	case "before login":
		p := w.dial("tls")
		p.send(Header)
		p.next()
		return p
	}
	return w.login("alice", "")
}

// TestInputWrongPassword: RFC 6120 §6.5.10; the same answer as for somebody who does not exist, and an end of guessing.
func TestInputWrongPassword(t *testing.T) {
	w := start(t, "", "alice")
	var said [2]string
	for i, user := range []string{"alice", "nobody"} {
		p := w.dial("tls")
		err := p.Auth("", user, "a wrong password")
		if err == nil {
			t.Fatalf("%s is in", user)
		}
		said[i] = err.Error()
		if err := p.AuthAgain("", "alice", password); err != nil {
			t.Errorf("the right password after a wrong one: %v", err)
		}
	}
	if said[0] != said[1] || !strings.Contains(said[0], "not-authorized") {
		t.Errorf("%q", said)
	}
	p := w.dial("tls")
	_ = p.Auth("", "alice", "a wrong password")
	for range 3 {
		_ = p.AuthAgain("", "alice", "a wrong password")
	}
	p.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + Plain("", "alice", "wrong again") + "</auth>")
	if got := p.End(); got != "policy-violation" {
		t.Errorf("after five attempts: %q", got)
	}
}

// TestInputTakenResource: RFC 6120 §7.7.2.2: the newer session has it, the older is told.
func TestInputTakenResource(t *testing.T) {
	w := start(t, off, "alice")
	old := w.online("alice", "phone")
	young := w.online("alice", "phone")
	if got := old.End(); got != "conflict" {
		t.Errorf("the older session ends with %q", got)
	}
	if young.JID != "alice@v.test/phone" {
		t.Errorf("the newer is %s", young.JID)
	}
	young.sync()
}

// TestInputOversize: a stanza beyond the limit ends the stream; one within it arrives (RFC 6120 §13.12).
func TestInputOversize(t *testing.T) {
	w := start(t, "limits: {stanza_bytes: 20000}\n", "alice", "bob")
	alice, bob := w.online("alice", "a"), w.online("bob", "b")
	body := func(n int) string {
		return "<message to='bob@v.test/b' type='chat'><body>" + strings.Repeat("x", n) + "</body></message>"
	}
	if got := bob.meets(alice, body(19000)); !slices.ContainsFunc(got, func(el string) bool { return len(el) > 19000 }) {
		t.Errorf("a stanza within the limit: %d others came", len(got))
	}
	alice.send(body(21000))
	if got := alice.End(); got != "policy-violation" {
		t.Errorf("beyond it: %q", got)
	}
	bob.sync()
	early := w.at("before login")
	early.send("<iq type='get' id='1'><query xmlns='jabber:iq:register'>" + strings.Repeat("y", 9000))
	if got := early.End(); got != "policy-violation" {
		t.Errorf("before the login: %q", got)
	}
}

// TestInputHalfOpenTLS: a handshake that is begun and not finished is cut off, and others are served meanwhile.
func TestInputHalfOpenTLS(t *testing.T) {
	w := start(t, "limits: {auth_seconds: 1}\n", "alice")
	for _, port := range []string{"direct", "STARTTLS"} {
		addr := w.C2STLS
		if port == "STARTTLS" {
			addr = w.C2S
		}
		c, err := Dial(t.Context(), addr, false)
		if err != nil {
			t.Fatal(err)
		}
		p := &peer{c, t}
		defer p.Close()
		if port == "STARTTLS" {
			p.send(Header)
			p.next()
			p.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
			p.next()
		}
		p.send("\x16\x03\x01\x02") // a part of a record's header
		w.away("alice")
		if got := p.End(); got != "" {
			t.Errorf("%s: it says %q into a handshake", port, got)
		}
	}
	w.falls(sessions, 0)
}

// fails runs serve and returns the last line of what it says.
func fails(t *testing.T, site *programtest.Site) string {
	t.Helper()
	_, errs, code := site.Run(t, "", "serve")
	if code != 1 {
		t.Errorf("exit status %d", code)
	}
	lines := strings.Split(strings.TrimSpace(errs), "\n")
	return lines[len(lines)-1]
}

func mount(t *testing.T, args ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root mounts")
	}
	if out, err := exec.CommandContext(t.Context(), "mount", args...).CombinedOutput(); err != nil {
		t.Skipf("mount: %v %s", err, out)
	}
	t.Cleanup(func() { _ = syscall.Unmount(args[len(args)-1], syscall.MNT_DETACH) })
}

// TestInputReadOnlyData: the server says so in one line, with what to do.
func TestInputReadOnlyData(t *testing.T) {
	site := programtest.Place(t, bin, "")
	data := filepath.Join(site.Dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		mount(t, "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", data)
	} else {
		if err := os.Chmod(data, 0o500); err != nil { //nolint:gosec // a directory
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(data, 0o700) }) //nolint:gosec // a directory
	}
	if line := fails(t, site); !strings.Contains(line, "data_dir: ") || !strings.Contains(line, "cannot be written") {
		t.Errorf("it says %q", line)
	}
}

// TestInputFullData: on a disk that fills up nothing is acknowledged that is not kept, senders are told, the server stays and serves, and goes on when
// there is room.
func TestInputFullData(t *testing.T) {
	site := programtest.Place(t, bin, off)
	data := filepath.Join(site.Dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	mount(t, "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", data)
	w := &world{site.Serve(t), t}
	w.account("alice")
	w.account("bob")
	ballast := filepath.Join(data, "ballast")
	fill(t, ballast)
	alice := w.online("alice", "a")
	refused := map[string]bool{}
	note := func(els []string) {
		for _, el := range els {
			if id := messageID.FindString(el); id != "" && strings.Contains(el, "resource-constraint") {
				refused[id] = true
			}
		}
	}
	sent := 0
	for ; len(refused) == 0; sent++ {
		if sent == 500 {
			t.Fatal("the disk is never full")
		}
		alice.send(fmt.Sprintf("<message to='bob@v.test' type='chat' id='full-%d'><body>%s</body></message>", sent, strings.Repeat("x", 20000)))
		note(alice.stored())
	}
	note(alice.sync()) // it is still served
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		els, ok := alice.tryStore()
		note(els)
		if ok {
			break
		}
		if i == 200 {
			t.Fatal("with room again nothing can be stored")
		}
	}
	note(alice.sync())
	bob := w.login("bob", "b") // not online: that would read past what comes at once
	bob.send("<presence/>")
	got := map[string]bool{}
	for len(got)+len(refused) < sent {
		n, err := bob.Next()
		if err != nil {
			t.Fatalf("of %d messages %d were refused and %d delivered, then: %v", sent, len(refused), len(got), err)
		}
		if id := messageID.FindString(n.String()); id != "" {
			if refused[id] || got[id] {
				t.Errorf("%s was refused, or delivered before", id)
			}
			got[id] = true
		}
	}
}

var messageID = regexp.MustCompile(`full-[0-9]+`)

// stored syncs with the store: an iq that is committed, or refused, after what was sent before it. It returns what came before its answer.
func (p *peer) stored() []string {
	p.t.Helper()
	out, _ := p.tryStore()
	return out
}

// tryStore is stored, and tells whether the iq was committed.
func (p *peer) tryStore() (out []string, ok bool) {
	p.t.Helper()
	id := p.ID()
	p.send("<iq type='set' id='" + id + "'><vCard xmlns='vcard-temp'><FN>x</FN></vCard></iq>")
	nodes, err := p.Until(func(n *xmlstream.Node) bool {
		ok = n.Attr("type") == "result"
		return n.Name.Local == "iq" && n.Attr("id") == id
	})
	if err != nil {
		p.t.Fatal("waiting for the store:", err)
	}
	for _, n := range nodes {
		out = append(out, n.String())
	}
	return out, ok
}

// fill writes a file until there is no room left but a little.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name) //nolint:gosec // a file of the test's own
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // a test
	block := make([]byte, 64<<10)
	for range 1000 {
		if _, err := f.Write(block); err != nil {
			break
		}
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(max(0, info.Size()-300<<10)); err != nil {
		t.Fatal(err)
	}
}
