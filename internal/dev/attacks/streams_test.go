package attacks

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/ns"
)

// TestRow01BillionLaughs: no construct of a DTD reaches anything but the end of its own stream, and costs no memory.
func TestRow01BillionLaughs(t *testing.T) {
	w := start(t, off, "alice")
	laughs := "<!DOCTYPE lolz [<!ENTITY lol 'lol'>"
	for i := range 9 {
		laughs += fmt.Sprintf("<!ENTITY lol%d '%s'>", i+1, strings.Repeat(fmt.Sprintf("&lol%d;", i), 10))
	}
	before := w.metric(resident)
	for name, xml := range map[string]string{
		"billion laughs":       laughs + "]><message><body>&lol9;</body></message>",
		"external entity":      "<!DOCTYPE x [<!ENTITY f SYSTEM 'file:///etc/passwd'>]><message><body>&f;</body></message>",
		"document type":        "<!DOCTYPE x><message/>",
		"instruction":          "<?xml-stylesheet href='x'?><message/>",
		"comment":              "<message><!-- x --></message>",
		"entity":               "<message><body>&nbsp;</body></message>",
		"entity in a value":    "<message id='&x;'/>",
		"CDATA is text":        "<message to='v.test' id='1' type='error'><body><![CDATA[<!DOCTYPE x>]]></body></message></stream:stream>",
		"parameter entity":     "<!DOCTYPE x [<!ENTITY % p SYSTEM 'http://127.0.0.1:1/'>%p;]>",
		"instruction, no name": "<?",
	} {
		for _, stage := range []string{"before TLS", "before login", "after login"} {
			t.Run(name+" "+stage, func(t *testing.T) {
				want := "restricted-xml"
				if name == "CDATA is text" {
					if want = ""; stage != "after login" {
						want = "not-authorized"
					}
				}
				p := w.as(t).at(stage)
				p.send(xml + " ")
				if got := p.End(); got != want {
					t.Errorf("the stream ends with %q, want %q", got, want)
				}
			})
		}
	}
	if grown := w.metric(resident) - before; grown > 64<<20 {
		t.Errorf("resident memory grew by %.0f MiB", grown/(1<<20))
	}
}

// TestRow02Amplification: what is small on the wire and large in a parser is refused early, much earlier before the login.
func TestRow02Amplification(t *testing.T) {
	w := start(t, off, "alice")
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	open := "<iq type='get' id='1'><query xmlns='jabber:iq:register'"
	for _, tc := range []struct {
		name, xml        string
		early, authentic bool // refused before the login, and after it
	}{
		{"depth", open + ">" + strings.Repeat("<a>", 200), true, true},
		{"attributes", open + many(200, " a%d=''") + ">", true, true},
		{"namespaces", open + many(200, " xmlns:n%d='u'") + ">", true, true},
		{"elements", open + ">" + strings.Repeat("<a/>", 9000), true, true},
		{"elements before the login", open + ">" + strings.Repeat("<a/>", 33), true, false},
		{"bytes", open + ">" + strings.Repeat("x", 300<<10), true, true},
		{"bytes before the login", open + ">" + strings.Repeat("x", 9<<10), true, false},
		{"a name", "<" + strings.Repeat("n", 1<<10), true, true},
		{"a value", open + " a='" + strings.Repeat("v", 20<<10), true, true},
	} {
		for stage, refused := range map[string]bool{"before login": tc.early, "after login": tc.authentic} {
			t.Run(tc.name+" "+stage, func(t *testing.T) {
				p := w.as(t).at(stage)
				if !refused {
					p.send(tc.xml + "</query></iq>")
					p.sync()
					return
				}
				_ = p.Send(tc.xml) // it may be cut off on the way
				if got := p.End(); got != "policy-violation" {
					t.Errorf("the stream ends with %q", got)
				}
			})
		}
	}
}

// TestRow03HalfStreams: connections that are begun and given up leave nothing, on real sockets.
func TestRow03HalfStreams(t *testing.T) {
	n := 2000
	if testing.Short() {
		n = 200
	}
	w := start(t, off, "alice")
	half := func(i int) {
		c, err := Dial(context.Background(), w.C2S, false)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		switch i % 4 {
		case 0:
		case 1:
			_ = c.Send("<?xml")
		case 2:
			_, _ = c.Say(Header)
		case 3:
			_, _ = c.Say(Header)
			_, _ = c.Say("<starttls xmlns='" + ns.TLS + "'/>")
			_ = c.Send("\x16\x03\x01")
		}
	}
	crowd := func(n int) {
		var wg sync.WaitGroup
		for k := range 8 {
			wg.Go(func() {
				for i := k; i < n; i += 8 {
					half(i)
				}
			})
		}
		wg.Wait()
	}
	crowd(100)
	w.falls(sessions, 0)
	before, memory := w.metric(goroutines), w.metric(resident)
	crowd(n)
	w.falls(goroutines, before+20)
	if grown := w.metric(resident) - memory; grown > 64<<20 {
		t.Errorf("resident memory grew by %.0f MiB", grown/(1<<20))
	}
	w.away("alice")
}

