package room

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
)

func full() Config {
	return Config{Name: "Coven", Description: "a\nb", Lang: "en", Public: true, Persistent: true, MembersOnly: true, Moderated: true,
		NonAnonymous: true, Password: "p", MaxUsers: 100, ChangeSubject: true, AllowPM: PMParticipants, AllowInvites: true, Logging: true,
		MaxHistory: 50, HiddenRoles: []Role{Visitor}, MemberListRoles: []Role{Moderator, Participant}, Contacts: []string{"a@example.org"}, PubSub: "xmpp:x?;node=y"}
}

func TestConfigIsStored(t *testing.T) {
	c := full()
	c.Origin, c.Features, c.Info, c.AvatarHash, c.Locked = "net.example.org", []string{"f"}, map[string]string{"k": "v"}, "00", true
	got, err := DecodeConfig(c.Encode())
	if err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("%+v, %v; want %+v", got, err, c)
	}
	if _, err := DecodeConfig([]byte("{")); err == nil {
		t.Error("half a configuration was read")
	}
	// What an earlier version wrote reads on.
	if got, err = DecodeConfig([]byte(`{"name":"x","hidden_roles":["visitor"],"unknown":1}`)); err != nil || got.Name != "x" || got.Broadcasts(Visitor) {
		t.Errorf("%+v, %v", got, err)
	}
}

// What the form shows, submitted as it is, changes nothing; submitted to a default room, it makes the same one.
func TestFormRoundTrip(t *testing.T) {
	for _, c := range []Config{DefaultConfig(), full()} {
		f := c.Form(jid.MustParse("coven@rooms.example.org"), []string{"o@example.org"}, nil)
		back, err := form.Parse(f.Node())
		if err != nil {
			t.Fatal(err)
		}
		back.Type = form.TypeSubmit
		for _, start := range []Config{c, {}} {
			got, err := start.Submit(back)
			if err != nil {
				t.Fatal(err)
			}
			if string(got.Encode()) != string(normal(c).Encode()) {
				t.Errorf("got  %s\nwant %s", got.Encode(), normal(c).Encode())
			}
		}
	}
}

func normal(c Config) Config {
	c.AllowPM = c.pm()
	return c
}

func TestSubmit(t *testing.T) {
	for _, c := range []struct {
		name   string
		start  Config
		fields string // name=value, separated by spaces
		want   string // the changed configuration, or the error's condition
	}{
		{"nothing", Config{Name: "x"}, "", `{"name":"x"}`},
		{"unknown field", Config{}, "muc#roomconfig_unknown=1", `{}`},
		{"true in words", Config{}, "muc#roomconfig_publicroom=true", `{"public":true}`},
		{"not a boolean", Config{}, "muc#roomconfig_publicroom=yes", "not-acceptable"},
		{"history is bounded", Config{}, "muc#maxhistoryfetch=100000", `{"max_history":200}`},
		{"negative history", Config{}, "muc#maxhistoryfetch=-1", "not-acceptable"},
		{"unknown whois", Config{}, "muc#roomconfig_whois=nobody", "not-acceptable"},
		{"unknown pm", Config{}, "muc#roomconfig_allowpm=x", "not-acceptable"},
		{"plural roles", Config{}, "muc#roomconfig_presencebroadcast=moderators", `{"hidden_roles":["participant","visitor"]}`},
		{"unknown role", Config{}, "muc#roomconfig_presencebroadcast=king", "not-acceptable"},
		{"password off", Config{Password: "p"}, "muc#roomconfig_passwordprotectedroom=0 muc#roomconfig_roomsecret=p", `{}`},
		{"password stays", Config{Password: "p"}, "muc#roomconfig_passwordprotectedroom=1 muc#roomconfig_roomsecret=", `{"password":"p"}`},
		{"new password", Config{Password: "p"}, "muc#roomconfig_roomsecret=q", `{"password":"q"}`},
		{"a secret alone protects nothing", Config{}, "muc#roomconfig_roomsecret=q", `{}`},
		{"protection without a secret", Config{}, "muc#roomconfig_passwordprotectedroom=1", "not-acceptable"},
		{"bad contact", Config{}, "muc#roominfo_contactjid=@", "not-acceptable"},
		{"long name", Config{}, "muc#roomconfig_roomname=" + strings.Repeat("x", 201), "not-acceptable"},
		{"another form", Config{}, "FORM_TYPE=" + ns.MUCRegister, "bad-request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &form.Form{Type: form.TypeSubmit}
			for _, kv := range strings.Fields(c.fields) {
				k, v, _ := strings.Cut(kv, "=")
				f.Add(form.Field{Var: k, Values: []string{v}})
			}
			got, err := c.start.Submit(f)
			s := string(got.Encode())
			if err != nil {
				s = condition(err)
				if string(got.Encode()) != string(c.start.Encode()) {
					t.Errorf("a refused form changed the configuration: %s", got.Encode())
				}
			}
			if s != c.want {
				t.Errorf("%s, want %s", s, c.want)
			}
		})
	}
}

// XEP-0045 §10.2.1.
func TestNotices(t *testing.T) {
	for _, c := range []struct {
		old, now Config
		want     string
	}{
		{Config{}, Config{}, "[]"},
		{Config{}, Config{Logging: true}, "[170]"},
		{Config{Logging: true}, Config{}, "[171]"},
		{Config{}, Config{NonAnonymous: true}, "[172]"},
		{Config{NonAnonymous: true}, Config{}, "[173]"},
		{Config{}, Config{Name: "x"}, "[104]"},
		{Config{NonAnonymous: true}, Config{Logging: true, Name: "x"}, "[170 173 104]"},
		{Config{Locked: true}, Config{}, "[]"},
	} {
		if got := fmt.Sprint(c.now.Notices(c.old)); got != c.want {
			t.Errorf("%s -> %s: %s, want %s", c.old.Encode(), c.now.Encode(), got, c.want)
		}
	}
}
