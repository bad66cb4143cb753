package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"
)

// chunks hands out data n bytes at a time.
type chunks struct {
	data []byte
	n    int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.n)], c.data)
	c.data = c.data[n:]
	return n, nil
}

func TestScanner(t *testing.T) {
	big := bytes.Repeat([]byte("x"), 3*scanInitial)
	stream := "<?xml version='1.0'?><stream:stream id='1' version='1.0'><stream:features><a/><b>t</b></stream:features>" +
		"<message to='a'><body>x</body></message>\n <presence/> <iq type='result' id=\"q\"><query><item/></query></iq>" +
		"<r xmlns='urn:xmpp:sm:3'/><message><body>" + string(big) + "</body></message></stream:stream>"
	want := []byte{kindStream, kindOther, kindMessage, kindPresence, kindIQ, kindAckReq, kindMessage}
	for _, n := range []int{1, 2, 7, 100, 1 << 20} {
		var s Scanner
		s.Reset(&chunks{[]byte(stream), n}, 0)
		var got []byte
		for {
			b, k, err := s.Next()
			if err != nil {
				if !errors.Is(err, errStreamEnd) {
					t.Fatalf("chunks of %d: %v", n, err)
				}
				break
			}
			got = append(got, k)
			if b[0] != '<' || b[len(b)-1] != '>' {
				t.Errorf("chunks of %d: unit %.60q", n, b)
			}
			if k == kindIQ && (string(attr(b, "id")) != "q" || string(attr(b, "type")) != "result") {
				t.Errorf("attributes of %q", b)
			}
			if k == kindPresence && string(b) != "<presence/>" {
				t.Errorf("presence is %q", b)
			}
		}
		if !bytes.Equal(got, want) {
			t.Errorf("chunks of %d: kinds %q, want %q", n, got, want)
		}
	}
}

func TestHist(t *testing.T) {
	h := &Hist{}
	for i := int64(1); i <= 100000; i++ {
		h.Add(i * 1000)
	}
	for _, q := range []float64{0.01, 0.5, 0.99, 0.999} {
		got, want := float64(h.Quantile(q)), q*1e8
		if got < want*0.98 || got > want*1.02 {
			t.Errorf("quantile %v is %v, want about %v", q, got, want)
		}
	}
	for _, v := range []uint64{0, 1, 63, 64, 65, 127, 128, 1 << 20, 1<<39 + 12345} {
		if w := histValue(histIndex(v)); float64(w) < float64(v)*0.98-1 || float64(w) > float64(v)*1.02+1 {
			t.Errorf("value %d became %d", v, w)
		}
	}
	h.Add(1 << 62)
	if h.Quantile(1) == 0 {
		t.Error("overflow lost")
	}
}

