package room

import (
	"fmt"
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// Fields of the configuration form whose values are lists of people, not settings; core/modules/muc turns them into affiliations.
const (
	FieldOwners = "muc#roomconfig_roomowners"
	FieldAdmins = "muc#roomconfig_roomadmins"
)

// Form returns the configuration form with the present values as defaults (XEP-0045 §10.2).
func (c Config) Form(room jid.JID, owners, admins []string) *form.Form {
	f := form.New(form.TypeForm, ns.MUCRoomConfig)
	f.Title = "Configuration of " + room.String()
	for _, s := range allSettings() {
		values := s.get(&c)
		f.Add(form.Field{Var: s.name, Type: s.typ, Label: s.label, Options: withPresent(s.options, values), Values: values})
	}
	return f.Add(
		form.Field{Var: FieldAdmins, Type: form.JIDMulti, Label: "Admins", Values: admins},
		form.Field{Var: FieldOwners, Type: form.JIDMulti, Label: "Owners", Values: owners})
}

// withPresent makes the present value one of the choices of a list, so that a client can send it back.
func withPresent(options []form.Option, values []string) []form.Option {
	for _, v := range values {
		if len(options) > 0 && !slices.ContainsFunc(options, func(o form.Option) bool { return o.Value == v }) {
			options = append(slices.Clone(options), form.Option{Label: v, Value: v})
		}
	}
	return options
}

// Submit returns the configuration as a submitted form changes it. Fields that are absent keep their values (XEP-0004 §3.2); unknown ones are
// skipped, because clients send back what other servers once offered. Fields are applied in the order of the settings, not of the form.
func (c Config) Submit(f *form.Form) (Config, error) {
	out := c.Clone()
	if ft := f.FormType(); ft != "" && ft != ns.MUCRoomConfig {
		return c, stanza.NewError(stanza.BadRequest, "this is not a room configuration form")
	}
	for _, s := range allSettings() {
		fd, ok := f.Field(s.name)
		if !ok || s.set == nil {
			continue
		}
		if err := s.set(&out, fd.Values); err != nil {
			return c, &stanza.Error{Condition: stanza.NotAcceptable, Text: fmt.Sprintf("%s: %v", s.label, err)}
		}
	}
	if err := out.submitPassword(f); err != nil {
		return c, err
	}
	return out, nil
}

// submitPassword reads the two fields that only together say whether there is a password.
func (c *Config) submitPassword(f *form.Form) error {
	protect, given := f.Field("muc#roomconfig_passwordprotectedroom")
	secret, hasSecret := f.Field("muc#roomconfig_roomsecret")
	if !given {
		if hasSecret && c.Password != "" && secret.Value() != "" {
			c.Password = secret.Value()
		}
		return nil
	}
	on, err := protect.Bool()
	switch {
	case err != nil:
		return stanza.NewError(stanza.NotAcceptable, "password protection: "+err.Error())
	case !on:
		c.Password = ""
	case secret.Value() != "":
		c.Password = secret.Value()
	case c.Password == "":
		return stanza.NewError(stanza.NotAcceptable, "a password-protected room needs a password")
	}
	return nil
}

func (c *Config) pm() PM {
	if c.AllowPM == "" {
		return PMAnyone
	}
	return c.AllowPM
}
