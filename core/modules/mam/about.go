package mam

import (
	"context"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/delay"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// fields tells which fields a question may have (XEP-0313 §3.1.5).
func (m *Module) fields(_ context.Context, _ *module.Request, src *source) (*xmlstream.Node, error) {
	f := form.New(form.TypeForm, ns.MAM).Add(
		form.Field{Var: "with", Type: form.JIDSingle},
		form.Field{Var: "start", Type: form.TextSingle},
		form.Field{Var: "end", Type: form.TextSingle},
		form.Field{Var: "before-id", Type: form.TextSingle},
		form.Field{Var: "after-id", Type: form.TextSingle},
		form.Field{Var: "ids", Type: form.ListMulti},
	)
	if !src.isRoom() {
		f.Add(form.Field{Var: "include-groupchat", Type: form.Boolean})
	}
	if m.finder != nil {
		f.Add(form.Field{Var: fieldFullText, Type: form.TextSingle})
	}
	x := f.Node()
	for c := range x.Elements() {
		if c.Attr("var") == "ids" { // any id may be given; they are not listed
			c.Add(xmlstream.NewNode(ns.FormValidate, "validate", "datatype", "xs:string").Add(xmlstream.NewNode(ns.FormValidate, "open")))
		}
	}
	return xmlstream.NewNode(ns.MAM, "query").Add(x), nil
}

// metadata tells the first and the last message (§4).
func (m *Module) metadata(ctx context.Context, _ *module.Request, src *source) (*xmlstream.Node, error) {
	n := xmlstream.NewNode(ns.MAM, "metadata")
	for _, end := range []struct {
		name     string
		backward bool
	}{{"start", false}, {"end", true}} {
		refs, _, err := m.d.Store.Messages().Refs(ctx, src.kind, src.owner.String(), storage.Range{Limit: 1, Backward: end.backward})
		if err != nil {
			return nil, fmt.Errorf("mam: read ends: %w", err)
		}
		if len(refs) == 0 {
			return xmlstream.NewNode(ns.MAM, "metadata"), nil
		}
		n.Add(xmlstream.NewNode(ns.MAM, end.name, "id", src.encode(refs[0].ID), "timestamp", delay.Format(refs[0].ID.Time())))
	}
	return n, nil
}
