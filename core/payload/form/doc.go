// Package form is the codec of data forms (XEP-0004), with the conventions of field standardization (XEP-0068).
//
// A [Form] is read from and written to an xmlstream tree. Reading is strict about what the text demands (a type, a var on every field that is
// not fixed) and lenient about what clients really omit: the type of a submitted field is not needed, and several values of a single-value
// field count as the first. The package knows no form in particular and validates no business rule.
//
// Goroutines: none; the values are plain data.
//
//	f := form.New(form.TypeForm, "http://jabber.org/protocol/muc#roomconfig")
//	f.Add(form.Field{Var: "muc#roomconfig_roomname", Type: form.TextSingle, Label: "Name", Values: []string{"Ops"}})
//	reply.Add(f.Node())
package form
