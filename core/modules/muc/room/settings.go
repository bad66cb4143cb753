package room

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
)

// setting is one field of the form muc#roomconfig (XEP-0045 §16.5.3).
type setting struct {
	name    string
	typ     form.FieldType
	label   string
	options []form.Option
	get     func(*Config) []string
	set     func(*Config, []string) error
}

var settings = []setting{
	{"muc#roomconfig_roomname", form.TextSingle, "Name", nil, one(func(c *Config) *string { return &c.Name }), setText(func(c *Config) *string { return &c.Name }, 200)},
	{"muc#roomconfig_roomdesc", form.TextSingle, "Description", nil, one(func(c *Config) *string { return &c.Description }), setText(func(c *Config) *string { return &c.Description }, 2000)},
	{"muc#roomconfig_lang", form.TextSingle, "Language of the discussions", nil, one(func(c *Config) *string { return &c.Lang }), setText(func(c *Config) *string { return &c.Lang }, 40)},
	flag("muc#roomconfig_persistentroom", "The room stays when everybody has left", func(c *Config) *bool { return &c.Persistent }),
	flag("muc#roomconfig_publicroom", "The room is listed", func(c *Config) *bool { return &c.Public }),
	flag("muc#roomconfig_membersonly", "Only members may enter", func(c *Config) *bool { return &c.MembersOnly }),
	flag("muc#roomconfig_moderatedroom", "Only those with voice may talk", func(c *Config) *bool { return &c.Moderated }),
	flag("muc#roomconfig_allowinvites", "Members may invite others", func(c *Config) *bool { return &c.AllowInvites }),
	flag("muc#roomconfig_changesubject", "Occupants may change the subject", func(c *Config) *bool { return &c.ChangeSubject }),
	flag("muc#roomconfig_enablelogging", "The archive can be read", func(c *Config) *bool { return &c.Logging }),
	{"muc#roomconfig_allowpm", form.ListSingle, "Who may send private messages",
		[]form.Option{{Label: "Anyone", Value: "anyone"}, {Label: "Those with voice", Value: "participants"}, {Label: "Moderators", Value: "moderators"}, {Label: "Nobody", Value: "none"}},
		func(c *Config) []string { return []string{string(c.pm())} }, setPM},
	{"muc#roomconfig_whois", form.ListSingle, "Who sees the real addresses of occupants",
		[]form.Option{{Label: "Moderators", Value: "moderators"}, {Label: "Anyone", Value: "anyone"}},
		func(c *Config) []string {
			if c.NonAnonymous {
				return []string{"anyone"}
			}
			return []string{"moderators"}
		}, setWhois},
	{"muc#roomconfig_maxusers", form.ListSingle, "Most occupants at once",
		[]form.Option{{Label: "20", Value: "20"}, {Label: "100", Value: "100"}, {Label: "500", Value: "500"}, {Label: "No limit", Value: "none"}},
		func(c *Config) []string {
			if c.MaxUsers == 0 {
				return []string{"none"}
			}
			return []string{strconv.Itoa(c.MaxUsers)}
		}, setMaxUsers},
	{"muc#maxhistoryfetch", form.TextSingle, "Messages shown on entering", nil,
		func(c *Config) []string { return []string{strconv.Itoa(c.MaxHistory)} }, setHistory},
	{"muc#roomconfig_presencebroadcast", form.ListMulti, "Roles whose presence is shown to everybody", roleOptions, getBroadcast, setBroadcast},
	{"muc#roomconfig_getmemberlist", form.ListMulti, "Roles that may read the list of members", roleOptions,
		func(c *Config) []string { return roleStrings(c.MemberListRoles) },
		func(c *Config, v []string) (err error) { c.MemberListRoles, err = roles(v); return err }},
	// The flag stands before the secret: a secret alone does not switch the protection on.
	{"muc#roomconfig_passwordprotectedroom", form.Boolean, "A password is needed to enter", nil,
		func(c *Config) []string { return []string{form.FormatBool(c.Password != "")} }, nil},
	{"muc#roomconfig_roomsecret", form.TextPrivate, "Password", nil, one(func(c *Config) *string { return &c.Password }), nil},
	{"muc#roominfo_contactjid", form.JIDMulti, "Contact addresses", nil,
		func(c *Config) []string { return c.Contacts }, setContacts},
	{"muc#roominfo_logs", form.TextSingle, "Address of logs elsewhere", nil, one(func(c *Config) *string { return &c.Logs }), setText(func(c *Config) *string { return &c.Logs }, 1000)},
	{"muc#roominfo_ldapgroup", form.TextSingle, "Associated LDAP group", nil, one(func(c *Config) *string { return &c.LDAPGroup }), setText(func(c *Config) *string { return &c.LDAPGroup }, 1000)},
	{"muc#roomconfig_allowvoicerequests", form.Boolean, "Visitors may ask for voice", nil,
		func(c *Config) []string { return []string{form.FormatBool(!c.NoVoiceRequests)} },
		func(c *Config, v []string) error {
			on, err := form.Field{Values: v}.Bool()
			c.NoVoiceRequests = !on
			return err
		}},
	{"x-muc#roomconfig_registration", form.ListSingle, "How people become members by themselves",
		[]form.Option{{Label: "At once where it gives neither entry nor voice, else after approval", Value: "auto"}, {Label: "At once", Value: "open"}, {Label: "After approval", Value: "approval"}, {Label: "Not at all", Value: "none"}},
		getRegistration, setRegistration},
	flag("x-muc#roomconfig_reservednick", "Who has a reserved nick uses no other", func(c *Config) *bool { return &c.LockNicks }),
	{"muc#roomconfig_pubsub", form.TextSingle, "Associated publish-subscribe node", nil, one(func(c *Config) *string { return &c.PubSub }), setText(func(c *Config) *string { return &c.PubSub }, 1000)},
}

