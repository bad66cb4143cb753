package xmlstream

import "bytes"

// tag reads a start tag piece by piece. All offsets count from its <, so that the buffer may move
// between the pieces; no byte of a value is looked at twice.
type tag struct {
	state       tagState
	at          int // everything before is read
	from        int // where the name or value at hand begins
	nameEnd     int
	colon       int // of the element's name, or -1
	quote       byte
	dirty       bool
	selfClosing bool
	attrs       []rawAttr
}

type tagState uint8

const (
	inTagName    tagState = iota
	afterValue            // white space or the end must follow
	beforeAttr            // white space has been seen
	inAttrName            //
	beforeEquals          //
	beforeValue           //
	inValue               //
	afterSlash            //
	tagDone               //
)

// rawAttr is an attribute as it stands in the tag.
type rawAttr struct {
	nameOff, nameEnd   int32
	valueOff, valueEnd int32
	colon              int32 // offset in the tag, or -1
	space              int32 // set when prefixes are resolved
	declares           bool  // xmlns or xmlns:prefix
	dirty              bool  // the value has references, white space or apostrophes
}

func (a *rawAttr) value(b []byte) []byte { return b[a.valueOff:a.valueEnd] }

// local is the name without its prefix.
func (a *rawAttr) local(b []byte) []byte { return b[a.colon+1 : a.nameEnd] }

func (t *tag) reset() {
	*t = tag{attrs: t.attrs[:0]}
}

// lex reads on in b, which begins with the tag's <. It reports whether the tag is complete, and then
// t.at is its length.
func (t *tag) lex(b []byte, lim *Limits) (bool, error) {
	if t.at == 0 {
		t.at, t.from = 1, 1
	}
	for t.at < len(b) {
		var err error
		more := false
		switch t.state {
		case inTagName:
			more, err = t.lexTagName(b, lim)
		case afterValue, beforeAttr:
			err = t.lexBetween(b, lim)
		case inAttrName:
			more, err = t.lexAttrName(b, lim)
		case beforeEquals, beforeValue:
			err = t.lexEquals(b)
		case inValue:
			more, err = t.lexValue(b, lim)
		case afterSlash:
			if b[t.at] != '>' {
				return false, refuse(NotWellFormed, "/ inside a tag")
			}
			t.at++
			t.selfClosing, t.state = true, tagDone
		}
		if err != nil || more {
			return false, err
		}
		if t.state == tagDone {
			return true, nil
		}
	}
	return false, nil
}

func (t *tag) lexTagName(b []byte, lim *Limits) (more bool, err error) {
	end, colon, err := lexName(b, t.from, lim.MaxNameLen)
	if err != nil || end == 0 {
		return true, err
	}
	t.nameEnd, t.colon, t.at, t.state = end, colon, end, afterValue
	return false, nil
}

// lexName reads the name that begins at from (Namespaces in XML 1.0 production 7) and returns where it and
// its prefix end; the latter is -1 if it has none. It returns no end if b ends first: names are short, so
// one that arrives in pieces is simply read again.
func lexName(b []byte, from, most int) (end, colon int, err error) {
	i := from
	var seen uint8
	for i < len(b) {
		class := charClass[b[i]]
		if class&(nameByte|nonASCII|colonByte) == 0 {
			break
		}
		seen |= class
		if i++; i-from > most {
			return 0, 0, refuse(PolicyViolation, "name too long")
		}
	}
	if i == len(b) {
		return 0, 0, nil
	}
	if seen&(nonASCII|colonByte) == 0 && charClass[b[from]]&nameStart != 0 {
		return i, -1, nil
	}
	name := b[from:i]
	if validNCName(name) {
		return i, -1, nil
	}
	if k := bytes.IndexByte(name, ':'); k >= 0 && validNCName(name[:k]) && validNCName(name[k+1:]) {
		return i, from + k, nil
	}
	return 0, 0, refuse(NotWellFormed, "not a name")
}

