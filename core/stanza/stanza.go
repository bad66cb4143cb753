package stanza

import (
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Kind is one of the three kinds of stanzas.
type Kind uint8

// The kinds.
const (
	Message Kind = iota + 1
	Presence
	IQ
)

var kindNames = [...]string{Message: "message", Presence: "presence", IQ: "iq"}

// String returns the element name.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return ""
}

// KindOf returns the kind of an element name, 0 if it is none.
func KindOf(local string) Kind {
	switch local {
	case "message":
		return Message
	case "presence":
		return Presence
	case "iq":
		return IQ
	}
	return 0
}

// Values of the type attribute (RFC 6121 §4.7.1, §5.2.2; RFC 6120 §8.2.3). An absent type is "".
const (
	TypeError = "error"

	TypeChat      = "chat"
	TypeGroupchat = "groupchat"
	TypeHeadline  = "headline"
	TypeNormal    = "normal"

	TypeUnavailable  = "unavailable"
	TypeSubscribe    = "subscribe"
	TypeSubscribed   = "subscribed"
	TypeUnsubscribe  = "unsubscribe"
	TypeUnsubscribed = "unsubscribed"
	TypeProbe        = "probe"

	TypeGet    = "get"
	TypeSet    = "set"
	TypeResult = "result"
)

// Stanza is one message, presence or iq.
type Stanza struct {
	Kind     Kind
	To, From jid.JID // zero: absent
	ID       string
	Type     string // as on the wire; "" if absent (a message is then of type normal, a presence available)
	Lang     string
	Payload  xmlstream.Fragment
}

// FromElement reads a stanza from an element of a stream. It fails with an [*Error] of condition jid-malformed if an address is none, and
// with ErrNoStanza if the element is no stanza.
func FromElement(el *xmlstream.Element) (*Stanza, error) {
	k := KindOf(el.Name.Local)
	if k == 0 || !isContent(el.Name.Space) {
		return nil, ErrNoStanza
	}
	st := &Stanza{Kind: k, Lang: el.Lang, Payload: el.Inner}
	var bad string
	for i := range el.Attrs {
		a := &el.Attrs[i]
		if a.Name.Space != "" {
			continue
		}
		var err error
		switch a.Name.Local {
		case "to":
			st.To, err = jid.Parse(a.Value)
		case "from":
			st.From, err = jid.Parse(a.Value)
		case "id":
			st.ID = a.Value
		case "type":
			st.Type = a.Value
		}
		if err != nil {
			bad = a.Name.Local
		}
	}
	if bad != "" {
		// RFC 6120 §8.3.3.8; the stanza is returned too, so that the error can be sent back.
		return st, NewError(JIDMalformed, fmt.Sprintf("the %q attribute is not a valid address", bad))
	}
	return st, nil
}

func isContent(space string) bool {
	return space == ns.Client || space == ns.Server || space == ns.ComponentAccept
}

// NewMessage, NewPresence and NewIQ make a stanza with the given payload.
func NewMessage(typ string, payload ...*xmlstream.Node) *Stanza {
	return &Stanza{Kind: Message, Type: typ, Payload: xmlstream.NewFragment(payload...)}
}

// NewPresence makes a presence stanza.
func NewPresence(typ string, payload ...*xmlstream.Node) *Stanza {
	return &Stanza{Kind: Presence, Type: typ, Payload: xmlstream.NewFragment(payload...)}
}

// NewIQ makes an iq stanza.
func NewIQ(typ, id string, payload ...*xmlstream.Node) *Stanza {
	return &Stanza{Kind: IQ, Type: typ, ID: id, Payload: xmlstream.NewFragment(payload...)}
}

// Copy returns a copy that shares the payload.
func (s *Stanza) Copy() *Stanza { c := *s; return &c }

// With returns a copy with other addresses.
func (s *Stanza) With(from, to jid.JID) *Stanza {
	c := *s
	c.From, c.To = from, to
	return &c
}

// WithPayload returns a copy with another payload.
func (s *Stanza) WithPayload(f xmlstream.Fragment) *Stanza {
	c := *s
	c.Payload = f
	return &c
}

// Child returns the first direct child of that name.
func (s *Stanza) Child(space, local string) (xmlstream.Child, bool) {
	return s.Payload.Child(space, local)
}

// Body returns the text of the first <body/>, "" if there is none.
func (s *Stanza) Body() string {
	if c, ok := s.Payload.Child(ns.Client, "body"); ok {
		return c.Text()
	}
	return ""
}

// IsRequest tells whether the stanza is an iq that must be answered.
func (s *Stanza) IsRequest() bool { return s.Kind == IQ && (s.Type == TypeGet || s.Type == TypeSet) }

// Query returns the only child of an iq request (RFC 6120 §8.2.3 rule 4); ok is false if there is not exactly one.
func (s *Stanza) Query() (xmlstream.Child, bool) {
	if s.Payload.NumChildren() != 1 {
		return xmlstream.Child{}, false
	}
	return s.Payload.At(0), true
}

// Result returns the result of an iq request, addressed back.
func (s *Stanza) Result(payload ...*xmlstream.Node) *Stanza {
	return &Stanza{Kind: IQ, Type: TypeResult, ID: s.ID, From: s.To, To: s.From, Payload: xmlstream.NewFragment(payload...)}
}
