package xmlstream

import (
	"runtime"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/ns"
)

func TestNoAllocations(t *testing.T) {
	d := benchDecoder(t)
	in := []byte(benchMessage)
	var e Element
	var out []byte
	next := func() {
		_, _ = d.Write(in)
		if kind, err := d.Next(); kind != StanzaElement || err != nil {
			t.Fatal(kind, err)
		}
	}
	next()
	d.Element(&e)
	n := e.Node()
	for _, c := range []struct {
		name string
		want float64
		run  func()
	}{
		{"tokenize", 0, next},
		{"release between elements", 0, func() { next(); d.Release() }},
		{"element", 1, func() { next(); d.Element(&e) }},
		{"serialize an element", 0, func() { out = AppendElement(out[:0], &e, ns.Client) }},
		{"serialize a tree", 0, func() { out = AppendNode(out[:0], n, ns.Client) }},
		{"find a child", 0, func() {
			if _, ok := e.Inner.Child(ns.StanzaID, "origin-id"); !ok {
				t.Fatal("not found")
			}
		}},
		{"read an attribute", 0, func() {
			if c, ok := e.Inner.Child(ns.StanzaID, "origin-id"); !ok || c.Attr("id") != "9f2" {
				t.Fatal("not found")
			}
		}},
		{"drop nothing", 0, func() { e.Inner.Without(func(Child) bool { return false }) }},
		{"drop a child", 1, func() { e.Inner.Without(func(c Child) bool { return c.Is(ns.Receipts, "request") }) }},
		{"add a child", 1, func() { e.Inner.With(n) }},
	} {
		if raceDetector && c.name != "find a child" {
			continue // the detector makes sync.Pool forget at random
		}
		if got := testing.AllocsPerRun(200, c.run); got > c.want {
			t.Errorf("%s: %v allocations, want %v", c.name, got, c.want)
		}
	}
}

// hostile are inputs that are cheap to send and meant to be dear to read.
func hostile() map[string]string {
	return map[string]string{
		"nesting":            strings.Repeat("<a>", 1<<16),
		"flat":               "<a>" + strings.Repeat("<b/>", 1<<15),
		"attributes":         "<a" + strings.Repeat(" a=''", 1<<15),
		"distinct names":     "<a>" + distinct(1<<14, "<n%/>"),
		"declarations":       "<a>" + distinct(1<<13, "<b xmlns:p%='u%'/>"),
		"long namespace":     "<p:a xmlns:p='" + strings.Repeat("u", maxNamespaceLen) + "'>" + strings.Repeat("<p:b/><c/>", 1<<13),
		"escapes":            "<a>" + strings.Repeat(">", 1<<17),
		"apostrophes":        `<a><b x="` + strings.Repeat("'", 1<<13) + `"/>`,
		"references":         "<a>" + strings.Repeat("&#38;", 1<<15),
		"one value":          "<a x='" + strings.Repeat("x", 1<<18),
		"one name":           "<" + strings.Repeat("x", 1<<18),
		"one text":           "<a>" + strings.Repeat("x", 1<<18),
		"CDATA":              "<a>" + strings.Repeat("<![CDATA[x]]>", 1<<14),
		"white space in tag": "<a" + strings.Repeat(" ", 1<<18),
		"small stanzas":      strings.Repeat("<a/>", 1<<15),
		"stanzas with names": distinct(1<<13, "<n% xmlns='u%' a%='1'/>"),
		"namespaced attrs":   "<a xmlns:p='" + strings.Repeat("u", 500) + "'>" + strings.Repeat("<b p:x=''/>", 1<<13),
	}
}

func distinct(n int, pattern string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(pattern, "%", strings.Repeat(string(rune('a'+i%26)), 1+i%5)+string(rune('a'+i/26%26))+string(rune('a'+i/676%26))))
	}
	return b.String()
}

// What a peer can make the decoder allocate is bounded per byte that it sent (attack 2), and so is what the
// decoder holds.
func TestMemoryPerInputByte(t *testing.T) {
	const (
		perByte = 24        // > becomes &gt; in a buffer that grows by doubling
		fixed   = 512 << 10 // first buffers
	)
	for name, in := range hostile() {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		d := NewDecoder(C2S)
		_, _ = d.Write([]byte(header))
		elements := 0
		const piece = 1400
		for rest := in; rest != ""; {
			n := min(piece, len(rest))
			_, _ = d.Write([]byte(rest[:n]))
			rest = rest[n:]
			for {
				kind, err := d.Next()
				if err != nil || kind == NeedMore {
					break
				}
				if kind == StanzaElement {
					var e Element
					d.Element(&e)
					elements++
				}
			}
		}
		runtime.ReadMemStats(&after)
		if got, most := after.TotalAlloc-before.TotalAlloc, uint64(fixed+perByte*len(in)); got > most {
			t.Errorf("%s: %d bytes for %d bytes of input and %d elements, at most %d", name, got, len(in), elements, most)
		}
		if held := cap(d.s.in) + cap(d.s.out) + cap(d.s.tmp) + cap(d.s.names) + cap(d.s.strings) + 20*cap(d.s.index) +
			48*cap(d.s.stack) + 32*cap(d.s.tag.attrs); held > 8*C2S.MaxBytes {
			t.Errorf("%s: %d bytes are held", name, held)
		}
		d.Close()
	}
}
