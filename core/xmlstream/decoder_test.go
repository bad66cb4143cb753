package xmlstream

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/viaduct-xmpp/viaduct/core/ns"
)

func TestIdleAndRelease(t *testing.T) {
	d := NewDecoder(C2S)
	if !d.Idle() || d.Buffered() != 0 {
		t.Error("a new decoder is not idle")
	}
	var o outcome
	write := func(in string, idle bool) {
		t.Helper()
		_, _ = d.Write([]byte(in))
		o.drain(d)
		if d.Idle() != idle {
			t.Errorf("after %q: idle is %v", in, d.Idle())
		}
		held := d.s
		if d.Release(); (d.s == nil) != idle {
			t.Errorf("after %q: buffers kept is %v", in, d.s != nil)
		}
		if !idle && d.s != held {
			t.Errorf("after %q: other buffers", in)
		}
	}
	write("<stream:stream xmlns='jabber:client' xmlns:stre", false)
	write("am='http://etherx.jabber.org/streams' xmlns:p='u'>", true)
	write(" ", true)
	write("<", false)
	write("p:a x='p:1'>", false)
	write("text", false)
	write("<p:b/", false)
	write("></p:a", false)
	write(">", true)
	write("<a/><stream:b/></stream", false)
	write(":stream>", true)
	want := []string{
		"<a xmlns='u' x='p:1'>text<b xmlns='u'/></a>", "<a xmlns='jabber:client'/>",
		"<stream:b xmlns:stream='http://etherx.jabber.org/streams'/>", "end",
	}
	if strings.Join(o.events[1:], "\n") != strings.Join(want, "\n") {
		t.Errorf("got %v", o)
	}
}

func TestElementOutlivesTheDecoder(t *testing.T) {
	d := NewDecoder(C2S)
	_, _ = d.Write([]byte(header + "<a id='1' xml:lang='de' odd='2'><b x='3'>four</b></a><c id='zzz'><dddd>dddd</dddd></c>"))
	var elements []Element
	for {
		kind, err := d.Next()
		if err != nil {
			t.Fatal(err)
		}
		if kind == NeedMore {
			break
		}
		if kind == StanzaElement {
			var e Element
			d.Element(&e)
			elements = append(elements, e)
		}
	}
	d.Release()
	other := NewDecoder(C2S) // may well get the same buffers
	_, _ = other.Write([]byte(header + strings.Repeat("<x y='overwritten'>overwritten</x>", 10)))
	var o outcome
	o.drain(other)
	e := elements[0]
	if e.Attr("id") != "1" || e.Lang != "de" || e.Attr("odd") != "2" || e.Inner.String() != "<b x='3'>four</b>" || e.Name != (Name{ns.Client, "a"}) {
		t.Errorf("got %+v", e)
	}
}

func TestElementWithoutOne(t *testing.T) {
	d := NewDecoder(C2S)
	e := Element{Lang: "x"}
	if d.Element(&e); e.Lang != "" {
		t.Errorf("got %+v", e)
	}
	_, _ = d.Write([]byte(header + "<a"))
	_, _ = d.Next()
	if d.Element(&e); e.Name.Local != "" {
		t.Errorf("got %+v", e)
	}
}

func TestElementUsesItsAttrsAgain(t *testing.T) {
	d := NewDecoder(C2S)
	_, _ = d.Write([]byte(header + "<a b='1' c='2'/><a d='3'/><a/>"))
	_, _ = d.Next()
	var e Element
	for _, want := range []int{2, 1, 0} {
		if kind, err := d.Next(); kind != StanzaElement || err != nil {
			t.Fatal(kind, err)
		}
		if d.Element(&e); len(e.Attrs) != want || cap(e.Attrs) < 2 {
			t.Errorf("got %+v", e)
		}
	}
}

// What comes behind <starttls/> in the clear must be seen (attack 8), and after SASL a client may already
// have begun its next stream.
func TestReset(t *testing.T) {
	d := NewDecoder(PreAuth)
	var o outcome
	_, _ = d.Write([]byte(header + "<a/>" + header + "<b/>"))
	for range 2 {
		if kind, err := d.Next(); kind == NeedMore || err != nil {
			t.Fatal(kind, err)
		}
	}
	if got, want := d.Reset(), len(header+"<b/>"); got != want || d.Buffered() != want {
		t.Errorf("%d bytes are left, reported %d, want %d", d.Buffered(), got, want)
	}
	if o.drain(d); len(o.events) != 2 || !strings.HasPrefix(o.events[0], "start") {
		t.Errorf("got %v", o)
	}
	if d.Reset() != 0 {
		t.Errorf("%d bytes are left", d.Buffered())
	}
	// Nothing of the old stream is left: neither its prefixes nor its end tag nor its declaration's place.
	_, _ = d.Write([]byte("<?xml version='1.0'?><stream:stream>"))
	if o.drain(d); o.condition != BadNamespacePrefix {
		t.Errorf("got %v", o)
	}
}

