package form

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// ErrInvalid says that an element is not a data form as XEP-0004 §3 demands.
var ErrInvalid = errors.New("form: not a valid data form")

// Type is the type of a form (XEP-0004 §3.1).
type Type string

// The types.
const (
	TypeForm   Type = "form"
	TypeSubmit Type = "submit"
	TypeCancel Type = "cancel"
	TypeResult Type = "result"
)

// FieldType is the type of a field (XEP-0004 §3.3).
type FieldType string

// The field types.
const (
	Boolean     FieldType = "boolean"
	Fixed       FieldType = "fixed"
	Hidden      FieldType = "hidden"
	JIDMulti    FieldType = "jid-multi"
	JIDSingle   FieldType = "jid-single"
	ListMulti   FieldType = "list-multi"
	ListSingle  FieldType = "list-single"
	TextMulti   FieldType = "text-multi"
	TextPrivate FieldType = "text-private"
	TextSingle  FieldType = "text-single"
)

// fieldTypes are the types that the text defines; an unknown one is read as text-single (XEP-0004 §3.3).
var fieldTypes = []FieldType{Boolean, Fixed, Hidden, JIDMulti, JIDSingle, ListMulti, ListSingle, TextMulti, TextPrivate, TextSingle}

// formTypeVar is the field that names a form's kind (XEP-0068 §3).
const formTypeVar = "FORM_TYPE"

// Option is one choice of a list field.
type Option struct{ Label, Value string }

// Field is one field. Values is nil if the field carries no value at all, which differs from one empty value.
type Field struct {
	Var      string
	Type     FieldType // "": not given, as in most submitted forms
	Label    string
	Desc     string
	Required bool
	Values   []string
	Options  []Option
}

// Value returns the first value, "" if there is none.
func (f Field) Value() string {
	if len(f.Values) == 0 {
		return ""
	}
	return f.Values[0]
}

// Bool reads the value as a boolean; an absent value is false.
func (f Field) Bool() (bool, error) {
	if len(f.Values) == 0 {
		return false, nil
	}
	return ParseBool(f.Values[0])
}

// Form is one data form.
type Form struct {
	Type         Type
	Title        string
	Instructions []string
	Fields       []Field
	Reported     []Field   // header of a table of results (XEP-0004 §3.4)
	Items        [][]Field // its rows
}

// New returns a form of a type with its FORM_TYPE ("" for none).
func New(t Type, formType string) *Form {
	f := &Form{Type: t}
	if formType != "" {
		f.Fields = append(f.Fields, Field{Var: formTypeVar, Type: Hidden, Values: []string{formType}})
	}
	return f
}

// Add appends fields and returns the form.
func (f *Form) Add(fields ...Field) *Form {
	f.Fields = append(f.Fields, fields...)
	return f
}

// Text appends a field of type text-single with one value and returns the form.
func (f *Form) Text(name, value string) *Form {
	return f.Add(Field{Var: name, Type: TextSingle, Values: []string{value}})
}

// FormType returns the value of FORM_TYPE, "" if there is none.
func (f *Form) FormType() string { return f.Value(formTypeVar) }

// Field returns the first field of that name.
func (f *Form) Field(name string) (Field, bool) {
	for _, fd := range f.Fields {
		if fd.Var == name {
			return fd, true
		}
	}
	return Field{}, false
}

// Value returns the first value of a field, "" if it is not there.
func (f *Form) Value(name string) string {
	fd, _ := f.Field(name)
	return fd.Value()
}

// FormatBool writes a boolean as XEP-0004 §3.3 recommends.
func FormatBool(v bool) string {
	if v {
		return "1"
	}
	return "0"
}

// ParseBool reads the lexical forms of xs:boolean.
func ParseBool(s string) (bool, error) {
	switch strings.TrimSpace(s) {
	case "1", "true":
		return true, nil
	case "0", "false":
		return false, nil
	}
	return false, fmt.Errorf("%w: %q is not a boolean", ErrInvalid, s)
}

// Find returns the first form among the children of n, nil if there is none.
func Find(n *xmlstream.Node) *xmlstream.Node { return n.Child(ns.Form, "x") }

