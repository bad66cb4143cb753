package xmlstream

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/viaduct-xmpp/viaduct/core/ns"
)

// startTag reads a start tag.
func (d *Decoder) startTag(b []byte) (int, Kind, error) {
	if d.phase == atEnd {
		return 0, NeedMore, refuse(NotWellFormed, "an element behind the stream's end")
	}
	t := &d.s.tag
	done, err := t.lex(b, &d.lim)
	if err != nil || !done {
		return 0, NeedMore, err
	}
	n := t.at
	kind, err := d.openElement(b[:n], t)
	t.reset()
	return n, kind, err
}

// openElement takes in a complete start tag.
func (d *Decoder) openElement(b []byte, t *tag) (Kind, error) {
	s := d.s
	f := frame{marks: s.marks(), def: s.baseDef}
	if len(s.stack) > 0 {
		f.def = s.stack[len(s.stack)-1].def
	}
	if err := d.declare(b, t, &f); err != nil {
		return NeedMore, err
	}
	if err := s.resolve(b, t, &f); err != nil {
		return NeedMore, err
	}
	if d.phase < inStream {
		return StreamStart, d.openStream(b, t, &f)
	}
	if s.elements++; s.elements > d.lim.MaxElements {
		return NeedMore, refuse(PolicyViolation, "too many elements")
	}
	if len(s.stack) >= d.lim.MaxDepth {
		return NeedMore, refuse(PolicyViolation, "elements nested too deep")
	}
	if len(s.stack) == 0 {
		if err := d.openFirstLevel(b, t, &f); err != nil {
			return NeedMore, err
		}
	} else if err := s.openChild(b, t, &f); err != nil {
		return NeedMore, err
	}
	// What prefixes abbreviated is written out, so the limit holds for the result as well.
	if len(s.out) > d.lim.MaxBytes {
		return NeedMore, refuse(PolicyViolation, "element too large")
	}
	if t.selfClosing {
		return d.closeElement()
	}
	return NeedMore, nil
}

// declare takes in the namespace declarations of a tag (Namespaces in XML 1.0 §3).
func (d *Decoder) declare(b []byte, t *tag, f *frame) error {
	s := d.s
	for i := range t.attrs {
		a := &t.attrs[i]
		if !a.declares {
			continue
		}
		name := a.value(b)
		if a.dirty {
			var err error
			if s.tmp, err = decodeValue(s.tmp[:0], name); err != nil {
				return err
			}
			name = s.tmp
		}
		if len(name) > maxNamespaceLen || !validSpace(name) {
			return refuse(PolicyViolation, "namespace name too long or not an IRI")
		}
		var prefix []byte
		if a.colon >= a.nameOff {
			prefix = a.local(b)
		}
		if err := checkDeclaration(prefix, name); err != nil {
			return err
		}
		space := s.addSpace(name)
		if prefix == nil {
			f.def = space
			continue
		}
		s.binds = append(s.binds, binding{s.addString(prefix), space})
		if len(s.binds)-int(s.base.binds) > d.lim.MaxNamespaces {
			return refuse(PolicyViolation, "too many namespaces")
		}
	}
	return nil
}

func checkDeclaration(prefix, name []byte) error {
	isXML := string(name) == ns.XML
	switch {
	case string(prefix) == "xmlns" || string(name) == ns.XMLNS:
		return refuse(NotWellFormed, "xmlns is declared")
	case isXML != (string(prefix) == "xml"):
		return refuse(NotWellFormed, "xml is bound to something else, or something else to its namespace")
	case prefix != nil && len(name) == 0:
		return refuse(NotWellFormed, "a prefix is undeclared")
	}
	return nil
}

// resolve finds the namespaces of the tag's names and refuses two attributes of one name.
func (s *scratch) resolve(b []byte, t *tag, f *frame) (err error) {
	f.space = f.def
	if string(b[max(t.colon, 0)+1:t.nameEnd]) == "xmlns" {
		// NOTSPEC: only reserved, but parsers differ on the namespace of such an element.
		return refuse(NotWellFormed, "an element named xmlns")
	}
	if t.colon >= 0 {
		if f.space, err = s.lookup(b[1:t.colon]); err != nil {
			return err
		}
		if f.space == xmlSpace {
			return refuse(NotWellFormed, "an element with the prefix xml")
		}
	}
	for i := range t.attrs {
		a := &t.attrs[i]
		if a.colon >= a.nameOff && !a.declares {
			if a.space, err = s.lookup(b[a.nameOff:a.colon]); err != nil {
				return err
			}
		}
		for k := range t.attrs[:i] {
			o := &t.attrs[k]
			if o.space == a.space && o.declares == a.declares && bytes.Equal(o.local(b), a.local(b)) &&
				(!a.declares || o.colon-o.nameOff == a.colon-a.nameOff) {
				return refuse(NotWellFormed, "an attribute stands twice") // XML 1.0 §3.1, Namespaces §6.3
			}
		}
	}
	return nil
}