// The example of RFC 5802, section 5.
func TestScram(t *testing.T) {
	s, err := newScram("SCRAM-SHA-1", "user")
	if err != nil {
		t.Fatal(err)
	}
	s.nonce = "fyko+d2lbbFgONRv9qkxdawL"
	s.first = "n=user,r=" + s.nonce
	got, err := s.final(openKeyCache(""), "pencil", []byte("r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := s.verify([]byte("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=")); err != nil {
		t.Error(err)
	}
	if s.verify([]byte("v="+base64.StdEncoding.EncodeToString(make([]byte, 20)))) == nil {
		t.Error("wrong signature accepted")
	}
}

func TestTemplate(t *testing.T) {
	m := newTemplate("u1@bench.test", "chat", 7, 100)
	ns, sender, seq, ok := readMark(m.stamp(123456789, 42))
	if !ok || ns != 123456789 || sender != 7 || seq != 42 {
		t.Errorf("marker %d %d %d %v in %s", ns, sender, seq, ok, m.b)
	}
	if n := len(inner(m.b, "<body")); n != 100 {
		t.Errorf("body of %d bytes", n)
	}
	if _, _, _, ok := readMark([]byte("<message><body>hello</body></message>")); ok {
		t.Error("marker found where none is")
	}
}

func TestDNS(t *testing.T) {
	hosts := map[string]*net.UDPAddr{"a.test": {IP: net.IPv4(127, 0, 91, 2), Port: 5269}}
	query := func(typ byte, labels ...string) []byte {
		q := []byte{1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
		for _, l := range labels {
			q = append(append(q, byte(len(l))), l...)
		}
		return dnsAnswer(append(q, 0, 0, typ, 0, 1), hosts)
	}
	for _, c := range []struct {
		a       []byte
		rcode   byte
		answers byte
	}{
		{query(1, "A", "test"), 0, 1},
		{query(28, "a", "test"), 0, 0},
		{query(33, "_xmpp-server", "_tcp", "a", "test"), 0, 1},
		{query(33, "_xmpps-server", "_tcp", "a", "test"), 3, 0},
		{query(1, "b", "test"), 3, 0},
	} {
		if len(c.a) < 12 || c.a[3]&15 != c.rcode || c.a[7] != c.answers {
			t.Errorf("answer %s", fmt.Sprintf("%x", c.a))
		}
	}
	if dnsAnswer([]byte{1, 2, 3}, hosts) != nil {
		t.Error("answer to rubbish")
	}
}

func TestAckWindow(t *testing.T) {
	var got []int64
	take := func(ns int64) { got = append(got, ns) }
	// The counter wraps around within this test.
	for _, base := range []uint32{0, 3, 1<<32 - 4, 1<<32 - 1} {
		w := &ackWindow{base: base, size: 4, every: 3}
		got = nil
		var asks []int
		for i := 1; !w.full(); i++ {
			w.note(int64(i))
			if w.due() {
				w.ask()
				asks = append(asks, i)
			}
			if i == 2 {
				w.note(notMsg) // presence counts in h, not in the window
			}
		}
		// After three messages and when the window is full.
		if fmt.Sprint(asks) != "[3 4]" || w.asked != 2 || w.noted != 5 {
			t.Errorf("base %d: asked after %v, %d open, %d stanzas", base, asks, w.asked, w.noted)
		}
		for _, c := range []struct {
			h    uint32
			ok   bool
			done int
		}{
			{base, true, 0},
			{base + 2, true, 2},
			{base + 3, true, 2}, // the presence
			{base + 1, false, 2},
			{base + 6, false, 2}, // more than was sent
			{base + 3, true, 2},
			{base + 5, true, 4},
		} {
			if ok := w.ack(c.h, take); ok != c.ok || w.done != c.done {
				t.Errorf("base %d: h=%d: %v, %d done, want %v, %d", base, c.h, ok, w.done, c.ok, c.done)
			}
		}
		if fmt.Sprint(got) != "[1 2 3 4]" || w.asked != 0 || len(w.out) != 0 || w.full() || w.due() {
			t.Errorf("base %d: acknowledged %v, %d open, left %v", base, got, w.asked, w.out)
		}
		w.note(9)
		if w.due() || !w.ack(base+6, take) || w.done != 5 {
			t.Errorf("base %d: does not go on: %+v", base, w)
		}
	}
	if b := []byte("<a xmlns='urn:xmpp:sm:3' h='4294967295'/>"); kindOf(b) != kindAck {
		t.Error("not an acknowledgement")
	} else if h, ok := ackH(b); !ok || h != 1<<32-1 {
		t.Errorf("h is %d, %v", h, ok)
	}
	if _, ok := ackH([]byte("<a h='4294967296'/>")); ok {
		t.Error("h beyond 32 bits accepted")
	}
}

func TestAway(t *testing.T) {
	a := &awayTo{tmpl: newTemplate("", "chat", 3, 60), rnd: rand.New(rand.NewPCG(1, 0)), share: 0.25,
		addr: func(i int) string { return fmt.Sprint("u", i, "@bench.test") }, n: 1000}
	n := 0
	for i := 0; i < 1000; i++ {
		if !a.turn() {
			continue
		}
		n++
		b := a.stamp(int64(i))
		ns, sender, seq, ok := readMark(b)
		if !ok || ns != int64(i) || sender != 3 || int(seq) != n-1 || !bytes.HasSuffix(attr(b, "to"), []byte("@bench.test")) {
			t.Fatalf("stanza %s", b)
		}
	}
	if n != 250 {
		t.Errorf("%d of 1000 messages", n)
	}
}

func TestTally(t *testing.T) {
	k := kcKey{1, 0, 7}
	if got, ok := parseKC("r1", []byte(k.id("r1"))); !ok || got != k {
		t.Errorf("%s became %v, %v", k.id("r1"), got, ok)
	}
	for _, s := range []string{"", "kc-r2-1-0-7", "kc-r1-1-0", "kc-r1-1-0-x", "xx-r1-1-0-7"} {
		if _, ok := parseKC("r1", []byte(s)); ok {
			t.Errorf("id %q accepted", s)
		}
	}
	b := []byte("<message to='u1@bench.test' id='outer'><result id='77' xmlns='urn:xmpp:mam:2'><forwarded xmlns='urn:xmpp:forward:0'>" +
		"<message to='u1@bench.test' id='kc-r1-1-0-7'><body>x</body></message></forwarded></result></message>")
	if s := string(forwardedID(b)); s != k.id("r1") {
		t.Errorf("id of the forwarded message is %q", s)
	}
	rounds := [][]kcSent{{{5, 3}}, {{4, 4}}}
	archive := map[kcKey]int{
		{0, 0, 0}: 1, {0, 0, 1}: 2, {0, 0, 3}: 1, // 2 is lost, 3 was not acknowledged
		{1, 0, 0}: 1, {1, 0, 1}: 1, // 2 and 3 are lost
	}
	other := map[kcKey]bool{{1, 0, 3}: true}
	var lost []kcKey
	got := tally(rounds, 0, 2, archive, other, func(k kcKey) { lost = append(lost, k) })
	if want := (kcTally{sent: 9, acked: 7, lost: 3, lostAnywhere: 2, doubled: 1, unackedFound: 1, found: 5}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if fmt.Sprint(lost) != "[{0 0 2} {1 0 2} {1 0 3}]" {
		t.Errorf("lost %v", lost)
	}
}

// TestOrderOf: a message behind one that was sent after it is late; each is counted once.
func TestOrderOf(t *testing.T) {
	for _, tc := range []struct {
		name string
		came []kcKey
		late int
	}{
		{"in order", []kcKey{{0, 0, 0}, {0, 0, 1}, {0, 0, 5}, {1, 0, 0}}, 0},
		{"one behind", []kcKey{{0, 0, 1}, {0, 0, 0}, {0, 0, 2}}, 1},
		{"two behind", []kcKey{{0, 0, 7}, {0, 0, 0}, {0, 0, 2}, {0, 0, 8}}, 2},
		{"an earlier round", []kcKey{{1, 0, 0}, {0, 0, 9}}, 1},
		{"nothing", nil, 0},
	} {
		var o orderOf
		n := 0
		for _, m := range tc.came {
			if o.late(m) {
				n++
			}
		}
		if n != tc.late {
			t.Errorf("%s: %d are late, want %d", tc.name, n, tc.late)
		}
	}
}

// TestOfflineJudge: what is lost, refused, doubled.
func TestOfflineJudge(t *testing.T) {
	k := &killcheck{sent: [][]kcSent{{{sent: 6, acked: 5}}}, direct: map[kcKey]bool{{0, 0, 3}: true}}
	j := newOfflineJudge(k)
	for _, m := range []kcKey{{0, 0, 0}, {0, 0, 1}, {0, 0, 1}, {0, 0, 5}} { // 2 is lost, 3 was sent back, 4 is lost
		j.found[m]++
	}
	got := j.judge(0, 1, func(kcKey) {})
	fig := map[string]float64{}
	j.figures(got, fig)
	if got.doubled != 1 || got.unackedFound != 1 || fig["lost"] != 2 || fig["refused"] != 1 {
		t.Errorf("%+v, %v", got, fig)
	}
}
