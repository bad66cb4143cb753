package node

import (
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Refuse returns an error with a condition of publish-subscribe beside the one of the stanza (XEP-0060 §11); typ "" is the condition's usual type.
func Refuse(c stanza.Condition, typ, app, text string) error {
	e := &stanza.Error{Condition: c, Type: typ, Text: text}
	if app != "" {
		e.App = xmlstream.NewNode(ns.PubSubErrors, app)
	}
	return e
}

// Unsupported says which feature there is not (XEP-0060 §11).
func Unsupported(feature, text string) error {
	return &stanza.Error{Condition: stanza.FeatureNotImplemented, Text: text,
		App: xmlstream.NewNode(ns.PubSubErrors, "unsupported", "feature", feature)}
}

// Forbidden is the answer to who lacks a right.
func Forbidden(text string) error { return stanza.NewError(stanza.Forbidden, text) }

// NotFound is the answer where a node or item does not exist.
func NotFound(text string) error { return stanza.NewError(stanza.ItemNotFound, text) }

// NodeRequired: a request names no node.
func NodeRequired() error {
	return Refuse(stanza.BadRequest, "", "nodeid-required", "This request names no node.")
}

// InvalidOptions: a form's values make no sense (XEP-0060 §6.3.7.2).
func InvalidOptions(text string) error {
	return Refuse(stanza.BadRequest, "", "invalid-options", text)
}

// BadValue: a configuration cannot be (XEP-0060 §8.2.5.2).
func BadValue(text string) error { return stanza.NewError(stanza.NotAcceptable, text) }