// TestRow03ConnectionsPerIP: one address has so many connections and no more.
func TestRow03ConnectionsPerIP(t *testing.T) {
	w := start(t, "limits: {connections_per_ip: 5}\n")
	for range 5 {
		w.at("before TLS")
	}
	c, err := Dial(t.Context(), w.C2S, false)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n, err := c.Say(Header); err == nil && n.Name.Local == "features" {
		t.Error("a sixth connection is served")
	}
}

// TestRow05EncodingXML: encoding/xml does not round-trip (CVE-2020-29509 and others): nothing that is linked into a program reads or writes the wire
// with it.
func TestRow05EncodingXML(t *testing.T) {
	sources(t, func(name string, imports []string) {
		if slices.Contains(imports, "encoding/xml") {
			t.Errorf("%s imports encoding/xml", name)
		}
	})
}

// TestRow06Escaping: whatever stands in a value or a text comes out as what it was, and as nothing else.
func TestRow06Escaping(t *testing.T) {
	w := start(t, off, "alice", "bob")
	alice, bob := w.online("alice", "a"), w.online("bob", "b")
	for i, s := range []string{"'", "\"", "<", ">", "&", "]]>", "'/><iq type='set'><x/></iq><a b='", "</message><message>", "&amp;lt;", "\t", "\r\n", "\u2028", "\U0001F600", "&#x26;lt;"} {
		esc := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&apos;", "\"", "&quot;", "\t", "&#9;", "\r", "&#13;", "\n", "&#10;").Replace(s)
		id := fmt.Sprint("e", i)
		alice.send("<message to='bob@v.test/b' type='chat' id='" + id + "'><body>" + esc + "</body><x xmlns='urn:example' v='" + esc + "'/></message>")
		for {
			n, err := bob.Next()
			if err != nil {
				t.Fatalf("%q: %v", s, err)
			}
			if n.Attr("id") != id {
				continue
			}
			if body := n.Child(ns.Client, "body").TextContent(); body != s {
				t.Errorf("text %q came as %q", s, body)
			}
			if v := n.Child("urn:example", "x").Attr("v"); v != s {
				t.Errorf("value %q came as %q", s, v)
			}
			break
		}
	}
}

// TestRow07NothingInTheClear: before TLS nothing is offered and nothing can be done but TLS.
func TestRow07NothingInTheClear(t *testing.T) {
	w := start(t, "registration: {open: true}\n", "alice")
	p := w.dial("clear")
	p.send(Header)
	features := p.next()
	for _, no := range []string{"mechanism", "register", "compress", "bind", "sm:3"} {
		if strings.Contains(features, no) {
			t.Errorf("%s is offered: %s", no, features)
		}
	}
	if !strings.Contains(features, "<required") {
		t.Errorf("TLS is not required: %s", features)
	}
	p.send("<auth xmlns='" + ns.SASL + "' mechanism='PLAIN'>" + Plain("", "alice", password) + "</auth>")
	if el := p.next(); !strings.Contains(el, "encryption-required") {
		t.Errorf("a login in the clear: %s", el)
	}
	p.send("<iq type='set' id='1'><query xmlns='jabber:iq:register'><username>new</username><password>" + password + "</password></query></iq>")
	if got := p.End(); got != "not-authorized" {
		t.Errorf("registration in the clear: %q", got)
	}
	if _, _, code := w.Run(t, "user", "show", "new@v.test"); code == 0 {
		t.Error("an account was made in the clear")
	}
}

// TestRow08Injection: what is put behind <starttls/> in the clear is never heard under TLS.
func TestRow08Injection(t *testing.T) {
	w := start(t, off, "alice")
	p := w.dial("clear")
	p.send(Header)
	p.next()
	p.send("<starttls xmlns='" + ns.TLS + "'/>" + Header + "<auth xmlns='" + ns.SASL + "' mechanism='PLAIN'>" + Plain("", "alice", password) + "</auth>")
	n, err := p.Next()
	if err == nil && n.Name.Local == "proceed" && p.secure(t.Context()) == nil {
		t.Error("the handshake succeeds over what was injected")
	}
	if strings.Contains(w.Log(), "client authenticated") {
		t.Error("the injected login was heard")
	}
}