// Parse reads a form. What it does not know (media, validation, layout) is skipped.
func Parse(n *xmlstream.Node) (*Form, error) {
	if n == nil || n.Name.Space != ns.Form || n.Name.Local != "x" {
		return nil, ErrInvalid
	}
	f := &Form{Type: Type(n.Attr("type"))}
	if !slices.Contains([]Type{TypeForm, TypeSubmit, TypeCancel, TypeResult}, f.Type) {
		return nil, fmt.Errorf("%w: type %q", ErrInvalid, f.Type)
	}
	for c := range n.Elements() {
		if c.Name.Space != ns.Form {
			continue
		}
		if err := f.parseChild(c); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *Form) parseChild(c *xmlstream.Node) error {
	var err error
	switch c.Name.Local {
	case "title":
		f.Title = c.TextContent()
	case "instructions":
		f.Instructions = append(f.Instructions, c.TextContent())
	case "field":
		var fd Field
		if fd, err = parseField(c); err == nil {
			f.Fields = append(f.Fields, fd)
		}
	case "reported":
		f.Reported, err = parseFields(c)
	case "item":
		var row []Field
		row, err = parseFields(c)
		f.Items = append(f.Items, row)
	}
	return err
}

func parseFields(n *xmlstream.Node) ([]Field, error) {
	var out []Field
	for c := range n.Children(ns.Form, "field") {
		fd, err := parseField(c)
		if err != nil {
			return nil, err
		}
		out = append(out, fd)
	}
	return out, nil
}

func parseField(n *xmlstream.Node) (Field, error) {
	fd := Field{Var: n.Attr("var"), Type: FieldType(n.Attr("type")), Label: n.Attr("label")}
	if fd.Type != "" && !slices.Contains(fieldTypes, fd.Type) {
		fd.Type = TextSingle // XEP-0004 §3.3: an unknown type is text-single
	}
	if fd.Var == "" && fd.Type != Fixed {
		return fd, fmt.Errorf("%w: a field without var", ErrInvalid) // XEP-0004 §3.2
	}
	for c := range n.Elements() {
		if c.Name.Space != ns.Form {
			continue
		}
		switch c.Name.Local {
		case "value":
			fd.Values = append(fd.Values, c.TextContent())
		case "desc":
			fd.Desc = c.TextContent()
		case "required":
			fd.Required = true
		case "option":
			o := Option{Label: c.Attr("label")}
			if v := c.Child(ns.Form, "value"); v != nil {
				o.Value = v.TextContent()
			}
			fd.Options = append(fd.Options, o)
		}
	}
	return fd, nil
}

// Node writes the form.
func (f *Form) Node() *xmlstream.Node {
	n := xmlstream.NewNode(ns.Form, "x", "type", string(f.Type))
	if f.Title != "" {
		n.Add(xmlstream.NewNode(ns.Form, "title").SetText(f.Title))
	}
	for _, s := range f.Instructions {
		n.Add(xmlstream.NewNode(ns.Form, "instructions").SetText(s))
	}
	if len(f.Reported) > 0 {
		n.Add(fieldsNode("reported", f.Reported))
	}
	for _, row := range f.Items {
		n.Add(fieldsNode("item", row))
	}
	for i := range f.Fields {
		n.Add(f.Fields[i].node())
	}
	return n
}

func fieldsNode(local string, fields []Field) *xmlstream.Node {
	n := xmlstream.NewNode(ns.Form, local)
	for i := range fields {
		n.Add(fields[i].node())
	}
	return n
}

func (f *Field) node() *xmlstream.Node {
	n := xmlstream.NewNode(ns.Form, "field")
	set := func(k, v string) {
		if v != "" {
			n.SetAttr(k, v)
		}
	}
	set("var", f.Var)
	set("type", string(f.Type))
	set("label", f.Label)
	if f.Desc != "" {
		n.Add(xmlstream.NewNode(ns.Form, "desc").SetText(f.Desc))
	}
	if f.Required {
		n.Add(xmlstream.NewNode(ns.Form, "required"))
	}
	for _, v := range f.Values {
		n.Add(xmlstream.NewNode(ns.Form, "value").SetText(v))
	}
	for _, o := range f.Options {
		on := xmlstream.NewNode(ns.Form, "option")
		if o.Label != "" {
			on.SetAttr("label", o.Label)
		}
		n.Add(on.Add(xmlstream.NewNode(ns.Form, "value").SetText(o.Value)))
	}
	return n
}