// lexBetween stands behind the element's name or a value.
func (t *tag) lexBetween(b []byte, lim *Limits) error {
	i := t.at
	for i < len(b) && charClass[b[i]]&spaceByte != 0 {
		t.state = beforeAttr
		i++
	}
	t.at = i
	if i == len(b) {
		return nil
	}
	switch c := b[i]; {
	case c == '>':
		t.at++
		t.state = tagDone
	case c == '/':
		t.at++
		t.state = afterSlash
	case t.state != beforeAttr:
		return refuse(NotWellFormed, "no white space before an attribute")
	case len(t.attrs) >= lim.MaxAttrs:
		return refuse(PolicyViolation, "too many attributes")
	default:
		t.from, t.state = i, inAttrName
	}
	return nil
}

func (t *tag) lexAttrName(b []byte, lim *Limits) (more bool, err error) {
	end, colon, err := lexName(b, t.from, lim.MaxNameLen)
	if err != nil || end == 0 {
		return true, err
	}
	a := rawAttr{nameOff: int32(t.from), nameEnd: int32(end), colon: int32(colon)}
	if colon < 0 {
		a.colon = a.nameOff - 1
		a.declares = string(b[t.from:end]) == "xmlns"
	} else {
		a.declares = string(b[t.from:colon]) == "xmlns"
	}
	t.attrs = append(t.attrs, a)
	t.at, t.state = end, beforeEquals
	// Nearly always there is nothing between.
	if end+1 < len(b) && b[end] == '=' && (b[end+1] == '\'' || b[end+1] == '"') {
		t.beginValue(b[end+1], end+2)
	}
	return false, nil
}

func (t *tag) beginValue(quote byte, from int) {
	t.quote, t.from, t.at, t.dirty, t.state = quote, from, from, false, inValue
}

func (t *tag) lexEquals(b []byte) error {
	switch c := b[t.at]; {
	case charClass[c]&spaceByte != 0:
		t.at++
	case t.state == beforeEquals && c == '=':
		t.at++
		t.state = beforeValue
	case t.state == beforeValue && (c == '\'' || c == '"'):
		t.beginValue(c, t.at+1)
	default:
		return refuse(NotWellFormed, "an attribute without a quoted value")
	}
	return nil
}

// lexValue reads up to the closing quote. References are looked at once the tag is complete.
func (t *tag) lexValue(b []byte, lim *Limits) (more bool, err error) {
	capped := len(b) >= t.from+lim.MaxAttrLen+1
	if capped {
		b = b[:t.from+lim.MaxAttrLen+1]
	}
	i := t.at
	for {
		for i < len(b) && charClass[b[i]]&plainValue != 0 {
			i++
		}
		if i == len(b) {
			break
		}
		switch c := b[i]; {
		case c == t.quote:
			a := &t.attrs[len(t.attrs)-1]
			a.valueOff, a.valueEnd, a.dirty = int32(t.from), int32(i), t.dirty
			t.at, t.state = i+1, afterValue
			return false, nil
		case c == '<':
			return false, refuse(NotWellFormed, "< in an attribute")
		case c == '&' || c == '\'' || charClass[c]&spaceByte != 0:
			t.dirty = true
			i++
		case c == '"':
			i++
		case charClass[c]&nonASCII == 0:
			return false, refusef(NotWellFormed, "character %U", c)
		default:
			n, err := scanRune(b[i:])
			if err != nil {
				return false, err
			}
			if n == 0 {
				return t.waitInValue(i, capped)
			}
			i += n
		}
	}
	return t.waitInValue(i, capped)
}

// waitInValue keeps how far the value is read, if it may become longer at all.
func (t *tag) waitInValue(at int, capped bool) (more bool, err error) {
	if capped {
		return false, refuse(PolicyViolation, "attribute too long")
	}
	t.at = at
	return true, nil
}