// TestRow09NoCompression: it is not offered at any stage, and asking for it does not help.
func TestRow09NoCompression(t *testing.T) {
	w := start(t, off, "alice")
	p := w.dial("tls")
	p.send(Header)
	early := p.next()
	if err := p.AuthAgain("", "alice", password); err != nil {
		t.Fatal(err)
	}
	p.send(Header)
	late := p.next()
	if strings.Contains(early+late, "compress") {
		t.Errorf("compression is offered: %s %s", early, late)
	}
	p.send("<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>")
	if el := p.next(); !strings.Contains(el, "unsupported-stanza-type") {
		t.Errorf("asked for: %s", el)
	}
}

// TestRow10NotOffered: a mechanism that was not offered on this stream cannot be used.
func TestRow10NotOffered(t *testing.T) {
	w := start(t, off, "alice")
	for _, name := range []string{"ANONYMOUS", "EXTERNAL", "DIGEST-MD5", "CRAM-MD5", "plain", "SCRAM-MD5", "OAUTHBEARER", "X-OAUTH2", ""} {
		p := w.at("before login")
		p.send("<auth xmlns='" + ns.SASL + "' mechanism='" + name + "'>" + Plain("", "alice", password) + "</auth>")
		if el := p.next(); !strings.Contains(el, "invalid-mechanism") {
			t.Errorf("%q: %s", name, el)
		}
	}
}

// TestRow11Authzid: nobody acts as somebody else, an administrator neither.
func TestRow11Authzid(t *testing.T) {
	w := start(t, off, "alice", "bob")
	for _, tc := range []struct {
		user, authzid string
		ok            bool
	}{
		{"alice", "", true}, {"alice", "alice@v.test", true}, {"alice", "ALICE@V.TEST", true},
		{"alice", "bob@v.test", false}, {"alice", "alice@elsewhere.test", false}, {"alice", "admin@v.test", false}, {"alice", "v.test", false},
		{"alice", "alice@v.test/x", false}, {"alice", "a@b@c", false}, {"admin", "alice@v.test", false},
	} {
		p := w.dial("tls")
		err := p.Auth(tc.authzid, tc.user, password)
		if (err == nil) != tc.ok {
			t.Errorf("%s as %q: %v", tc.user, tc.authzid, err)
		}
		if !tc.ok {
			continue
		}
		p.send(Header)
		p.next()
		p.send("<iq type='set' id='b'><bind xmlns='" + ns.Bind + "'/></iq>")
		if el := p.next(); !strings.Contains(el, ">"+tc.user+"@v.test/") {
			t.Errorf("%s as %q is bound to %s", tc.user, tc.authzid, el)
		}
	}
}

// TestRow14Ids: ids that open something are long, different, and not in the data as they are.
func TestRow14Ids(t *testing.T) {
	w := start(t, off, "alice")
	seen := map[string]bool{}
	var all []string
	for i := range 30 {
		p := w.login("alice", fmt.Sprint("r", i))
		n, err := p.Say("<enable xmlns='" + ns.SM + "' resume='true'/>")
		if err != nil {
			t.Fatal(err)
		}
		id := n.Attr("id")
		if len(id) < 22 || seen[id] { // 128 bits in base64
			t.Errorf("SM-ID %q", id)
		}
		seen[id] = true
		all = append(all, id)
	}
	streams := map[string]bool{}
	for range 30 {
		p := w.at("before TLS")
		id := p.dec.Start().ID
		if len(id) < 16 || streams[id] {
			t.Errorf("stream id %q", id)
		}
		streams[id] = true
	}
	if code := w.Stop(t); code != 0 {
		t.Errorf("the server ends with %d", code)
	}
	w.nowhere(t, append(all, password)...)
}

// nowhere looks through the data directory and the log for what must not be there.
func (w *world) nowhere(t *testing.T, secrets ...string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(filepath.Join(w.Site.Dir, "data"), func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(name) //nolint:gosec // the test's own directory
		if err != nil {
			return err
		}
		files++
		for _, s := range secrets {
			if strings.Contains(string(b), s) {
				t.Errorf("%q is in %s", s, filepath.Base(name))
			}
		}
		return nil
	})
	if err != nil || files == 0 {
		t.Errorf("%d files: %v", files, err)
	}
	for _, s := range secrets {
		if strings.Contains(w.Log(), s) {
			t.Errorf("%q is in the log", s)
		}
	}
}
