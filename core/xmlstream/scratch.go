package xmlstream

import (
	"bytes"

	"github.com/viaduct-xmpp/viaduct/core/ns"
)

// scratch is what a Decoder needs while it is in the middle of something. Between elements a connection
// does without.
type scratch struct {
	in   []byte
	pos  int // before it, in has been read
	used int // bytes of the first-level element that have been read

	out      []byte // values of the first-level tag, then the inner XML, then (when complete) the index
	inner    int    // where the inner XML begins in out
	innerEnd int
	index    []entry
	header   []headerItem // the first-level element's name, then its attributes
	names    []byte       // names of open elements as they were written, and those of header
	stack    []frame
	elements int

	spaces  []span // names of namespaces; the fixed ones first
	binds   []binding
	strings []byte // what spaces and binds point to
	base    marks  // what belongs to the stream header
	baseDef int32

	tag       tag
	generated []int32 // namespaces of the attributes of the tag that is being written
	tmp       []byte
	open      bool // the innermost start tag has no > yet
	cdata     bool
	complete  bool
}

type span struct{ off, end int32 }

// binding is a prefix in scope.
type binding struct {
	prefix span
	space  int32
}

type marks struct{ spaces, binds, strings int32 }

// frame is an open element.
type frame struct {
	name  span  // in names
	local int32 // where the name's local part begins
	space int32
	def   int32 // default namespace
	marks marks // what to go back to at its end
}

type headerItem struct {
	space              int32
	nameOff, nameEnd   int32
	valueOff, valueEnd int32
}

// Namespaces that every scratch knows. The three of content are one in what is written.
const (
	noSpace int32 = iota
	clientSpace
	serverSpace
	componentSpace
	xmlSpace
	fixedSpaces
)

func newScratch() *scratch {
	s := &scratch{in: make([]byte, 0, minRead), out: make([]byte, 0, 1<<10)}
	for _, name := range []string{"", ns.Client, ns.Server, ns.ComponentAccept, ns.XML} {
		s.addSpace([]byte(name))
	}
	return s
}

// canonicalSpace is the decoder's contentSpace. Both are for elements only: no attribute is in a content
// namespace by default, and two that differ must not become one.
func canonicalSpace(space int32) int32 {
	if space == serverSpace || space == componentSpace {
		return clientSpace
	}
	return space
}

// spaceName returns the name of a namespace.
func (s *scratch) spaceName(space int32) string {
	switch space {
	case noSpace:
		return ""
	case clientSpace:
		return ns.Client
	}
	return ownString(s.spaceBytes(space))
}

func (s *scratch) spaceBytes(space int32) []byte { return s.bytes(s.spaces[space]) }

func (s *scratch) bytes(x span) []byte { return s.strings[x.off:x.end] }

func (s *scratch) addString(b []byte) span {
	off := len(s.strings)
	s.strings = append(s.strings, b...)
	return span{int32(off), int32(len(s.strings))}
}

// addSpace returns the number of a namespace, the same for the same name.
func (s *scratch) addSpace(name []byte) int32 {
	for i := range s.spaces {
		if bytes.Equal(s.spaceBytes(int32(i)), name) {
			return int32(i)
		}
	}
	s.spaces = append(s.spaces, s.addString(name))
	return int32(len(s.spaces) - 1)
}

// lookup returns what a prefix is bound to.
func (s *scratch) lookup(prefix []byte) (int32, error) {
	for i := len(s.binds) - 1; i >= 0; i-- {
		if bytes.Equal(s.bytes(s.binds[i].prefix), prefix) {
			return s.binds[i].space, nil
		}
	}
	if string(prefix) == "xml" {
		return xmlSpace, nil
	}
	return 0, refuse(BadNamespacePrefix, "prefix is not bound")
}

func (s *scratch) marks() marks {
	return marks{int32(len(s.spaces)), int32(len(s.binds)), int32(len(s.strings))}
}

func (s *scratch) goBack(m marks) {
	s.spaces, s.binds, s.strings = s.spaces[:m.spaces], s.binds[:m.binds], s.strings[:m.strings]
}

// forget drops a complete element.
func (s *scratch) forget() {
	s.out, s.index, s.header, s.names = s.out[:0], s.index[:0], s.header[:0], s.names[:0]
	s.stack = s.stack[:0]
	s.used, s.elements, s.inner, s.innerEnd = 0, 0, 0, 0
	s.open, s.cdata, s.complete = false, false, false
	s.goBack(s.base)
}

// restart drops everything but the input that has not been read.
func (s *scratch) restart() {
	s.base = marks{fixedSpaces, 0, s.spaces[fixedSpaces-1].end}
	s.baseDef = noSpace
	s.tag.reset()
	s.forget()
}

func (s *scratch) free() {
	s.in, s.pos = s.in[:0], 0
	if cap(s.in)+cap(s.out) <= maxPooledCap && cap(s.index) <= maxPooledIndex {
		scratches.Put(s)
	}
}

func (s *scratch) input(p []byte) {
	s.makeRoom(len(p))
	s.in = append(s.in, p...)
}

// makeRoom makes room for n more bytes of input.
func (s *scratch) makeRoom(n int) {
	if s.pos == len(s.in) {
		s.in, s.pos = s.in[:0], 0
	}
	if cap(s.in)-len(s.in) >= n {
		return
	}
	if s.pos > 0 {
		s.in = s.in[:copy(s.in, s.in[s.pos:])]
		s.pos = 0
	}
	if cap(s.in)-len(s.in) < n {
		grown := make([]byte, len(s.in), max(2*cap(s.in), len(s.in)+n))
		copy(grown, s.in)
		s.in = grown
	}
}

// documentName is the name of the element that stands around a fragment. No start tag can have it, so an
// end tag that comes before the fragment's end leaves something unread.
const documentName = "\x00"

func (s *scratch) openDocument() {
	s.names = append(s.names, documentName...)
	s.stack = append(s.stack, frame{name: span{0, int32(len(documentName))}, space: clientSpace, def: clientSpace, marks: s.base})
}

// pop ends the innermost element and reports whether that was the first-level one.
func (s *scratch) pop() bool {
	f := &s.stack[len(s.stack)-1]
	depth := len(s.stack)
	if depth > 1 {
		if s.open {
			s.out = append(s.out, "/>"...)
		} else {
			s.out = append(s.out, "</"...)
			s.out = append(s.out, s.names[f.local:f.name.end]...)
			s.out = append(s.out, '>')
		}
		if depth == 2 {
			e := &s.index[len(s.index)-1]
			e.end = uint32(len(s.out) - s.inner)
			if s.open {
				e.content = e.end
			}
		}
		s.names = s.names[:f.name.off]
		s.goBack(f.marks)
	}
	s.open = false
	s.stack = s.stack[:depth-1]
	if depth > 1 {
		return false
	}
	s.finish()
	return true
}

// finish puts the index behind the inner XML, so that both are one allocation.
func (s *scratch) finish() {
	s.innerEnd = len(s.out)
	for _, e := range s.index {
		s.out = e.appendTo(s.out)
	}
	s.complete = true
}
