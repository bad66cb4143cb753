package stanza

import (
	"errors"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// element decodes one first-level element of a client's stream.
func element(t testing.TB, text string) *xmlstream.Element {
	t.Helper()
	d := xmlstream.NewDecoder(xmlstream.C2S)
	_, _ = d.Write([]byte("<stream:stream xmlns='jabber:client' xmlns:stream='" + ns.Stream + "' version='1.0'>" + text))
	var el xmlstream.Element
	for {
		k, err := d.Next()
		if err != nil {
			t.Fatal(err)
		}
		if k == xmlstream.StanzaElement {
			d.Element(&el)
			return &el
		}
	}
}

func TestFromElement(t *testing.T) {
	st, err := FromElement(element(t, "<message to='Bob@Example.org/x' from='a@b/c' id='1' type='chat' xml:lang='de' foo='bar'><body>hi &lt;</body><x xmlns='u:x'/></message>"))
	if err != nil {
		t.Fatal(err)
	}
	if st.Kind != Message || st.To.String() != "bob@example.org/x" || st.ID != "1" || st.Type != TypeChat || st.Lang != "de" || st.Body() != "hi <" {
		t.Errorf("read %+v", st)
	}
	const want = `<message to='bob@example.org/x' from='a@b/c' id='1' type='chat' xml:lang='de'><body>hi &lt;</body><x xmlns='u:x'/></message>`
	if got := st.String(); got != want {
		t.Errorf("wrote\n%s\nwant\n%s", got, want)
	}
	other := jid.MustParse("carol@example.org/y")
	if got, want := string(st.Wire().AppendTo(nil, other)), st.With(st.From, other).String(); got != want {
		t.Errorf("wire\n%s\nwant\n%s", got, want)
	}
}

func TestFromElementRefuses(t *testing.T) {
	if _, err := FromElement(element(t, "<iqq/>")); !errors.Is(err, ErrNoStanza) {
		t.Errorf("unknown element: %v", err)
	}
	st, err := FromElement(element(t, "<iq to='a@@b' id='7' type='get'/>"))
	var se *Error
	if !errors.As(err, &se) || se.Condition != JIDMalformed || st == nil || st.ID != "7" {
		t.Errorf("bad address: %v, %v", st, err)
	}
}

func TestMarshalRoundTrip(t *testing.T) {
	st, err := FromElement(element(t, "<message to='b@x' from='a@x/r' id='q' xml:lang='en'><body xml:lang='fr'>a&amp;b</body><e xmlns='u'><f a='1'>t</f></e></message>"))
	if err != nil {
		t.Fatal(err)
	}
	back, err := Unmarshal(st.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	if back.String() != st.String() {
		t.Errorf("got\n%s\nwant\n%s", back, st)
	}
	for _, bad := range []string{"", "<message", "<x xmlns='jabber:client'/>", "<message xmlns='jabber:client'/><message xmlns='jabber:client'/>", "<message xmlns='jabber:client' to='@'/>"} {
		if _, err := Unmarshal([]byte(bad)); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
}

func TestErrorReply(t *testing.T) {
	iq := NewIQ(TypeGet, "5", xmlstream.NewNode("u", "q"))
	iq.From, iq.To = jid.MustParse("a@x/r"), jid.MustParse("b@x")
	e := &Error{Condition: Gone, URI: "xmpp:new@x", Text: "moved", App: xmlstream.NewNode("u:app", "why")}
	rep := iq.ErrorReply(e)
	got := rep.ErrorFrom()
	if rep.To != iq.From || rep.From != iq.To || rep.ID != "5" || rep.Type != TypeError {
		t.Errorf("reply %s", rep)
	}
	if got.Condition != Gone || got.Type != "cancel" || got.URI != "xmpp:new@x" || got.Text != "moved" || got.App == nil {
		t.Errorf("read back %+v", got)
	}
	if rep.ErrorReply(e) != nil {
		t.Error("an error was answered with an error")
	}
	if iq.Result().ErrorReply(e) != nil {
		t.Error("a result was answered with an error")
	}
	if c := AsError(errors.New("disk on fire")); c.Condition != InternalServerError || c.Node().Child(ns.Stanzas, "text").TextContent() == "disk on fire" {
		t.Error("the cause reached the peer")
	}
}

func TestQuery(t *testing.T) {
	if _, ok := NewIQ(TypeGet, "1").Query(); ok {
		t.Error("a request without a child has a query")
	}
	q, ok := NewIQ(TypeGet, "1", xmlstream.NewNode("u", "q")).Query()
	if !ok || q.Name() != (xmlstream.Name{Space: "u", Local: "q"}) {
		t.Error("no query")
	}
}

func BenchmarkWire(b *testing.B) {
	st, err := FromElement(element(b, "<message to='bob@example.org' from='alice@example.org/phone' id='abc' type='chat'><body>"+
		"one hundred bytes or so of text that a person might send to another person at some time of the day ...</body></message>"))
	if err != nil {
		b.Fatal(err)
	}
	to := jid.MustParse("bob@example.org/phone")
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = st.Wire().AppendTo(buf[:0], to)
	}
}
