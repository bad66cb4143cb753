package xmlstream

import (
	"encoding/binary"
	"iter"
	"strings"
	"sync"
	"unsafe"

	"github.com/viaduct-xmpp/viaduct/core/ns"
)

// Fragment is the inner XML of an element, immutable: canonical bytes and an index of the direct child
// elements, in one allocation. The zero value is empty. Copies share the bytes.
//
// Children of the content namespace stand without a declaration; a Fragment always reads the same,
// whatever element it is put into by AppendFragment.
type Fragment struct {
	xml   string
	index string // of child elements, entrySize bytes each
}

// entry is one direct child element. Offsets count from the start of the fragment.
type entry struct {
	start, end uint32
	content    uint32 // just behind the start tag
	localLen   uint32
	spaceLen   uint32 // of the namespace name as it is written, or inContent
}

const (
	entrySize = 5 * 4
	inContent = ^uint32(0)
)

func (e entry) appendTo(dst []byte) []byte {
	for _, v := range [...]uint32{e.start, e.end, e.content, e.localLen, e.spaceLen} {
		dst = binary.LittleEndian.AppendUint32(dst, v)
	}
	return dst
}

func (f Fragment) entry(i int) entry {
	s := f.index[i*entrySize : (i+1)*entrySize]
	return entry{le32(s), le32(s[4:]), le32(s[8:]), le32(s[12:]), le32(s[16:])}
}

