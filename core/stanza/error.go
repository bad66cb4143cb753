package stanza

import (
	"errors"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// ErrNoStanza says that an element is not a message, presence or iq of a content namespace.
var ErrNoStanza = errors.New("stanza: not a stanza")

// Condition is a defined condition of stanza errors (RFC 6120 §8.3.3).
type Condition string

// The conditions.
const (
	BadRequest            Condition = "bad-request"
	Conflict              Condition = "conflict"
	FeatureNotImplemented Condition = "feature-not-implemented"
	Forbidden             Condition = "forbidden"
	Gone                  Condition = "gone"
	InternalServerError   Condition = "internal-server-error"
	ItemNotFound          Condition = "item-not-found"
	JIDMalformed          Condition = "jid-malformed"
	NotAcceptable         Condition = "not-acceptable"
	NotAllowed            Condition = "not-allowed"
	NotAuthorized         Condition = "not-authorized"
	PolicyViolation       Condition = "policy-violation"
	RecipientUnavailable  Condition = "recipient-unavailable"
	Redirect              Condition = "redirect"
	RegistrationRequired  Condition = "registration-required"
	RemoteServerNotFound  Condition = "remote-server-not-found"
	RemoteServerTimeout   Condition = "remote-server-timeout"
	ResourceConstraint    Condition = "resource-constraint"
	ServiceUnavailable    Condition = "service-unavailable"
	SubscriptionRequired  Condition = "subscription-required"
	UndefinedCondition    Condition = "undefined-condition"
	UnexpectedRequest     Condition = "unexpected-request"
)

// defaultTypes is the error type that RFC 6120 §8.3.3 gives for each condition (its first choice).
var defaultTypes = map[Condition]string{
	BadRequest: "modify", Conflict: "cancel", FeatureNotImplemented: "cancel", Forbidden: "auth", Gone: "cancel",
	InternalServerError: "cancel", ItemNotFound: "cancel", JIDMalformed: "modify", NotAcceptable: "modify",
	NotAllowed: "cancel", NotAuthorized: "auth", PolicyViolation: "modify", RecipientUnavailable: "wait",
	Redirect: "modify", RegistrationRequired: "auth", RemoteServerNotFound: "cancel", RemoteServerTimeout: "wait",
	ResourceConstraint: "wait", ServiceUnavailable: "cancel", SubscriptionRequired: "auth",
	UndefinedCondition: "cancel", UnexpectedRequest: "wait",
}

// Error is a stanza error. It is a Go error, so a handler returns it; what the peer sees is in it, the cause stays in the log.
type Error struct {
	Type      string // auth, cancel, continue, modify, wait; "": the condition's default
	Condition Condition
	Text      string          // for a person
	URI       string          // new address of gone and redirect
	By        string          // who refuses, if not the addressed entity
	App       *xmlstream.Node // application-specific condition
	Cause     error           // for the log only
}

// NewError returns an error with the condition's usual type.
func NewError(c Condition, text string) *Error { return &Error{Condition: c, Text: text} }

func (e *Error) Error() string {
	s := string(e.Condition)
	if e.Text != "" {
		s += ": " + e.Text
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// AsError returns err as a stanza error; what is none becomes internal-server-error with err as its cause.
func AsError(err error) *Error {
	var se *Error
	if errors.As(err, &se) {
		return se
	}
	return &Error{Condition: InternalServerError, Type: "wait", Text: "The server could not do this now; try again.", Cause: err}
}

// Node returns the <error/> element.
func (e *Error) Node() *xmlstream.Node {
	typ := e.Type
	if typ == "" {
		typ = defaultTypes[e.Condition]
	}
	n := xmlstream.NewNode(ns.Client, "error", "type", typ)
	if e.By != "" {
		n.SetAttr("by", e.By)
	}
	n.Add(xmlstream.NewNode(ns.Stanzas, string(e.Condition)).SetText(e.URI))
	if e.Text != "" {
		n.Add(xmlstream.NewNode(ns.Stanzas, "text").SetText(e.Text))
	}
	if e.App != nil {
		n.Add(e.App)
	}
	return n
}

// ErrorFrom reads the <error/> of a stanza of type error; nil if there is none.
func (s *Stanza) ErrorFrom() *Error {
	c, ok := s.Payload.Child(ns.Client, "error")
	if !ok {
		return nil
	}
	n := c.Node()
	e := &Error{Type: n.Attr("type"), By: n.Attr("by"), Condition: UndefinedCondition}
	for k := range n.Elements() {
		switch {
		case k.Name.Space != ns.Stanzas:
			e.App = k
		case k.Name.Local == "text":
			e.Text = k.TextContent()
		default:
			e.Condition, e.URI = Condition(k.Name.Local), k.TextContent()
		}
	}
	return e
}

// ErrorReply returns the error that answers s, or nil if s must not be answered with one: an error is never answered (RFC 6120 §8.3.1), nor
// is an iq result. The payload that it answers is not repeated.
func (s *Stanza) ErrorReply(err error) *Stanza {
	if s.Type == TypeError || s.Kind == IQ && s.Type == TypeResult {
		return nil
	}
	return &Stanza{Kind: s.Kind, Type: TypeError, ID: s.ID, From: s.To, To: s.From,
		Payload: xmlstream.NewFragment(AsError(err).Node())}
}
