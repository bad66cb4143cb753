package stream

import (
	"strconv"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Header is the opening of a stream in one direction (RFC 6120 §4.7). Addresses are as on the wire, not yet prepared.
type Header struct {
	Content  string // the content namespace
	From, To string
	ID       string
	Version  string // "" before XMPP 1.0
	Lang     string
}

// Framing says how a stream is cut into pieces.
type Framing uint8

// The framings.
const (
	TCP    Framing = iota // RFC 6120: one XML document per direction
	Framed                // RFC 7395: every element is a message of its own
)

// AppendHeader appends the opening of a stream.
func (f Framing) AppendHeader(dst []byte, h Header) []byte {
	if f == Framed {
		dst = append(dst, "<open xmlns='"+ns.Framing+"'"...) // RFC 7395 §3.4
	} else {
		dst = append(dst, "<?xml version='1.0'?><stream:stream xmlns='"...)
		dst = xmlstream.AppendEscapedAttr(dst, h.Content)
		dst = append(dst, "' xmlns:stream='"+ns.Stream+"'"...)
	}
	for _, a := range [...]struct{ name, value string }{
		{" from='", h.From}, {" to='", h.To}, {" id='", h.ID}, {" version='", h.Version}, {" xml:lang='", h.Lang},
	} {
		if a.value != "" {
			dst = append(dst, a.name...)
			dst = xmlstream.AppendEscapedAttr(dst, a.value)
			dst = append(dst, '\'')
		}
	}
	if f == Framed {
		return append(dst, "/>"...)
	}
	return append(dst, '>')
}

// AppendFeatures appends <stream:features/> with the given children, on a stream whose content namespace is content.
func (f Framing) AppendFeatures(dst []byte, features []*xmlstream.Node, content string) []byte {
	parent := content
	if f == Framed { // RFC 7395 §3.3.3: nothing is inherited from a header, so the prefix is declared here
		dst = append(dst, "<stream:features xmlns:stream='"+ns.Stream+"'>"...)
		parent = ""
	} else {
		dst = append(dst, "<stream:features>"...)
	}
	for _, n := range features {
		dst = xmlstream.AppendNode(dst, n, parent)
	}
	return append(dst, "</stream:features>"...)
}

// AppendEnd appends the end of a stream.
func (f Framing) AppendEnd(dst []byte) []byte {
	if f == Framed {
		return append(dst, "<close xmlns='"+ns.Framing+"'/>"...)
	}
	return append(dst, "</stream:stream>"...)
}

// AtLeast1 tells whether a header's version is 1.0 or a later one (RFC 6120 §4.7.5). Without a version the peer knows no features.
func AtLeast1(version string) bool {
	major, minor, ok := strings.Cut(version, ".")
	if !ok {
		return false
	}
	ma, err1 := strconv.ParseUint(major, 10, 32)
	_, err2 := strconv.ParseUint(minor, 10, 32)
	return err1 == nil && err2 == nil && ma >= 1
}
