package xmlstream

import (
	"io"
	"sync"
)

// Kind is what Decoder.Next found.
type Kind uint8

const (
	NeedMore      Kind = iota // nothing complete: Write more, or Release the buffer if Idle
	StreamStart               // the stream header; see Decoder.Start
	StanzaElement             // a complete first-level element; see Decoder.Element
	StreamEnd                 // the end tag of the stream; nothing but white space may follow
)

func (k Kind) String() string {
	return [...]string{"need more", "stream start", "element", "stream end"}[k]
}

// Decoder reads one stream. What it yields depends on the bytes alone and never on how they were cut
// into pieces. After an error it stays there.
type Decoder struct {
	lim     Limits
	s       *scratch // nil while nothing is held
	err     error
	header  Header
	root    rootScope
	content int32 // space of the stream's content, or noSpace until it is known
	phase   phase
	framed  bool
}

type phase uint8

const (
	atStart   phase = iota // nothing read yet
	afterMark              // an XML declaration may come
	inProlog               // only the stream header may come
	inStream
	atEnd
)

// NewDecoder returns a decoder for a stream as TCP carries it.
func NewDecoder(lim Limits) *Decoder { return &Decoder{lim: lim.clamped()} }

// NewFramedDecoder returns a decoder for the frames of a WebSocket (RFC 7395); use Frame.
func NewFramedDecoder(lim Limits) *Decoder {
	return &Decoder{lim: lim.clamped(), framed: true, phase: inStream, content: clientSpace}
}

// SetLimits changes the limits, for example after authentication.
func (d *Decoder) SetLimits(lim Limits) { d.lim = lim.clamped() }

// Write appends bytes for Next to read; it never fails. Call Next until it needs more before
// writing again, so that no more is held than one incomplete token.
func (d *Decoder) Write(p []byte) (int, error) {
	if len(p) > 0 && d.err == nil {
		d.hold().input(p)
	}
	return len(p), nil
}

// Fill reads once from r, straight into the decoder's buffer.
func (d *Decoder) Fill(r io.Reader) (int, error) {
	s := d.hold()
	s.makeRoom(minRead)
	n, err := r.Read(s.in[len(s.in):cap(s.in)])
	s.in = s.in[:len(s.in)+n]
	return n, err
}

// Next reads on. What it yields stays valid until the next call.
func (d *Decoder) Next() (Kind, error) {
	if d.err != nil || d.s == nil {
		return NeedMore, d.err
	}
	s := d.s
	if s.complete {
		s.forget()
	}
	for {
		b := s.in[s.pos:]
		room := d.lim.MaxBytes - s.used
		capped := len(b) > room
		if capped {
			b = b[:max(room, 0)]
		}
		n, kind := 0, NeedMore
		if len(b) > 0 {
			n, kind, d.err = d.step(b)
		}
		if n == 0 && kind == NeedMore && capped && d.err == nil {
			d.err = refuse(PolicyViolation, "element too large")
		}
		if d.err != nil {
			return NeedMore, d.err
		}
		s.pos += n
		if len(s.stack) > 0 {
			s.used += n
		}
		if kind != NeedMore || n == 0 {
			return kind, nil
		}
	}
}

// step reads one token at the start of b. It returns no length if b has to grow first.
func (d *Decoder) step(b []byte) (int, Kind, error) {
	if d.phase == atStart {
		if n, err := d.skipMark(b); n > 0 || err != nil || d.phase == atStart {
			return n, NeedMore, err
		}
	}
	switch {
	case d.s.cdata:
		n, err := d.s.lexCDATA(b)
		return n, NeedMore, err
	case b[0] != '<' && len(d.s.stack) > 0:
		n, err := d.s.lexText(b)
		return n, NeedMore, err
	case b[0] != '<':
		n, err := d.skipSpace(b)
		return n, NeedMore, err
	case len(b) < 2:
		return 0, NeedMore, nil
	}
	switch b[1] {
	case '?':
		n, err := d.lexDeclaration(b)
		return n, NeedMore, err
	case '!':
		n, err := d.lexMarkup(b)
		return n, NeedMore, err
	case '/':
		return d.endTag(b)
	}
	return d.startTag(b)
}

// Start returns the stream header, once Next has said StreamStart.
func (d *Decoder) Start() *Header { return &d.header }

