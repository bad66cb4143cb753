package room

import (
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
)

// submitted makes a form of name=value pairs.
func submitted(formType string, pairs ...string) *form.Form {
	f := form.New(form.TypeSubmit, formType)
	for _, kv := range pairs {
		k, v, _ := strings.Cut(kv, "=")
		f.Text(k, v)
	}
	return f
}

func TestBucket(t *testing.T) {
	rate := Rate{Size: 2, Every: time.Second}
	now := time.Unix(0, 0)
	var b Bucket
	for i, c := range []struct {
		after time.Duration
		want  bool
		wait  time.Duration // after it
	}{
		{0, true, 0}, {0, true, time.Second}, {0, false, time.Second},
		{500 * time.Millisecond, false, 500 * time.Millisecond}, {500 * time.Millisecond, true, time.Second},
		{time.Hour, true, 0}, {0, true, time.Second}, {0, false, time.Second},
	} {
		now = now.Add(c.after)
		if got := b.Take(rate, now); got != c.want {
			t.Errorf("step %d: %v", i, got)
		}
		if got := b.Wait(rate, now); got != c.wait {
			t.Errorf("step %d: wait %s, want %s", i, got, c.wait)
		}
	}
	if unbounded := (Rate{Size: -1}); !b.Take(unbounded, now) || b.Wait(unbounded, now) != 0 {
		t.Error("without bound there is a bound")
	}
}

