package xmlstream

import (
	"bytes"

	"github.com/viaduct-xmpp/viaduct/core/ns"
)

// endTag reads an end tag (XML 1.0 §3.1).
func (d *Decoder) endTag(b []byte) (int, Kind, error) {
	s := d.s
	end, err := s.lexEndTag(b)
	if err != nil || end == 0 {
		return 0, NeedMore, err
	}
	name := b[len("</") : end-len(">")]
	for len(name) > 0 && charClass[name[len(name)-1]]&spaceByte != 0 {
		name = name[:len(name)-1]
	}
	if len(s.stack) > 0 {
		open := s.stack[len(s.stack)-1].name
		if !bytes.Equal(name, s.names[open.off:open.end]) {
			return 0, NeedMore, errMismatch
		}
		kind, err := d.closeElement()
		return end, kind, err
	}
	if len(name) == 0 || string(name) != d.root.name {
		return 0, NeedMore, errMismatch
	}
	d.phase, d.root.name = atEnd, ""
	return end, StreamEnd, nil
}

var errMismatch = refuse(NotWellFormed, "an end tag that does not match")

// lexEndTag returns the length of the end tag at the start of b, or nothing if b ends first.
func (s *scratch) lexEndTag(b []byte) (int, error) {
	for i := max(s.tag.at, len("</")); i < len(b); i++ {
		switch b[i] {
		case '>':
			s.tag.at = 0
			return i + 1, nil
		case '<':
			return 0, refuse(NotWellFormed, "< in an end tag")
		}
	}
	s.tag.at = len(b)
	return 0, nil
}

// closeElement ends the innermost element.
func (d *Decoder) closeElement() (Kind, error) {
	if !d.s.pop() {
		return NeedMore, nil
	}
	if len(d.s.out)-len(d.s.index)*entrySize > d.lim.MaxBytes {
		return NeedMore, refuse(PolicyViolation, "element too large")
	}
	if d.framed {
		return d.framing(), nil
	}
	return StanzaElement, nil
}

// framing tells <open/> and <close/> from other frames (RFC 7395 §3.3.2).
func (d *Decoder) framing() Kind {
	var e Element
	if top := d.s.header[0]; d.s.spaceName(top.space) != ns.Framing {
		return StanzaElement
	}
	d.Element(&e)
	switch e.Name.Local {
	case "open":
		d.header = Header{Name: e.Name, ContentNS: ns.Client, Lang: e.Lang}
		for _, a := range e.Attrs {
			d.header.set(a.Name, a.Value)
		}
		return StreamStart
	case "close":
		d.phase = atEnd
		return StreamEnd
	}
	return StanzaElement
}