func TestResetAfterRelease(t *testing.T) {
	d := NewDecoder(PreAuth)
	var o outcome
	_, _ = d.Write([]byte(header))
	o.drain(d)
	d.Release()
	d.Reset()
	_, _ = d.Write([]byte("<x xmlns='u'><y/>"))
	if o.drain(d); len(o.events) != 3 || o.events[2] != "<y xmlns='u'/>" {
		t.Errorf("got %v", o)
	}
}

func TestErrorsStay(t *testing.T) {
	d := NewDecoder(PreAuth)
	_, _ = d.Write([]byte("<!"))
	_, _ = d.Write([]byte("x"))
	_, first := d.Next()
	_, _ = d.Write([]byte(header))
	_, second := d.Next()
	var syntax *SyntaxError
	if !errors.As(first, &syntax) || !errors.Is(second, first) || !strings.Contains(first.Error(), RestrictedXML) {
		t.Errorf("got %v, then %v", first, second)
	}
}

func TestClose(t *testing.T) {
	d := NewDecoder(PreAuth)
	_, _ = d.Write([]byte("<a"))
	d.Close()
	_, _ = d.Write([]byte(">"))
	if kind, err := d.Next(); kind != NeedMore || err == nil || d.Buffered() != 0 {
		t.Errorf("got %v, %v", kind, err)
	}
	d.Close()
}

func TestFill(t *testing.T) {
	d := NewDecoder(C2S)
	var o outcome
	in := header + strings.Repeat("<a><b>"+strings.Repeat("x", 3000)+"</b></a>", 20) + trailer
	r := iotest.HalfReader(strings.NewReader(in))
	for {
		_, err := d.Fill(r)
		o.drain(d)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(o.events) != 22 || o.condition != "" {
		t.Errorf("got %.300v", o)
	}
	if n := cap(d.s.in); n > 4*minRead {
		t.Errorf("the buffer grew to %d bytes", n)
	}
	if _, err := d.Fill(iotest.ErrReader(io.ErrUnexpectedEOF)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
}

func TestFrames(t *testing.T) {
	d := NewFramedDecoder(PreAuth)
	frame := func(in string, want Kind) {
		t.Helper()
		kind, err := d.Frame([]byte(in))
		if kind != want || err != nil {
			t.Fatalf("%q: %v, %v", in, kind, err)
		}
	}
	frame(`<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="example.com" version="1.0" xml:lang="en"/>`, StreamStart)
	if h := d.Start(); h.To != "example.com" || h.Version != "1.0" || h.Lang != "en" || h.ContentNS != ns.Client || !h.isOpen() {
		t.Errorf("got %+v", h)
	}
	frame(`<message xmlns='jabber:client' id='1'><body>x</body></message> `, StanzaElement)
	var e Element
	if d.Element(&e); !e.Is(ns.Client, "message") || !e.Inner.Has(ns.Client, "body") {
		t.Errorf("got %+v", e)
	}
	if !d.Idle() {
		t.Error("not idle between frames")
	}
	d.Release()
	d.Reset()
	frame(`<open xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>`, StreamStart)
	frame(`<other xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>`, StanzaElement)
	frame(`<message/>`, StanzaElement)
	if d.Element(&e); e.Name.Space != "" {
		t.Errorf("got %+v", e)
	}
	frame(`<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>`, StreamEnd)
	if kind, err := d.Frame([]byte(`<message/>`)); err == nil {
		t.Errorf("behind <close/>: %v", kind)
	}
}

func (h *Header) isOpen() bool { return h.Name == Name{ns.Framing, "open"} }

func TestFramesRefused(t *testing.T) {
	for name, in := range map[string]string{
		"nothing": "", "space first": " <a/>", "two elements": "<a/><b/>", "cut": "<a>", "cut tag": "<a",
		"text": "x", "text behind": "<a/>x", "declaration": "<?xml version='1.0'?><a/>",
		"stream": `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`,
		"server": `<message xmlns='jabber:server'/>`, "mark": "\uFEFF<a/>",
	} {
		d := NewFramedDecoder(PreAuth)
		if kind, err := d.Frame([]byte(in)); err == nil {
			t.Errorf("%s: %q is a %v", name, in, kind)
		}
		if kind, err := d.Frame([]byte("<a/>")); err == nil {
			t.Errorf("%s: the error was forgotten: %v", name, kind)
		}
	}
}