func le32(s string) uint32 {
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

// Len returns the length of the canonical bytes.
func (f Fragment) Len() int { return len(f.xml) }

// IsEmpty reports whether there is nothing in f.
func (f Fragment) IsEmpty() bool { return f.xml == "" }

// NumChildren returns the number of child elements.
func (f Fragment) NumChildren() int { return len(f.index) / entrySize }

// String returns the canonical bytes; it does not copy.
func (f Fragment) String() string { return f.xml }

// Bytes returns the canonical bytes. They are shared: whoever writes to them breaks every holder of f.
func (f Fragment) Bytes() []byte { return view(f.xml) }

// view spares a copy where an API wants bytes that it only reads.
func view(s string) []byte {
	if s == "" {
		return nil
	}
	return unsafe.Slice(unsafe.StringData(s), len(s)) //nolint:gosec // audited: nobody writes to it
}

// At returns the i-th child element.
func (f Fragment) At(i int) Child { return Child{f.xml, f.entry(i)} }

// All yields the child elements.
func (f Fragment) All() iter.Seq[Child] {
	return func(yield func(Child) bool) {
		for i := range f.NumChildren() {
			if !yield(f.At(i)) {
				return
			}
		}
	}
}

// Child returns the first child element of that name.
func (f Fragment) Child(space, local string) (Child, bool) {
	for i := range f.NumChildren() {
		if c := f.At(i); c.Is(space, local) {
			return c, true
		}
	}
	return Child{}, false
}

// Has reports whether there is a child element of that name.
func (f Fragment) Has(space, local string) bool {
	_, ok := f.Child(space, local)
	return ok
}

// Nodes returns the content as trees, text included.
func (f Fragment) Nodes() []*Node {
	var parent Node
	r := reader{s: f.xml}
	r.content(&parent, ns.Client)
	if parent.Text != "" {
		return append([]*Node{TextNode(parent.Text)}, parent.Nodes...)
	}
	return parent.Nodes
}

// Child is one child element of a Fragment. It shares the Fragment's bytes.
type Child struct {
	xml string // of the fragment
	e   entry
}

// Name returns the element's name.
func (c Child) Name() Name { return Name{intern(c.space()), intern(c.local())} }

// Is reports whether the element has that name.
func (c Child) Is(space, local string) bool { return c.local() == local && c.space() == space }

func (c Child) local() string { return c.xml[c.e.start+1:][:c.e.localLen] }

func (c Child) space() string {
	if c.e.spaceLen == inContent {
		return ns.Client
	}
	start := c.e.start + 1 + c.e.localLen + uint32(len(" xmlns='"))
	return c.xml[start:][:c.e.spaceLen] // such a name has no escapes: validSpace
}

// Attr returns the value of an attribute without a namespace, or "".
func (c Child) Attr(local string) string {
	value, _ := c.AttrOK(local)
	return value
}

// AttrOK is Attr and whether there is such an attribute.
func (c Child) AttrOK(local string) (string, bool) {
	r := reader{s: c.xml, at: int(c.e.start+1) + int(c.e.localLen)}
	for {
		name, value, ok := r.rawAttr()
		if !ok {
			return "", false
		}
		if name == local && name != "xmlns" {
			return unescape(value), true
		}
	}
}

// Lang returns the xml:lang of the element itself, or "".
func (c Child) Lang() string {
	lang, _ := c.AttrOK("xml:lang")
	return lang
}

// Text returns the character data directly in the element.
func (c Child) Text() string {
	if c.e.content >= c.e.end {
		return ""
	}
	inner := c.xml[c.e.content : c.e.end-uint32(len("</>"))-c.e.localLen]
	if strings.IndexByte(inner, '<') < 0 {
		return unescape(inner)
	}
	return c.Node().TextContent()
}

// Node returns the element as a tree of its own.
func (c Child) Node() *Node {
	if c.e.end == 0 {
		return nil
	}
	r := reader{s: c.xml, at: int(c.e.start)}
	return r.element(ns.Client)
}

// Raw returns the canonical bytes of the element. They are shared and must not be written to.
func (c Child) Raw() []byte { return view(c.xml[c.e.start:c.e.end]) }

// scratchBytes are buffers to build fragments in, given back before the builder returns. The pool
// holds capacity and never content.
var scratchBytes = sync.Pool{New: func() any { return new(builder) }}

const maxPooledBytes = 64 << 10

// builder collects canonical bytes and the index beside them.
type builder struct {
	out   []byte
	index []entry
}

func newBuilder() *builder {
	b := scratchBytes.Get().(*builder)
	b.out, b.index = b.out[:0], b.index[:0]
	return b
}

func (b *builder) fragment() Fragment {
	n := len(b.out)
	for _, e := range b.index {
		b.out = e.appendTo(b.out)
	}
	s := string(b.out)
	if cap(b.out) <= maxPooledBytes {
		scratchBytes.Put(b)
	}
	return Fragment{s[:n], s[n:]}
}

func (b *builder) addNode(n *Node) {
	start := len(b.out)
	b.out = AppendNode(b.out, n, ns.Client)
	if n == nil || n.IsText() {
		return
	}
	r := reader{s: unsafe.String(&b.out[0], len(b.out)), at: start} //nolint:gosec // audited: r ends before b.out changes
	b.index = append(b.index, r.indexEntry())
}

// addFragment appends all of f.
func (b *builder) addFragment(f Fragment) {
	shift := uint32(len(b.out))
	b.out = append(b.out, f.xml...)
	for i := range f.NumChildren() {
		b.index = append(b.index, f.entry(i).shifted(shift))
	}
}

// shifted wraps around where the shift is backwards.
func (e entry) shifted(by uint32) entry {
	e.start, e.end, e.content = e.start+by, e.end+by, e.content+by
	return e
}

// NewFragment returns a fragment of trees.
func NewFragment(nodes ...*Node) Fragment { return Fragment{}.With(nodes...) }

// With returns f with trees appended.
func (f Fragment) With(nodes ...*Node) Fragment {
	if len(nodes) == 0 {
		return f
	}
	b := newBuilder()
	b.addFragment(f)
	for _, n := range nodes {
		b.addNode(n)
	}
	return b.fragment()
}

// WithFragment returns f with g appended.
func (f Fragment) WithFragment(g Fragment) Fragment {
	switch {
	case g.IsEmpty():
		return f
	case f.IsEmpty():
		return g
	}
	b := newBuilder()
	b.addFragment(f)
	b.addFragment(g)
	return b.fragment()
}

// Without returns f without the child elements that drop chooses. Text between them stays.
func (f Fragment) Without(drop func(Child) bool) Fragment {
	first := 0
	for first < f.NumChildren() && !drop(f.At(first)) {
		first++
	}
	if first == f.NumChildren() {
		return f
	}
	b := newBuilder()
	var done uint32 // up to here f is in b or dropped
	for i := range f.NumChildren() {
		c := f.At(i)
		if i < first || i > first && !drop(c) {
			b.index = append(b.index, c.e.shifted(uint32(len(b.out))-done))
			continue
		}
		b.out = append(b.out, f.xml[done:c.e.start]...)
		done = c.e.end
	}
	b.out = append(b.out, f.xml[done:]...)
	return b.fragment()
}

// AppendFragment appends f as the content of an element whose default namespace is parentNS. In
// ns.Client, which stands for the content of any stream, that is a plain copy.
func AppendFragment(dst []byte, f Fragment, parentNS string) []byte {
	if contentSpace(parentNS) == ns.Client {
		return append(dst, f.xml...)
	}
	var done uint32
	for i := range f.NumChildren() {
		e := f.entry(i)
		if e.spaceLen != inContent {
			continue
		}
		nameEnd := e.start + 1 + e.localLen
		dst = append(dst, f.xml[done:nameEnd]...)
		dst = append(dst, " xmlns='"+ns.Client+"'"...)
		done = nameEnd
	}
	return append(dst, f.xml[done:]...)
}