var roleOptions = []form.Option{{Label: "Moderator", Value: "moderator"}, {Label: "Participant", Value: "participant"}, {Label: "Visitor", Value: "visitor"}}

func one(at func(*Config) *string) func(*Config) []string {
	return func(c *Config) []string { return []string{*at(c)} }
}

func setText(at func(*Config) *string, most int) func(*Config, []string) error {
	return func(c *Config, v []string) error {
		s := strings.Join(v, "\n")
		if utf8.RuneCountInString(s) > most {
			return fmt.Errorf("longer than %d characters", most)
		}
		*at(c) = s
		return nil
	}
}

func flag(name, label string, at func(*Config) *bool) setting {
	return setting{name, form.Boolean, label, nil,
		func(c *Config) []string { return []string{form.FormatBool(*at(c))} },
		func(c *Config, v []string) (err error) { *at(c), err = form.Field{Values: v}.Bool(); return err }}
}

func first(v []string) string { return form.Field{Values: v}.Value() }

func setPM(c *Config, v []string) error {
	pm := PM(first(v))
	if !slices.Contains([]PM{PMAnyone, PMParticipants, PMModerators, PMNone}, pm) {
		return fmt.Errorf("unknown value %q", pm)
	}
	c.AllowPM = pm
	return nil
}

func getRegistration(c *Config) []string {
	if c.Registration == RegisterAuto {
		return []string{"auto"}
	}
	return []string{string(c.Registration)}
}

func setRegistration(c *Config, v []string) error {
	switch s := first(v); s {
	case "auto":
		c.Registration = RegisterAuto
	case "open", "1", "true": // COMPAT(clients that know Openfire's field): a boolean there
		c.Registration = RegisterOpen
	case "approval":
		c.Registration = RegisterApproval
	case "none", "0", "false":
		c.Registration = RegisterNobody
	default:
		return fmt.Errorf("unknown value %q", s)
	}
	return nil
}

func setWhois(c *Config, v []string) error {
	switch s := first(v); s {
	case "anyone":
		c.NonAnonymous = true
	case "moderators":
		c.NonAnonymous = false
	default:
		return fmt.Errorf("unknown value %q", s)
	}
	return nil
}

func setMaxUsers(c *Config, v []string) error {
	s := first(v)
	if s == "" || s == "none" {
		c.MaxUsers = 0
		return nil
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return fmt.Errorf("%q is not a number", s)
	}
	c.MaxUsers = int(n)
	return nil
}

func setHistory(c *Config, v []string) error {
	n, err := strconv.ParseUint(first(v), 10, 31)
	if err != nil {
		return fmt.Errorf("%q is not a number", first(v))
	}
	c.MaxHistory = min(int(n), maxHistory)
	return nil
}

func getBroadcast(c *Config) []string {
	var shown []Role
	for _, r := range []Role{Moderator, Participant, Visitor} {
		if c.Broadcasts(r) {
			shown = append(shown, r)
		}
	}
	return roleStrings(shown)
}

func setBroadcast(c *Config, v []string) error {
	shown, err := roles(v)
	if err != nil {
		return err
	}
	c.HiddenRoles = nil
	for _, r := range []Role{Moderator, Participant, Visitor} {
		if !slices.Contains(shown, r) {
			c.HiddenRoles = append(c.HiddenRoles, r)
		}
	}
	return nil
}

func setContacts(c *Config, v []string) error {
	out := make([]string, 0, len(v))
	for _, s := range v {
		if strings.TrimSpace(s) == "" {
			continue
		}
		j, err := jid.Parse(strings.TrimSpace(s))
		if err != nil {
			return fmt.Errorf("%q is not an address", s)
		}
		out = append(out, j.String())
	}
	c.Contacts = out
	return nil
}

func roles(v []string) ([]Role, error) {
	var out []Role
	for _, s := range v {
		r, ok := ParseRole(strings.TrimSuffix(s, "s")) // COMPAT(older forms): the plural is in use too
		if !ok || r == NoRole {
			return nil, fmt.Errorf("unknown role %q", s)
		}
		out = append(out, r)
	}
	return out, nil
}

func roleStrings(rs []Role) []string {
	out := make([]string, len(rs))
	for i, r := range rs {
		out[i] = r.String()
	}
	return out
}