// Frame reads one WebSocket frame, which must hold exactly one element (RFC 7395 §3.3). <open/> is a
// StreamStart and <close/> a StreamEnd.
func (d *Decoder) Frame(p []byte) (Kind, error) {
	_, _ = d.Write(p)
	if d.err == nil && (len(p) == 0 || p[0] != '<') {
		d.err = refuse(NotWellFormed, "a frame begins with <")
	}
	kind, err := d.Next()
	if err != nil {
		return NeedMore, err
	}
	rest := d.s.in[d.s.pos:]
	if n := countSpace(rest); kind == NeedMore || n < len(rest) {
		d.err = refuse(NotWellFormed, "a frame holds exactly one element")
		return NeedMore, d.err
	}
	d.s.pos = len(d.s.in)
	return kind, nil
}

// Idle reports that nothing incomplete is held, so that Release may be called.
func (d *Decoder) Idle() bool {
	return d.s == nil || d.Buffered() == 0 && len(d.s.stack) == 0
}

// Release gives the buffers back if the decoder is idle; the next Write takes others. What Next yielded
// before is gone, except what Element returned.
func (d *Decoder) Release() {
	if d.s != nil && d.Idle() {
		d.s.free()
		d.s = nil
	}
}

// Close gives the buffers back in any state. The decoder yields nothing any more.
func (d *Decoder) Close() {
	if d.err == nil {
		d.err = io.ErrClosedPipe
	}
	if d.s != nil {
		d.s.free()
		d.s = nil
	}
}

// Buffered returns how many bytes have been written and not been read. After <starttls/> any of them
// were sent in the clear to be taken for protected ones: close the stream then.
func (d *Decoder) Buffered() int {
	if d.s == nil {
		return 0
	}
	return len(d.s.in) - d.s.pos
}

// Reset begins a new stream (RFC 6120 §4.3.3). Bytes that have been written and not been read belong
// to it, and their number is returned.
func (d *Decoder) Reset() int {
	d.header, d.root = Header{}, rootScope{}
	d.content, d.phase = noSpace, atStart
	if d.framed {
		d.content, d.phase = clientSpace, inStream
	}
	if d.s != nil {
		d.s.restart()
	}
	return d.Buffered()
}

// hold makes sure that there are buffers.
func (d *Decoder) hold() *scratch {
	if d.s == nil {
		d.s = scratches.Get().(*scratch)
		d.s.restart()
		d.root.enter(d.s)
	}
	return d.s
}

// scratches are the buffers of decoders that are in the middle of something. The pool holds capacity
// and never content.
var scratches = sync.Pool{New: func() any { return newScratch() }}

const (
	minRead        = 4 << 10
	maxPooledCap   = 64 << 10
	maxPooledIndex = 1 << 10
)

// Element fills dst with the element that Next has found. dst.Attrs is used again if it has room, so
// a caller that keeps the attributes passes a fresh Element. It costs one allocation of the exact size.
func (d *Decoder) Element(dst *Element) {
	s := d.s
	if s == nil || !s.complete || len(s.header) == 0 {
		*dst = Element{}
		return
	}
	all := string(s.out)
	top := s.header[0]
	dst.Name = Name{s.spaceName(canonicalSpace(top.space)), ownString(s.names[top.nameOff:top.nameEnd])}
	dst.Attrs, dst.Lang = dst.Attrs[:0], ""
	for _, a := range s.header[1:] {
		value := all[a.valueOff:a.valueEnd]
		local := s.names[a.nameOff:a.nameEnd]
		if a.space == xmlSpace && string(local) == "lang" {
			dst.Lang = value
			continue
		}
		dst.Attrs = append(dst.Attrs, Attr{Name{s.spaceName(a.space), attrName(local)}, value})
	}
	dst.Inner = Fragment{all[s.inner:s.innerEnd], all[s.innerEnd:]}
}

// attrName spares most attributes of stanzas a look into the vocabulary.
func attrName(b []byte) string {
	switch string(b) {
	case "to":
		return "to"
	case "from":
		return "from"
	case "id":
		return "id"
	case "type":
		return "type"
	}
	return ownString(b)
}

// ParseFragment reads inner XML that was canonical once, such as a row of the store, as strictly as
// everything else. Unprefixed names are in the content namespace.
func ParseFragment(canonical []byte) (Fragment, error) {
	if len(canonical) == 0 {
		return Fragment{}, nil
	}
	d := Decoder{lim: Maximum, content: clientSpace, phase: inStream}
	d.hold()
	defer d.Close()
	d.s.openDocument()
	d.s.input(canonical)
	d.s.input([]byte("</" + documentName + ">"))
	kind, err := d.Next()
	if err != nil {
		return Fragment{}, err
	}
	if kind != StanzaElement || d.Buffered() > 0 {
		return Fragment{}, refuse(NotWellFormed, "a fragment ends too early or too late")
	}
	all := string(d.s.out)
	return Fragment{all[d.s.inner:d.s.innerEnd], all[d.s.innerEnd:]}, nil
}
