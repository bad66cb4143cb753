package room

import (
	"strings"
	"unicode/utf8"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// Membership is what somebody gives who registers with a room (XEP-0045 §7.10, §16.5.1). Its JSON form is stored while it waits for approval.
type Membership struct {
	Nick  string `json:"nick"`
	First string `json:"first,omitempty"`
	Last  string `json:"last,omitempty"`
	URL   string `json:"url,omitempty"`
	Email string `json:"email,omitempty"`
	FAQ   string `json:"faq,omitempty"`
}

// Fields of the forms muc#register. The address is not among those of §16.5.1: without it an answer could not be told from another.
const (
	fieldRegisterNick  = "muc#register_roomnick"
	fieldRegisterAllow = "muc#register_allow"
	fieldRegisterJID   = "x-muc#register_jid"
)

// membershipFields are the fields in the order of the form.
var membershipFields = []struct {
	name, label string
	typ         form.FieldType
	required    bool
	at          func(*Membership) *string
}{
	{fieldRegisterNick, "Desired Nickname", form.TextSingle, true, func(m *Membership) *string { return &m.Nick }},
	{"muc#register_first", "Given Name", form.TextSingle, false, func(m *Membership) *string { return &m.First }},
	{"muc#register_last", "Family Name", form.TextSingle, false, func(m *Membership) *string { return &m.Last }},
	{"muc#register_url", "A Web Page", form.TextSingle, false, func(m *Membership) *string { return &m.URL }},
	{"muc#register_email", "Email Address", form.TextSingle, false, func(m *Membership) *string { return &m.Email }},
	{"muc#register_faqentry", "FAQ Entry", form.TextMulti, false, func(m *Membership) *string { return &m.FAQ }},
}

// maxMembershipText bounds what is given in one field, in characters: it is stored, and sent to every admin.
const maxMembershipText = 500

// RegisterForm is what somebody fills in who wants to register; nick is what she has now.
func RegisterForm(room jid.JID, nick string) *form.Form {
	f := form.New(form.TypeForm, ns.MUCRegister)
	f.Title = "Registration with " + room.String()
	f.Instructions = []string{"Please provide the following information to register with this room."}
	m := Membership{Nick: nick}
	for _, d := range membershipFields {
		fd := form.Field{Var: d.name, Type: d.typ, Label: d.label, Required: d.required}
		if v := *d.at(&m); v != "" {
			fd.Values = []string{v}
		}
		f.Add(fd)
	}
	return f
}

// ApprovalForm is what an admin is asked (XEP-0045 §9.9).
func ApprovalForm(who string, m Membership) *form.Form {
	f := form.New(form.TypeForm, ns.MUCRegister)
	f.Title = "Registration request"
	f.Instructions = []string{"To approve this registration request, select the \"Allow this person to register with the room?\" checkbox and click OK. To skip this request, click the cancel button."}
	f.Add(form.Field{Var: fieldRegisterJID, Type: form.JIDSingle, Label: "User ID", Values: []string{who}})
	for _, d := range membershipFields {
		if v := *d.at(&m); v != "" || d.required {
			f.Add(form.Field{Var: d.name, Type: d.typ, Label: d.label, Values: strings.Split(v, "\n")})
		}
	}
	return f.Add(form.Field{Var: fieldRegisterAllow, Type: form.Boolean, Label: "Allow this person to register with the room?", Values: []string{form.FormatBool(false)}})
}

// ParseMembership reads a submitted form.
func ParseMembership(f *form.Form) (Membership, error) {
	var m Membership
	if f.Type != form.TypeSubmit || f.FormType() != ns.MUCRegister {
		return m, stanza.NewError(stanza.BadRequest, "a registration form of type submit is needed") // §7.10
	}
	for _, d := range membershipFields {
		fd, _ := f.Field(d.name)
		v := strings.Join(fd.Values, "\n")
		if utf8.RuneCountInString(v) > maxMembershipText {
			return m, &stanza.Error{Condition: stanza.NotAcceptable, Text: d.label + ": too long"}
		}
		if v == "" && d.required {
			return m, &stanza.Error{Condition: stanza.BadRequest, Text: d.label + ": is needed"}
		}
		*d.at(&m) = v
	}
	return m, nil
}

// ApprovalAnswer reads what an admin has decided about whom; the nick is the one that she leaves in the form.
func ApprovalAnswer(f *form.Form) (who, nick string, allow bool, err error) {
	fd, ok := f.Field(fieldRegisterAllow)
	allow, err = fd.Bool()
	j, bad := jid.Parse(f.Value(fieldRegisterJID))
	if !ok || err != nil || bad != nil || j.IsZero() {
		return "", "", false, stanza.NewError(stanza.BadRequest, "this form does not say who may register, or whether")
	}
	return j.Bare().String(), f.Value(fieldRegisterNick), allow, nil
}

// MayRegister tells how a person can register (XEP-0045 §7.10, §5.2.1): RegisterOpen, RegisterApproval, or an error. Whoever has an affiliation
// can reserve a nick at any time.
func (r *Room) MayRegister(who jid.JID) (Registration, error) {
	how := r.Config.Registering()
	switch a := r.Affiliation(who); {
	case a == Outcast:
		return "", stanza.NewError(stanza.NotAllowed, "you are banned from this room")
	case a > None:
		return RegisterOpen, nil
	case how == RegisterNobody:
		return "", stanza.NewError(stanza.NotAllowed, "in this room only admins make members")
	}
	return how, nil
}

// CheckReservation tells whether a person can reserve a nick: not if it is another's, reserved or in use (XEP-0045 §7.10, example 72).
func (r *Room) CheckReservation(who jid.JID, nick string) error {
	if !r.possible(nick) {
		return stanza.NewError(stanza.NotAcceptable, "this nick cannot be used")
	}
	if owner, ok := r.reserved[fold(nick)]; ok && owner != who.Bare().String() {
		return stanza.NewError(stanza.Conflict, "this nick is reserved by somebody else")
	}
	if o := r.nicks[fold(nick)]; o != nil && o.Bare != who.Bare() {
		return stanza.NewError(stanza.Conflict, "somebody else has this nick")
	}
	return nil
}

// LockedNick is the only nick that a person may have, "" if she is free (XEP-0045 §7.10, §7.12).
func (r *Room) LockedNick(who jid.JID) string {
	if !r.Config.LockNicks {
		return ""
	}
	if e, ok := r.Entry(who); ok && e.Affiliation > Outcast {
		return e.Nick
	}
	return ""
}
