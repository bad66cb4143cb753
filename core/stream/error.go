package stream

import (
	"errors"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Condition is a defined condition of stream errors (RFC 6120 §4.9.3).
type Condition string

// The conditions.
const (
	BadFormat              Condition = "bad-format"
	BadNamespacePrefix     Condition = "bad-namespace-prefix"
	Conflict               Condition = "conflict"
	ConnectionTimeout      Condition = "connection-timeout"
	HostGone               Condition = "host-gone"
	HostUnknown            Condition = "host-unknown"
	ImproperAddressing     Condition = "improper-addressing"
	InternalServerError    Condition = "internal-server-error"
	InvalidFrom            Condition = "invalid-from"
	InvalidNamespace       Condition = "invalid-namespace"
	InvalidXML             Condition = "invalid-xml"
	NotAuthorized          Condition = "not-authorized"
	NotWellFormed          Condition = "not-well-formed"
	PolicyViolation        Condition = "policy-violation"
	RemoteConnectionFailed Condition = "remote-connection-failed"
	Reset                  Condition = "reset"
	ResourceConstraint     Condition = "resource-constraint"
	RestrictedXML          Condition = "restricted-xml"
	SeeOtherHost           Condition = "see-other-host"
	SystemShutdown         Condition = "system-shutdown"
	UndefinedCondition     Condition = "undefined-condition"
	UnsupportedEncoding    Condition = "unsupported-encoding"
	UnsupportedFeature     Condition = "unsupported-feature"
	UnsupportedStanzaType  Condition = "unsupported-stanza-type"
	UnsupportedVersion     Condition = "unsupported-version"
)

// Error is a stream error: it ends the stream. The peer sees condition, text and App; Cause stays in the log.
type Error struct {
	Condition Condition
	Text      string
	App       *xmlstream.Node // application-specific condition (RFC 6120 §4.9.4)
	Cause     error
}

// NewError returns an error with a text for people.
func NewError(c Condition, text string) *Error { return &Error{Condition: c, Text: text} }

func (e *Error) Error() string {
	s := "stream: " + string(e.Condition)
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

// AsError returns err as a stream error: an [*Error] as it is, a fault of the peer's XML under the condition that the parser found, anything
// else as internal-server-error.
func AsError(err error) *Error {
	var se *Error
	if errors.As(err, &se) {
		return se
	}
	var syn *xmlstream.SyntaxError
	if errors.As(err, &syn) {
		return &Error{Condition: Condition(syn.Condition), Text: syntaxTexts[Condition(syn.Condition)], Cause: err}
	}
	return &Error{Condition: InternalServerError, Cause: err}
}

var syntaxTexts = map[Condition]string{
	NotWellFormed:       "The XML is not well-formed.",
	RestrictedXML:       "Comments, processing instructions, document types and entities of one's own are not allowed.",
	PolicyViolation:     "An element is larger or nested deeper than this server allows.",
	BadNamespacePrefix:  "A namespace prefix is not declared.",
	UnsupportedEncoding: "Only UTF-8 is supported.",
}

// AppendError appends <stream:error/>.
func (f Framing) AppendError(dst []byte, e *Error) []byte {
	parent := ns.Client
	if f == Framed {
		dst = append(dst, "<stream:error xmlns:stream='"+ns.Stream+"'>"...)
		parent = ""
	} else {
		dst = append(dst, "<stream:error>"...)
	}
	c := e.Condition
	if c == "" {
		c = UndefinedCondition
	}
	dst = xmlstream.AppendNode(dst, xmlstream.NewNode(ns.StreamErrors, string(c)), parent)
	if e.Text != "" {
		text := xmlstream.NewNode(ns.StreamErrors, "text").SetText(e.Text)
		text.Attrs = append(text.Attrs, xmlstream.Attr{Name: xmlstream.Name{Space: ns.XML, Local: "lang"}, Value: "en"})
		dst = xmlstream.AppendNode(dst, text, parent)
	}
	if e.App != nil {
		dst = xmlstream.AppendNode(dst, e.App, parent)
	}
	return append(dst, "</stream:error>"...)
}