// openFirstLevel keeps a first-level tag for Element.
func (d *Decoder) openFirstLevel(b []byte, t *tag, f *frame) (err error) {
	s := d.s
	if f.space >= clientSpace && f.space <= componentSpace {
		if d.content == noSpace {
			d.content = f.space
		}
		if d.content != f.space {
			return refuse(InvalidNamespace, "the content namespace of another kind of stream")
		}
	}
	s.push(b[1:t.nameEnd], t, f)
	s.header = append(s.header, headerItem{space: f.space, nameOff: f.local, nameEnd: f.name.end})
	for i := range t.attrs {
		a := &t.attrs[i]
		if a.declares {
			continue
		}
		h := headerItem{space: a.space, nameOff: int32(len(s.names)), valueOff: int32(len(s.out))}
		s.names = append(s.names, a.local(b)...)
		if !a.dirty {
			s.out = append(s.out, a.value(b)...)
		} else if s.out, err = decodeValue(s.out, a.value(b)); err != nil {
			return err
		}
		h.nameEnd, h.valueEnd = int32(len(s.names)), int32(len(s.out))
		s.header = append(s.header, h)
	}
	s.inner = len(s.out)
	return nil
}

func (s *scratch) push(name []byte, t *tag, f *frame) {
	off := int32(len(s.names))
	s.names = append(s.names, name...)
	f.name = span{off, int32(len(s.names))}
	f.local = off
	if t.colon >= 0 {
		f.local = off + int32(t.colon) // the tag's offsets count its <, which makes up for the colon
	}
	s.stack = append(s.stack, *f)
}

// openChild writes a start tag in canonical form.
func (s *scratch) openChild(b []byte, t *tag, f *frame) (err error) {
	s.beginContent()
	parent := clientSpace // a fragment stands by itself, whatever element is around it
	if len(s.stack) > 1 {
		parent = canonicalSpace(s.stack[len(s.stack)-1].space)
	}
	start := len(s.out)
	s.push(b[1:t.nameEnd], t, f)
	s.out = append(s.out, '<')
	s.out = append(s.out, s.names[f.local:f.name.end]...)
	spaceLen := inContent
	if space := canonicalSpace(f.space); space != parent {
		s.out = append(s.out, " xmlns='"...)
		name := s.spaceBytes(space)
		spaceLen = uint32(len(name))
		s.out = append(append(s.out, name...), '\'')
	}
	if len(s.stack) == 2 {
		s.index = append(s.index, entry{
			start: uint32(start - s.inner), localLen: uint32(f.name.end - f.local), spaceLen: spaceLen,
		})
	}
	s.open = true
	return s.writeAttrs(b, t)
}

func (s *scratch) writeAttrs(b []byte, t *tag) (err error) {
	s.generated = s.generated[:0]
	for i := range t.attrs {
		a := &t.attrs[i]
		if a.declares {
			continue
		}
		if a.space == noSpace {
			s.out = append(s.out, ' ')
		} else {
			s.writePrefix(a.space)
		}
		s.out = append(append(s.out, a.local(b)...), "='"...)
		value := a.value(b)
		if a.dirty {
			if s.tmp, err = decodeValue(s.tmp[:0], value); err != nil {
				return err
			}
			s.out = AppendEscapedAttr(s.out, s.tmp)
		} else {
			s.out = append(s.out, value...)
		}
		s.out = append(s.out, '\'')
	}
	return nil
}

// writePrefix writes the prefix of an attribute, and its declaration where it is the first of its namespace
// in the tag; prefixes does the same for trees.
func (s *scratch) writePrefix(space int32) {
	if space == xmlSpace {
		s.out = append(s.out, " xml:"...)
		return
	}
	k := slices.Index(s.generated, space)
	if k < 0 {
		k = len(s.generated)
		s.generated = append(s.generated, space)
		s.out = strconv.AppendInt(append(s.out, " xmlns:ns"...), int64(k+1), 10)
		s.out = append(append(append(s.out, "='"...), s.spaceBytes(space)...), '\'')
	}
	s.out = append(strconv.AppendInt(append(s.out, " ns"...), int64(k+1), 10), ':')
}
