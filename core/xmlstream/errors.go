package xmlstream

import "fmt"

// Stream error conditions (RFC 6120 §4.9.3) that the decoder asks for.
const (
	NotWellFormed       = "not-well-formed"
	RestrictedXML       = "restricted-xml"
	PolicyViolation     = "policy-violation"
	InvalidXML          = "invalid-xml"
	InvalidNamespace    = "invalid-namespace"
	BadNamespacePrefix  = "bad-namespace-prefix"
	UnsupportedEncoding = "unsupported-encoding"
)

// SyntaxError says that the peer's XML is refused. The stream it came on cannot be read any further.
type SyntaxError struct {
	Condition string // the stream error condition to answer with
	Reason    string // for the log; holds nothing of the peer's input but single characters
}

func (e *SyntaxError) Error() string {
	return "xmlstream: " + e.Condition + ": " + e.Reason
}

func refuse(condition, reason string) error {
	return &SyntaxError{Condition: condition, Reason: reason}
}

func refusef(condition, format string, args ...any) error {
	return &SyntaxError{Condition: condition, Reason: fmt.Sprintf(format, args...)}
}
