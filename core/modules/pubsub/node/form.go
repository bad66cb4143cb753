package node

import (
	"slices"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// Fields that are not of a node alone but of the graph (XEP-0248 §7.2): the engine adds and reads them.
const (
	FieldCollection = "pubsub#collection"
	FieldChildren   = "pubsub#children"
)

func (f *field) write(c *Config) form.Field {
	out := form.Field{Var: prefix + f.name, Type: f.typ, Label: f.label, Values: f.get(c)}
	if f.name == "roster_groups_allowed" {
		for _, g := range out.Values {
			out.Options = append(out.Options, form.Option{Value: g})
		}
	}
	for _, o := range f.options {
		out.Options = append(out.Options, form.Option{Value: o})
	}
	return out
}

func (f *field) fits(kind string) bool {
	return f.typ != form.Hidden && (f.kind == "" || f.kind == kind)
}

// Form returns the configuration form (XEP-0060 §8.2.2).
func (c *Config) Form(t form.Type) *form.Form {
	out := form.New(t, ns.PubSubNodeConfig)
	for _, f := range fields() {
		if f.fits(c.Kind) {
			fd := f.write(c)
			if t == form.TypeResult {
				fd.Options = nil
			}
			out.Add(fd)
		}
	}
	return out
}

// Metadata returns the part of it that everybody may see (§5.4).
func (c *Config) Metadata() *form.Form {
	out := form.New(form.TypeResult, ns.PubSubMetaData)
	for _, f := range fields() {
		if v := f.get(c); f.meta && f.fits(c.Kind) && len(v) > 0 && v[0] != "" {
			out.Add(form.Field{Var: prefix + f.name, Type: f.typ, Label: f.label, Values: v})
		}
	}
	return out
}

// Submit returns the configuration changed by a form. Fields of the graph and those that nobody knows are passed over.
func (c *Config) Submit(f *form.Form, l Limits) (Config, error) {
	next := *c
	all := fields()
	for _, fd := range f.Fields {
		name, ok := strings.CutPrefix(fd.Var, prefix)
		i := slices.IndexFunc(all, func(f field) bool { return f.name == name })
		if !ok || i < 0 || fd.Values == nil && all[i].typ != form.JIDMulti && all[i].typ != form.ListMulti {
			continue
		}
		if err := all[i].set(&next, fd.Values); err != nil {
			return *c, BadValue("The field " + fd.Var + " cannot be so: " + err.Error() + ".")
		}
	}
	if err := next.check(l); err != nil {
		return *c, err
	}
	return next, nil
}

// check refuses what would promise more than the service keeps (XEP-0060 §8.2.5.2).
func (c *Config) check(l Limits) error {
	switch {
	case c.MaxItems > l.MaxItems:
		return BadValue("This is more items than a node may have here; use max.")
	case c.MaxPayload > l.MaxPayload:
		return BadValue("Payloads may not be as large as that here.")
	}
	if c.Expire == Max {
		c.Expire = 0
	}
	return nil
}

// Met checks the preconditions of a publication (XEP-0060 §7.1.5).
func (c *Config) Met(f *form.Form) error {
	all := fields()
	for _, fd := range f.Fields {
		if fd.Var == "FORM_TYPE" {
			continue
		}
		name, ok := strings.CutPrefix(fd.Var, prefix)
		i := slices.IndexFunc(all, func(f field) bool { return f.name == name })
		if !ok || i < 0 {
			return unknownOption(fd.Var)
		}
		probe := *c
		if err := all[i].set(&probe, fd.Values); err != nil {
			return BadValue("The option " + fd.Var + " cannot be so: " + err.Error() + ".")
		}
		if probe.Expire == Max {
			probe.Expire = 0
		}
		if !slices.Equal(all[i].get(&probe), all[i].get(c)) {
			return Refuse(stanza.Conflict, "", "precondition-not-met", "The node's "+name+" is another.")
		}
	}
	return nil
}

// Known refuses options that are none (XEP-0060 §7.1.5), for a node that is made by them.
func Known(f *form.Form) error {
	all := fields()
	for _, fd := range f.Fields {
		name, ok := strings.CutPrefix(fd.Var, prefix)
		if fd.Var != "FORM_TYPE" && (!ok || !slices.ContainsFunc(all, func(f field) bool { return f.name == name })) {
			return unknownOption(fd.Var)
		}
	}
	return nil
}

func unknownOption(name string) error {
	return Refuse(stanza.BadRequest, "", "invalid-options", "There is no option "+name+".")
}
