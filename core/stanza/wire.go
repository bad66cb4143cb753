package stanza

import (
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Wire is a serialised stanza without its "to" attribute. It is shared by all receivers of a fan-out and never changed.
type Wire struct {
	Kind Kind
	rest []byte // what follows "<message" and the to attribute
}

// Wire serialises the stanza without its "to".
func (s *Stanza) Wire() Wire {
	return Wire{s.Kind, s.appendRest(make([]byte, 0, 96+s.Payload.Len()))}
}

// Len returns the size in bytes without the to attribute.
func (w Wire) Len() int { return len(w.rest) + 1 + len(w.Kind.String()) }

// IsZero tells whether w holds nothing.
func (w Wire) IsZero() bool { return w.Kind == 0 }

// AppendTo appends the stanza with the given receiver (zero: no "to").
func (w Wire) AppendTo(dst []byte, to jid.JID) []byte {
	return append(appendHead(dst, w.Kind, to), w.rest...)
}

// Stanza reads the stanza back, with the given receiver: for the few that take another way than to a socket.
func (w Wire) Stanza(to jid.JID) (*Stanza, error) { return Unmarshal(w.AppendTo(nil, to)) }

// AppendTo appends the canonical form of the stanza, in the content namespace of whatever stream it is put on.
func (s *Stanza) AppendTo(dst []byte) []byte {
	return s.appendRest(appendHead(dst, s.Kind, s.To))
}

func appendHead(dst []byte, k Kind, to jid.JID) []byte {
	dst = append(append(dst, '<'), k.String()...)
	if !to.IsZero() {
		dst = append(dst, " to='"...)
		dst = xmlstream.AppendEscapedAttr(dst, to.String())
		dst = append(dst, '\'')
	}
	return dst
}

func (s *Stanza) appendRest(dst []byte) []byte {
	if !s.From.IsZero() {
		dst = appendAttr(dst, " from='", s.From.String())
	}
	if s.ID != "" {
		dst = appendAttr(dst, " id='", s.ID)
	}
	if s.Type != "" {
		dst = appendAttr(dst, " type='", s.Type)
	}
	if s.Lang != "" {
		dst = appendAttr(dst, " xml:lang='", s.Lang)
	}
	if s.Payload.Len() == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	dst = append(dst, s.Payload.Bytes()...)
	dst = append(append(dst, "</"...), s.Kind.String()...)
	return append(dst, '>')
}

func appendAttr(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = xmlstream.AppendEscapedAttr(dst, value)
	return append(dst, '\'')
}

// String returns the canonical form, for logs and tests.
func (s *Stanza) String() string { return string(s.AppendTo(nil)) }

// Marshal returns the form in which a stanza is stored: the canonical form with the namespace of clients declared.
func (s *Stanza) Marshal() []byte {
	dst := make([]byte, 0, 160+s.Payload.Len())
	dst = append(append(dst, '<'), s.Kind.String()...)
	dst = append(dst, " xmlns='"+ns.Client+"'"...)
	if !s.To.IsZero() {
		dst = appendAttr(dst, " to='", s.To.String())
	}
	return s.appendRest(dst)
}

// Unmarshal reads what Marshal wrote.
func Unmarshal(b []byte) (*Stanza, error) {
	f, err := xmlstream.ParseFragment(b)
	if err != nil {
		return nil, fmt.Errorf("stanza: unmarshal: %w", err)
	}
	if f.NumChildren() != 1 {
		return nil, fmt.Errorf("stanza: unmarshal: %d elements", f.NumChildren())
	}
	return FromChild(f.At(0))
}

// FromChild reads a stanza that is the child of something else: a forwarded or a stored one.
func FromChild(c xmlstream.Child) (*Stanza, error) {
	n := c.Node()
	var to, from jid.JID
	var err error
	if v := n.Attr("to"); v != "" {
		if to, err = jid.Parse(v); err != nil {
			return nil, fmt.Errorf("stanza: %w", err)
		}
	}
	if v := n.Attr("from"); v != "" {
		if from, err = jid.Parse(v); err != nil {
			return nil, fmt.Errorf("stanza: %w", err)
		}
	}
	k := KindOf(n.Name.Local)
	if k == 0 || !isContent(n.Name.Space) {
		return nil, ErrNoStanza
	}
	st := &Stanza{Kind: k, To: to, From: from, ID: n.Attr("id"), Type: n.Attr("type"), Payload: xmlstream.NewFragment(n.Nodes...)}
	for _, a := range n.Attrs {
		if a.Name.Space == ns.XML && a.Name.Local == "lang" {
			st.Lang = a.Value
		}
	}
	return st, nil
}

// Node returns the stanza as a tree in the namespace of clients, to put it into something else (XEP-0297 §3).
func (s *Stanza) Node() *xmlstream.Node {
	n := xmlstream.NewNode(ns.Client, s.Kind.String())
	set := func(k, v string) {
		if v != "" {
			n.SetAttr(k, v)
		}
	}
	if !s.To.IsZero() {
		set("to", s.To.String())
	}
	if !s.From.IsZero() {
		set("from", s.From.String())
	}
	set("id", s.ID)
	set("type", s.Type)
	if s.Lang != "" {
		n.Attrs = append(n.Attrs, xmlstream.Attr{Name: xmlstream.Name{Space: ns.XML, Local: "lang"}, Value: s.Lang})
	}
	for c := range s.Payload.All() {
		n.Add(c.Node())
	}
	return n
}
