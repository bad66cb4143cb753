package xmlstream

// Limits bound what one first-level element (or the stream header) may cost. Exceeding one is a
// policy-violation. A field that is not positive, or too large, takes the value of Maximum.
type Limits struct {
	MaxBytes      int // of the element as it came, and of its canonical form
	MaxDepth      int // nesting; the element itself is 1
	MaxAttrs      int // attributes and namespace declarations of one tag
	MaxElements   int // elements, the first-level one included
	MaxNamespaces int // namespace declarations in scope, without those of the stream header
	MaxNameLen    int // bytes of an element's or attribute's name with its prefix
	MaxAttrLen    int // bytes of an attribute's value as it came
}

// Presets. RFC 6120 §13.12 asks for at least 10,000 bytes once negotiation is done.
var (
	// PreAuth is for peers that have not authenticated yet.
	PreAuth = Limits{
		MaxBytes: 8 << 10, MaxDepth: 16, MaxAttrs: 24, MaxElements: 32, MaxNamespaces: 24,
		MaxNameLen: 128, MaxAttrLen: 4 << 10,
	}
	// C2S is for authenticated clients.
	C2S = Limits{
		MaxBytes: 256 << 10, MaxDepth: 64, MaxAttrs: 64, MaxElements: 8 << 10, MaxNamespaces: 64,
		MaxNameLen: 256, MaxAttrLen: 16 << 10,
	}
	// S2S is for authenticated servers and components, which forward what others were allowed to send.
	S2S = Limits{
		MaxBytes: 512 << 10, MaxDepth: 96, MaxAttrs: 96, MaxElements: 16 << 10, MaxNamespaces: 96,
		MaxNameLen: 512, MaxAttrLen: 32 << 10,
	}
	// Maximum is for what the server itself wrote, such as rows of its store.
	Maximum = Limits{
		MaxBytes: 64 << 20, MaxDepth: 512, MaxAttrs: 512, MaxElements: 1 << 20, MaxNamespaces: 512,
		MaxNameLen: 4 << 10, MaxAttrLen: 1 << 20,
	}
)

// maxNamespaceLen bounds a namespace name whatever the limits are: names are repeated where prefixes
// were used.
const maxNamespaceLen = 1024

func (l Limits) clamped() Limits {
	for _, f := range []struct {
		value *int
		most  int
	}{
		{&l.MaxBytes, Maximum.MaxBytes}, {&l.MaxDepth, Maximum.MaxDepth}, {&l.MaxAttrs, Maximum.MaxAttrs},
		{&l.MaxElements, Maximum.MaxElements}, {&l.MaxNamespaces, Maximum.MaxNamespaces},
		{&l.MaxNameLen, Maximum.MaxNameLen}, {&l.MaxAttrLen, Maximum.MaxAttrLen},
	} {
		if *f.value <= 0 || *f.value > f.most {
			*f.value = f.most
		}
	}
	return l
}
