package xmlstream

import (
	"bytes"
	"regexp"
	"strings"
)

// skipMark passes over a byte order mark (XML 1.0 appendix F.1).
func (d *Decoder) skipMark(b []byte) (int, error) {
	const mark = "\xEF\xBB\xBF"
	switch n := min(len(b), len(mark)); {
	case b[0] == 0xFE || b[0] == 0xFF:
		return 0, refuse(UnsupportedEncoding, "UTF-16") // RFC 6120 §11.6
	case string(b[:n]) != mark[:n]:
		d.phase = afterMark
		return 0, nil
	case n < len(mark):
		return 0, nil
	}
	d.phase = afterMark
	return len(mark), nil
}

// skipSpace passes over white space outside of first-level elements (RFC 6120 §11.7); nothing else may
// stand there.
func (d *Decoder) skipSpace(b []byte) (int, error) {
	n := countSpace(b)
	if d.phase == afterMark {
		d.phase = inProlog
	}
	if n > 0 {
		return n, nil
	}
	return 0, d.misplacedText(b[0])
}

func (d *Decoder) misplacedText(c byte) error {
	if d.phase != inStream || c < ' ' {
		return refuse(NotWellFormed, "text outside of the root element")
	}
	return refuse(InvalidXML, "text between first-level elements")
}

// maxDeclaration is ample for an XML declaration.
const maxDeclaration = 128

// declaration is XML 1.0 production 23 with its parts.
var declaration = regexp.MustCompile(`^<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(?:'([^']*)'|"([^"]*)")` +
	`(?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*(?:'([A-Za-z][A-Za-z0-9._-]*)'|"([A-Za-z][A-Za-z0-9._-]*)"))?` +
	`(?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*(?:'(?:yes|no)'|"(?:yes|no)"))?[ \t\r\n]*\?>$`)

// lexDeclaration reads the XML declaration, which may only come first. RFC 6120 §11.1 forbids processing
// instructions.
func (d *Decoder) lexDeclaration(b []byte) (int, error) {
	const begin = "<?xml"
	n := min(len(b), len(begin))
	if d.phase != afterMark || string(b[:n]) != begin[:n] ||
		len(b) > n && charClass[b[n]]&spaceByte == 0 {
		return 0, refuse(RestrictedXML, "processing instruction")
	}
	end := bytes.Index(b[:min(len(b), maxDeclaration)], []byte("?>"))
	if end < 0 {
		if len(b) >= maxDeclaration {
			return 0, refuse(NotWellFormed, "XML declaration without an end")
		}
		return 0, nil
	}
	end += len("?>")
	m := declaration.FindSubmatch(b[:end])
	if m == nil {
		return 0, refuse(NotWellFormed, "not an XML declaration")
	}
	if version := string(m[1]) + string(m[2]); version != "1.0" {
		return 0, refuse(NotWellFormed, "not XML 1.0")
	}
	// RFC 6120 §11.6: UTF-8 and nothing else.
	if encoding := string(m[3]) + string(m[4]); encoding != "" && !strings.EqualFold(encoding, "utf-8") {
		return 0, refuse(UnsupportedEncoding, "not UTF-8")
	}
	d.phase = inProlog
	return end, nil
}

// lexMarkup reads what begins with <! and may only be a CDATA section within an element: RFC 6120 §11.1
// forbids comments and DTDs.
func (d *Decoder) lexMarkup(b []byte) (int, error) {
	const begin = "<![CDATA["
	n := min(len(b), len(begin))
	switch {
	case string(b[:n]) != begin[:n]:
		return 0, refuse(RestrictedXML, "comment or document type declaration")
	case n < len(begin):
		return 0, nil
	case len(d.s.stack) == 0:
		return 0, d.misplacedText('[')
	}
	d.s.cdata = true
	return len(begin), nil
}
