package stream

import (
	"errors"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

func TestFrames(t *testing.T) {
	h := Header{Content: ns.Client, From: "example.org", To: "a&b@example.org", ID: "x'y", Version: "1.0", Lang: "en"}
	features := []*xmlstream.Node{xmlstream.NewNode(ns.Bind, "bind"), xmlstream.NewNode(ns.Client, "plain")}
	failure := &Error{Condition: HostUnknown, Text: "a < b", App: xmlstream.NewNode("urn:example", "more")}
	for _, tc := range []struct{ name, got, want string }{
		{"header", string(TCP.AppendHeader(nil, h)),
			"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='example.org' to='a&amp;b@example.org' id='x&apos;y' version='1.0' xml:lang='en'>"},
		{"framed header", string(Framed.AppendHeader(nil, Header{From: "example.org", Version: "1.0"})),
			"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='example.org' version='1.0'/>"},
		{"features", string(TCP.AppendFeatures(nil, features, ns.Client)),
			"<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><plain/></stream:features>"},
		{"framed features", string(Framed.AppendFeatures(nil, features, ns.Client)),
			"<stream:features xmlns:stream='http://etherx.jabber.org/streams'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><plain xmlns='jabber:client'/></stream:features>"},
		{"error", string(TCP.AppendError(nil, failure)),
			"<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>a &lt; b</text><more xmlns='urn:example'/></stream:error>"},
		{"error without a condition", string(TCP.AppendError(nil, &Error{})),
			"<stream:error><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"},
		{"end", string(TCP.AppendEnd(nil)), "</stream:stream>"},
		{"framed end", string(Framed.AppendEnd(nil)), "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.got != tc.want {
				t.Errorf("got  %s\nwant %s", tc.got, tc.want)
			}
		})
	}
}

// TestWholeStream: our own parser takes what is put together of the pieces.
func TestWholeStream(t *testing.T) {
	out := TCP.AppendHeader(nil, Header{Content: ns.Client, From: "example.org", ID: "1", Version: "1.0"})
	out = TCP.AppendFeatures(out, []*xmlstream.Node{xmlstream.NewNode(ns.TLS, "starttls")}, ns.Client)
	out = TCP.AppendError(out, NewError(Conflict, "text"))
	out = TCP.AppendEnd(out)
	d := xmlstream.NewDecoder(xmlstream.Maximum)
	_, _ = d.Write(out)
	var got []string
	for {
		kind, err := d.Next()
		if err != nil {
			t.Fatal(err)
		}
		if kind == xmlstream.NeedMore {
			break
		}
		name := kind.String()
		if kind == xmlstream.StanzaElement {
			var el xmlstream.Element
			d.Element(&el)
			name = el.Name.Space + " " + el.Name.Local
		}
		got = append(got, name)
	}
	want := "stream start," + ns.Stream + " features," + ns.Stream + " error,stream end"
	if strings.Join(got, ",") != want {
		t.Errorf("got %v", got)
	}
}

func TestAtLeast1(t *testing.T) {
	for v, want := range map[string]bool{"1.0": true, "1.1": true, "2.0": true, "01.0": true, "0.9": false, "": false, "1": false, "x.y": false, "-1.0": false} {
		if got := AtLeast1(v); got != want {
			t.Errorf("AtLeast1(%q) = %v", v, got)
		}
	}
}

func TestAsError(t *testing.T) {
	own := NewError(Conflict, "")
	if AsError(own) != own {
		t.Error("a stream error is not itself")
	}
	if e := AsError(&xmlstream.SyntaxError{Condition: xmlstream.RestrictedXML}); e.Condition != RestrictedXML || e.Text == "" {
		t.Errorf("a fault of XML is %+v", e)
	}
	cause := errors.New("disk on fire")
	e := AsError(cause)
	if e.Condition != InternalServerError || !errors.Is(e, cause) || strings.Contains(string(TCP.AppendError(nil, e)), "fire") {
		t.Errorf("an inner error is shown: %+v", e)
	}
}
