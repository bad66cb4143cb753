package xmlstream

import (
	"fmt"
	"strings"
	"testing"
)

func TestLimits(t *testing.T) {
	// Room for everything, so that each case meets one limit.
	wide := Limits{MaxBytes: 4000, MaxDepth: 20, MaxAttrs: 20, MaxElements: 50, MaxNamespaces: 20, MaxNameLen: 50, MaxAttrLen: 500}
	attrs := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, " a%d=''", i)
		}
		return b.String()
	}
	declarations := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, " xmlns:p%d='u%d'", i, i)
		}
		return b.String()
	}
	nested := func(n int) string { return strings.Repeat("<a>", n) + strings.Repeat("</a>", n) }
	flat := func(n int) string { return "<a>" + strings.Repeat("<b/>", n-1) + "</a>" }
	sized := func(n int) string { return "<a>" + strings.Repeat("x", n-7) + "</a>" }

	for _, c := range []struct {
		name     string
		at, over string
	}{
		{"bytes in text", sized(4000), sized(4001)},
		{"bytes in one tag", "<a" + strings.Repeat(" ", 3996) + "/>", "<a" + strings.Repeat(" ", 3997) + "/>"},
		{"bytes in CDATA", "<a><![CDATA[" + strings.Repeat("x", 3981) + "]]></a>", "<a><![CDATA[" + strings.Repeat("x", 3982) + "]]></a>"},
		{"bytes in an end tag", "<a></a" + strings.Repeat(" ", 3993) + ">", "<a></a" + strings.Repeat(" ", 3994) + ">"},
		{"bytes of multi-byte characters", "<a>" + strings.Repeat("é", 1996) + "</a>", "<a>" + strings.Repeat("é", 1997) + "</a>"},
		{"canonical bytes of text", "<a>" + strings.Repeat(">", 1000) + "</a>", "<a>" + strings.Repeat(">", 1001) + "</a>"},
		{"canonical bytes of a namespace", "<p:a xmlns:p='" + strings.Repeat("u", 200) + "'>" + strings.Repeat("<p:b/>", 18) + "</p:a>",
			"<p:a xmlns:p='" + strings.Repeat("u", 200) + "'>" + strings.Repeat("<p:b/>", 19) + "</p:a>"},
		{"depth", nested(20), nested(21)},
		{"attributes", "<a" + attrs(20) + "/>", "<a" + attrs(21) + "/>"},
		{"declarations are attributes", "<a" + declarations(10) + attrs(10) + "/>", "<a" + declarations(11) + attrs(10) + "/>"},
		{"elements", flat(50), flat(51)},
		{"namespaces in scope", "<a" + declarations(10) + "><b" + declarations(10) + "/><b" + declarations(10) + "/></a>",
			"<a" + declarations(10) + "><b" + declarations(11) + "/></a>"},
		{"length of an element's name", "<" + strings.Repeat("a", 50) + "/>", "<" + strings.Repeat("a", 51) + "/>"},
		{"length of a name with its prefix", "<" + strings.Repeat("p", 20) + ":" + strings.Repeat("a", 29) + " xmlns:" + strings.Repeat("p", 20) + "='u'/>",
			"<" + strings.Repeat("p", 20) + ":" + strings.Repeat("a", 30) + " xmlns:" + strings.Repeat("p", 20) + "='u'/>"},
		{"length of an attribute's name", "<a " + strings.Repeat("a", 50) + "=''/>", "<a " + strings.Repeat("a", 51) + "=''/>"},
		{"length of a value", "<a x='" + strings.Repeat("a", 500) + "'/>", "<a x='" + strings.Repeat("a", 501) + "'/>"},
		{"length of a value of multi-byte characters", "<a x='" + strings.Repeat("é", 250) + "'/>", "<a x='a" + strings.Repeat("é", 250) + "'/>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if o := decodeStream(t, wide, c.at); len(o.events) != 1 || o.condition != "" {
				t.Errorf("at the limit: %.200v", o)
			}
			if o := decodeStream(t, wide, c.over); len(o.events) != 0 || o.condition != PolicyViolation {
				t.Errorf("over the limit: %.200v", o)
			}
			// The limit is per first-level element.
			if o := decodeStream(t, wide, strings.Repeat(c.at+" ", 3)); len(o.events) != 3 {
				t.Errorf("three in a row: %.200v", o)
			}
		})
	}
}

func TestNamespaceNameHasALimitOfItsOwn(t *testing.T) {
	in := "<a xmlns='" + strings.Repeat("u", maxNamespaceLen) + "'/>"
	if o := decodeStream(t, Maximum, in); len(o.events) != 1 {
		t.Errorf("at the limit: %.100v", o)
	}
	in = "<a xmlns='" + strings.Repeat("u", maxNamespaceLen+1) + "'/>"
	if o := decodeStream(t, Maximum, in); o.condition != PolicyViolation {
		t.Errorf("over the limit: %.100v", o)
	}
}

func TestLimitsHoldForTheHeader(t *testing.T) {
	for name, in := range map[string]string{
		"bytes":      "<stream" + strings.Repeat(" ", PreAuth.MaxBytes),
		"attribute":  "<stream to='" + strings.Repeat("x", PreAuth.MaxAttrLen+1),
		"name":       "<" + strings.Repeat("x", PreAuth.MaxNameLen+1),
		"attributes": "<stream" + strings.Repeat(" x", 1) + "=''" + strings.Repeat(" y=''", PreAuth.MaxAttrs),
	} {
		if o := decodeBytes(t, PreAuth, in, false); o.condition != PolicyViolation {
			t.Errorf("%s: %v", name, o)
		}
	}
}

// White space between elements keeps a connection open for days; it must not add up.
func TestKeepAliveIsFree(t *testing.T) {
	d := NewDecoder(PreAuth)
	var o outcome
	_, _ = d.Write([]byte(header))
	o.drain(d)
	space := []byte(strings.Repeat(" ", 1000))
	for range 100 {
		_, _ = d.Write(space)
		o.drain(d)
	}
	if !d.Idle() || o.condition != "" {
		t.Errorf("after white space: idle %v, %v", d.Idle(), o)
	}
	_, _ = d.Write([]byte("<a/>"))
	if o.drain(d); len(o.events) != 2 {
		t.Errorf("got %v", o)
	}
}

func TestSetLimits(t *testing.T) {
	d := NewDecoder(PreAuth)
	var o outcome
	_, _ = d.Write([]byte(header))
	o.drain(d)
	d.SetLimits(C2S)
	_, _ = d.Write([]byte("<a>" + strings.Repeat("x", 2*PreAuth.MaxBytes) + "</a>"))
	if o.drain(d); len(o.events) != 2 {
		t.Errorf("got %.100v", o)
	}
	d.SetLimits(PreAuth)
	_, _ = d.Write([]byte("<a>" + strings.Repeat("x", 2*PreAuth.MaxBytes) + "</a>"))
	if o.drain(d); o.condition != PolicyViolation {
		t.Errorf("got %.100v", o)
	}
}

func TestUnsetLimitsAreTheMaximum(t *testing.T) {
	if got := (Limits{}).clamped(); got != Maximum {
		t.Errorf("got %+v", got)
	}
	if got := (Limits{MaxBytes: 1 << 40, MaxDepth: 3}).clamped(); got.MaxBytes != Maximum.MaxBytes || got.MaxDepth != 3 {
		t.Errorf("got %+v", got)
	}
}
