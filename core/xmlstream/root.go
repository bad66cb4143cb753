package xmlstream

// rootScope is what the stream header declared, kept while a decoder has no scratch.
type rootScope struct {
	name     string // of the stream element as it was written
	prefixes []Attr // prefix in Name.Local, namespace in Value
	def      string
}

// enter makes the declarations known to s.
func (r *rootScope) enter(s *scratch) {
	for _, p := range r.prefixes {
		space := s.addSpace([]byte(p.Value))
		s.binds = append(s.binds, binding{s.addString([]byte(p.Name.Local)), space})
	}
	s.baseDef = s.addSpace([]byte(r.def))
	s.base = s.marks()
}

// openStream takes in the stream header.
func (d *Decoder) openStream(b []byte, t *tag, f *frame) error {
	s := d.s
	if t.selfClosing {
		return refuse(InvalidXML, "a stream that ends where it begins")
	}
	h := Header{Name: Name{s.spaceName(canonicalSpace(f.space)), ownString(b[max(t.colon, 0)+1 : t.nameEnd])}}
	for i := range t.attrs {
		a := &t.attrs[i]
		if a.declares {
			continue
		}
		value, err := decodeValue(nil, a.value(b))
		if err != nil {
			return err
		}
		h.set(Name{s.spaceName(a.space), ownString(a.local(b))}, string(value))
	}
	d.root = rootScope{name: ownString(b[1:t.nameEnd]), def: ownString(s.spaceBytes(f.def))}
	for _, x := range s.binds {
		d.root.prefixes = append(d.root.prefixes, Attr{
			Name{Local: ownString(s.bytes(x.prefix))}, ownString(s.spaceBytes(x.space)),
		})
	}
	s.base, s.baseDef = s.marks(), f.def
	h.ContentNS = d.root.def
	if d.content = noSpace; f.def >= clientSpace && f.def <= componentSpace {
		d.content = f.def
	}
	d.header, d.phase = h, inStream
	return nil
}
