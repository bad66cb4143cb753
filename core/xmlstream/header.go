package xmlstream

import "github.com/viaduct-xmpp/viaduct/core/ns"

// Header is what opens a stream: the stream element's start tag, or <open/> in a WebSocket frame.
type Header struct {
	Name      Name
	ContentNS string // the default namespace it declares; for <open/>, jabber:client
	To, From  string
	ID        string
	Version   string
	Lang      string
	Attrs     []Attr // any others
}

func (h *Header) set(name Name, value string) {
	known := map[Name]*string{
		{"", "to"}: &h.To, {"", "from"}: &h.From, {"", "id"}: &h.ID, {"", "version"}: &h.Version,
		{ns.XML, "lang"}: &h.Lang,
	}
	if field, ok := known[name]; ok {
		*field = value
		return
	}
	h.Attrs = append(h.Attrs, Attr{name, value})
}

func (h *Header) attrs() []Attr {
	var attrs []Attr
	for _, a := range []Attr{
		{Name{"", "from"}, h.From}, {Name{"", "to"}, h.To}, {Name{"", "id"}, h.ID},
		{Name{"", "version"}, h.Version}, {Name{ns.XML, "lang"}, h.Lang},
	} {
		if a.Value != "" {
			attrs = append(attrs, a)
		}
	}
	return append(attrs, h.Attrs...)
}

// AppendHeader appends the XML declaration and the start tag of a stream with h's content namespace and
// attributes (RFC 6120 §4.2). Fields that are empty are left out.
func AppendHeader(dst []byte, h *Header) []byte {
	dst = append(dst, "<?xml version='1.0'?><stream:stream xmlns='"...)
	dst = AppendEscapedAttr(dst, h.ContentNS)
	dst = append(dst, "' xmlns:stream='"+ns.Stream+"'"...)
	if h.ContentNS == ns.Server {
		dst = append(dst, " xmlns:db='"+ns.Dialback+"'"...) // XEP-0220 §2.1.1: announces dialback
	}
	return append(appendAttrs(dst, h.attrs()), '>')
}

// AppendTrailer appends the end tag of a stream that AppendHeader began.
func AppendTrailer(dst []byte) []byte { return append(dst, "</stream:stream>"...) }
