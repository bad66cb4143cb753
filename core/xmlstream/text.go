package xmlstream

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// beginContent ends the start tag that waits for content.
func (s *scratch) beginContent() {
	if !s.open {
		return
	}
	s.open = false
	s.out = append(s.out, '>')
	if len(s.stack) == 2 {
		s.index[len(s.index)-1].content = uint32(len(s.out) - s.inner)
	}
}

// lexText reads character data up to < or to what cannot be decided yet, and writes it. It returns no
// length if the very beginning of b cannot be decided.
func (s *scratch) lexText(b []byte) (int, error) {
	done := 0 // up to here b is written
	i := 0
	for {
		for i < len(b) && charClass[b[i]]&plainText != 0 {
			i++
		}
		if i == len(b) || b[i] == '<' {
			break
		}
		var n int
		var err error
		if charClass[b[i]]&nonASCII != 0 {
			if n, err = scanRune(b[i:]); n > 0 {
				i += n
				continue
			}
		} else {
			s.copyText(b[done:i])
			done = i
			n, err = s.lexSpecial(b[i:])
		}
		if err != nil {
			return 0, err
		}
		if n == 0 { // an incomplete character or reference: the rest waits
			break
		}
		i += n
		done = i
	}
	s.copyText(b[done:i])
	return i, nil
}

func (s *scratch) copyText(b []byte) {
	if len(b) > 0 {
		s.beginContent()
		s.out = append(s.out, b...)
	}
}

// cdataEnd ends a CDATA section and may not stand in other text.
const cdataEnd = "]]>"

// lexSpecial reads and writes the one ASCII character of text at the start of b that is not plain.
func (s *scratch) lexSpecial(b []byte) (n int, err error) {
	switch b[0] {
	case '>':
		n = 1
		s.beginContent()
		s.out = append(s.out, "&gt;"...)
	case ']':
		if strings.HasPrefix(cdataEnd, string(b[:min(len(b), 3)])) {
			if len(b) < 3 {
				return 0, nil
			}
			return 0, refuse(NotWellFormed, "]]> in text") // XML 1.0 §2.4
		}
		n = 1
		s.copyText(b[:1])
	case '\r': // XML 1.0 §2.11: line ends are read as newlines
		if len(b) < 2 {
			return 0, nil
		}
		if n = 1; b[1] == '\n' {
			n = 2
		}
		s.beginContent()
		s.out = append(s.out, '\n')
	case '&':
		r, length, err := lexReference(b)
		if err != nil || length == 0 {
			return 0, err
		}
		n = length
		var c [utf8.UTFMax]byte
		s.beginContent()
		s.out = AppendEscapedText(s.out, c[:utf8.EncodeRune(c[:], r)])
	default:
		return 0, refusef(NotWellFormed, "character %U", b[0])
	}
	return n, nil
}

// lexCDATA reads a part of a CDATA section and writes it as text.
func (s *scratch) lexCDATA(b []byte) (int, error) {
	for i := 0; i < len(b); {
		var n int
		var err error
		switch c := b[i]; {
		case charClass[c]&plainText != 0 || c == '<' || c == '>' || c == '&':
			n = 1
			s.beginContent()
			s.out = AppendEscapedText(s.out, b[i:i+1])
		case c == ']':
			if rest := b[i:]; strings.HasPrefix(cdataEnd, string(rest[:min(len(rest), 3)])) {
				if len(rest) < 3 {
					return i, nil
				}
				s.cdata = false
				return i + 3, nil
			}
			n = 1
			s.copyText(b[i : i+1])
		case charClass[c]&nonASCII != 0:
			if n, err = scanRune(b[i:]); n > 0 {
				s.copyText(b[i : i+n])
			}
		default:
			n, err = s.lexSpecial(b[i:])
		}
		if err != nil || n == 0 {
			return i, err
		}
		i += n
	}
	return len(b), nil
}

// maxReference is the greatest length of a reference; the longest that is of use is &#x10FFFF; and
// leading zeros are of none.
const maxReference = 16

// lexReference reads the reference at the start of b (XML 1.0 §4.1). It returns no length if b ends
// within it.
func lexReference(b []byte) (r rune, n int, err error) {
	end := 1
	for end < len(b) && end < maxReference && isReferenceByte(b[end]) {
		end++
	}
	switch {
	case end == maxReference:
		return 0, 0, refuse(RestrictedXML, "reference too long")
	case end == len(b):
		return 0, 0, nil
	case b[end] != ';' || end == 1:
		return 0, 0, refuse(NotWellFormed, "& that begins no reference")
	}
	body := b[1:end]
	if body[0] == '#' {
		r, err = charReference(body[1:])
		return r, end + 1, err
	}
	switch string(body) { // RFC 6120 §11.1: no others
	case "lt":
		r = '<'
	case "gt":
		r = '>'
	case "amp":
		r = '&'
	case "apos":
		r = '\''
	case "quot":
		r = '"'
	default:
		if !validNCName(body) {
			return 0, 0, refuse(NotWellFormed, "& that begins no reference")
		}
		return 0, 0, refuse(RestrictedXML, "an entity of its own")
	}
	return r, end + 1, nil
}

func isReferenceByte(c byte) bool { return charClass[c]&(nameByte|colonByte|nonASCII) != 0 || c == '#' }

func charReference(digits []byte) (rune, error) {
	base := 10
	if len(digits) > 0 && digits[0] == 'x' {
		base, digits = 16, digits[1:]
	}
	for _, c := range digits { // ParseUint would take underscores and signs in places
		if (c < '0' || c > '9') && (base == 10 || c|0x20 < 'a' || c|0x20 > 'f') {
			return 0, refuse(NotWellFormed, "not a character reference")
		}
	}
	v, err := strconv.ParseUint(string(digits), base, 32)
	if err != nil || v > utf8.MaxRune || !isXMLChar(rune(v)) {
		return 0, refuse(NotWellFormed, "reference to no XML character")
	}
	return rune(v), nil
}

// decodeValue appends what an attribute value means (XML 1.0 §3.3.3).
func decodeValue(dst, raw []byte) ([]byte, error) {
	for i := 0; i < len(raw); {
		switch c := raw[i]; c {
		case '&':
			r, n, err := lexReference(raw[i:])
			if err != nil {
				return dst, err
			}
			if n == 0 {
				return dst, refuse(NotWellFormed, "& that begins no reference")
			}
			dst = utf8.AppendRune(dst, r)
			i += n
		case '\r':
			if i+1 < len(raw) && raw[i+1] == '\n' {
				i++
			}
			fallthrough
		case '\n', '\t':
			dst = append(dst, ' ')
			i++
		default:
			dst = append(dst, c)
			i++
		}
	}
	return dst, nil
}

func countSpace(b []byte) int {
	n := 0
	for n < len(b) && charClass[b[n]]&spaceByte != 0 {
		n++
	}
	return n
}