// XEP-0045 §7.13, §8.6.
func TestVoiceForms(t *testing.T) {
	r := newTestRoom(Config{Moderated: true})
	visitor, _ := r.Enter(person("vis"), "vis", Visitor)
	for _, c := range []struct {
		name string
		o    *Occupant
		form *form.Form
		off  bool
		want string
	}{
		{"a visitor", visitor, submitted(ns.MUCRequest, "muc#role=participant"), false, "ok"},
		{"not in the room", nil, submitted(ns.MUCRequest, "muc#role=participant"), false, "not-acceptable"},
		{"another role", visitor, submitted(ns.MUCRequest, "muc#role=moderator"), false, "bad-request"},
		{"no role", visitor, submitted(ns.MUCRequest), false, "bad-request"},
		{"has voice", r.ByNick("member"), submitted(ns.MUCRequest, "muc#role=participant"), false, "unexpected-request"},
		{"switched off", visitor, submitted(ns.MUCRequest, "muc#role=participant"), true, "not-allowed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.Config.NoVoiceRequests = c.off
			if got := condition(r.MayAskForVoice(c.o, c.form)); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
	mod := r.ActorOf(person("owner"))
	full := "vis@example.org/desk"
	for _, c := range []struct {
		name, who string
		form      *form.Form
		want      string
	}{
		{"yes", "owner", submitted(ns.MUCRequest, "muc#role=participant", "muc#jid="+full, "muc#roomnick=vis", "muc#request_allow=1"), "ok true"},
		{"no", "owner", submitted(ns.MUCRequest, "muc#jid="+full, "muc#roomnick=vis", "muc#request_allow=false"), "ok false"},
		{"without an address", "owner", submitted(ns.MUCRequest, "muc#roomnick=vis", "muc#request_allow=1"), "ok true"},
		{"the nick is somebody else's now", "owner", submitted(ns.MUCRequest, "muc#jid="+full, "muc#roomnick=member", "muc#request_allow=1"), "item-not-found"},
		{"has left", "owner", submitted(ns.MUCRequest, "muc#roomnick=x", "muc#request_allow=1"), "item-not-found"},
		{"neither yes nor no", "owner", submitted(ns.MUCRequest, "muc#roomnick=vis", "muc#request_allow=maybe"), "bad-request"},
		{"more than was asked for", "owner", submitted(ns.MUCRequest, "muc#role=moderator", "muc#roomnick=vis", "muc#request_allow=1"), "bad-request"},
		{"no moderator", "member", submitted(ns.MUCRequest, "muc#roomnick=vis", "muc#request_allow=1"), "forbidden"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, allow, err := r.VoiceAnswer(r.ActorOf(person(c.who)), c.form)
			got := condition(err)
			if err == nil {
				got = "ok false"
				if allow {
					got = "ok true"
				}
				if o != visitor {
					t.Errorf("about %v", o)
				}
			}
			if got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
	// What moderators are asked is what they can send back.
	f := VoiceForm(visitor)
	f.Type = form.TypeSubmit
	if o, allow, err := r.VoiceAnswer(mod, f); err != nil || allow || o != visitor {
		t.Errorf("the form itself: %v %v %v", o, allow, err)
	}
}

// XEP-0045 §5.1.
func TestKeptVoice(t *testing.T) {
	for _, c := range []struct {
		name      string
		moderated bool
		who       string
		role      Role
		want      Role // kept; NoRole: nothing
	}{
		{"voice for a visitor", true, "none", Participant, Participant},
		{"what she has anyway", true, "none", Visitor, NoRole},
		{"a member without voice", true, "member", Visitor, Visitor},
		{"a member with voice", true, "member", Participant, NoRole},
		{"a moderator", true, "none", Moderator, NoRole},
		{"a kick", true, "none", NoRole, NoRole},
		{"an admin", true, "admin", Participant, NoRole},
		{"nobody moderates", false, "none", Visitor, NoRole},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newTestRoom(Config{Moderated: c.moderated})
			o := r.ByNick(c.who)
			r.SetVoice(o.Bare.String(), r.KeepsVoice(o, c.role))
			if got, _ := r.Voice(o.Bare.String()); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			if a := r.Affiliation(o.Bare); c.want != NoRole && r.RoleOf(o.Bare, a) != c.want {
				t.Errorf("enters as %s", r.RoleOf(o.Bare, a))
			}
		})
	}
}

// XEP-0045 §7.10: who may register, and how, by the kind of room.
func TestMayRegister(t *testing.T) {
	for _, c := range []struct {
		name   string
		config Config
		who    string
		want   string
	}{
		{"an open room", Config{}, "new", "open"},
		{"a moderated room", Config{Moderated: true}, "new", "approval"},
		{"a members-only room", Config{MembersOnly: true}, "new", "approval"},
		{"a room with a password", Config{Password: "x"}, "new", "approval"},
		{"as the owner says", Config{MembersOnly: true, Registration: RegisterOpen}, "new", "open"},
		{"nobody", Config{Registration: RegisterNobody}, "new", "not-allowed"},
		{"a member reserves a nick", Config{Registration: RegisterNobody}, "member", "open"},
		{"banned", Config{}, "outcast", "not-allowed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			how, err := newTestRoom(c.config).MayRegister(person(c.who))
			got := string(how)
			if err != nil {
				got = condition(err)
			}
			if got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestMembershipForms(t *testing.T) {
	for _, c := range []struct {
		name string
		form *form.Form
		want string
	}{
		{"whole", submitted(ns.MUCRegister, "muc#register_roomnick=n", "muc#register_first=f"), "ok"},
		{"no nick", submitted(ns.MUCRegister, "muc#register_first=f"), "bad-request"},
		{"another form", submitted(ns.MUCRequest, "muc#register_roomnick=n"), "bad-request"},
		{"too long", submitted(ns.MUCRegister, "muc#register_roomnick=n", "muc#register_faqentry="+strings.Repeat("x", 501)), "not-acceptable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := ParseMembership(c.form); condition(err) != c.want {
				t.Errorf("%s, want %s", condition(err), c.want)
			}
		})
	}
	m := Membership{Nick: "n", First: "f", FAQ: "a\nb"}
	f := ApprovalForm("x@example.org", m)
	f.Type = form.TypeSubmit
	back, err := ParseMembership(f)
	if err != nil || back != m {
		t.Errorf("%+v %v", back, err)
	}
	who, nick, allow, err := ApprovalAnswer(f)
	if err != nil || who != "x@example.org" || nick != "n" || allow {
		t.Errorf("%s %s %v %v", who, nick, allow, err)
	}
	if _, _, _, err := ApprovalAnswer(submitted(ns.MUCRegister, "muc#register_allow=1")); condition(err) != "bad-request" {
		t.Errorf("about nobody: %v", err)
	}
}

func TestReservedNicks(t *testing.T) {
	r := newTestRoom(Config{})
	r.SetEntry("member@example.org", Entry{Affiliation: Member, Nick: "Reserved"})
	for nick, want := range map[string]string{
		"free": "ok", "reserved": "conflict", "OWNER": "conflict", "": "not-acceptable", " ": "not-acceptable", "none": "ok",
	} {
		if got := condition(r.CheckReservation(person("none"), nick)); got != want {
			t.Errorf("%q: %s, want %s", nick, got, want)
		}
	}
	if got := r.LockedNick(person("member")); got != "" {
		t.Errorf("locked to %q in a room that does not insist", got)
	}
	r.Config.LockNicks = true
	if got := r.LockedNick(person("member")); got != "Reserved" {
		t.Errorf("locked to %q", got)
	}
	if got := r.LockedNick(person("new")); got != "" {
		t.Errorf("a stranger is locked to %q", got)
	}
}
