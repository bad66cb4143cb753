package room

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

func condition(err error) string {
	var se *stanza.Error
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &se):
		return string(se.Condition)
	}
	return err.Error()
}

// newTestRoom has one occupant of each affiliation, with the nick and the local part of its name.
func newTestRoom(c Config) *Room {
	r := New(jid.MustParse("coven@rooms.example.org"), c, []byte("0123456789abcdef0123456789abcdef"))
	for _, a := range []Affiliation{Owner, Admin, Member, None} {
		full := person(a.String())
		r.SetEntry(full.Bare().String(), Entry{Affiliation: a})
		r.Enter(full, a.String(), InitialRole(a, c.Moderated))
	}
	r.SetEntry("outcast@example.org", Entry{Affiliation: Outcast})
	return r
}

func person(name string) jid.JID { return jid.MustParse(name + "@example.org/desk") }

// XEP-0045 §5.1.2.
func TestInitialRole(t *testing.T) {
	for _, c := range []struct {
		moderated bool
		want      string // outcast none member admin owner
	}{
		{false, "none participant participant moderator moderator"},
		{true, "none visitor participant moderator moderator"},
	} {
		var got []string
		for a := Outcast; a <= Owner; a++ {
			got = append(got, InitialRole(a, c.moderated).String())
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("moderated %v: %s, want %s", c.moderated, s, c.want)
		}
	}
}

// XEP-0045 §5.1.3: the role after a change of affiliation.
func TestRoleAfter(t *testing.T) {
	for _, c := range []struct {
		old, now  Affiliation
		role      Role
		moderated bool
		want      Role
	}{
		{None, Member, Visitor, true, Participant},
		{None, Member, Moderator, false, Moderator},
		{Member, Admin, Participant, false, Moderator},
		{Admin, Member, Moderator, false, Participant},
		{Owner, None, Moderator, true, Visitor},
		{Member, None, Participant, true, Visitor},
		{Member, None, Moderator, true, Moderator}, // made moderator by hand
		{Member, Outcast, Moderator, false, NoRole},
	} {
		if got := roleAfter(c.old, c.now, c.role, c.moderated); got != c.want {
			t.Errorf("%s -> %s as %s: %s, want %s", c.old, c.now, c.role, got, c.want)
		}
	}
}

// XEP-0045 §5.1.1, §8.2 to §8.4, §9.6, §9.7: actor x target x wanted role, the whole table.
func TestCheckRole(t *testing.T) {
	r := newTestRoom(Config{})
	mod := person("mod") // a moderator without an affiliation
	r.Enter(mod, "mod", Moderator)
	vis := person("vis")
	r.Enter(vis, "vis", Visitor)
	other := person("mod2")
	r.Enter(other, "mod2", Moderator)
	order := []string{"owner", "admin", "member", "none", "mod", "vis", "mod2"}
	// For each actor and wanted role: the answers for the targets in that order. + is allowed, f forbidden, n not-allowed.
	want := map[string]string{
		"owner none": "+++++++", "owner visitor": "nn+++++", "owner participant": "nn+++++", "owner moderator": "+++++++",
		"admin none": "n++++++", "admin visitor": "nn+++++", "admin participant": "nn+++++", "admin moderator": "+++++++",
		"member none": "fffffff", "member visitor": "fffffff", "member participant": "fffffff", "member moderator": "fffffff",
		"none none": "fffffff", "none visitor": "fffffff", "none participant": "fffffff", "none moderator": "fffffff",
		"mod none": "nnn+++n", "mod visitor": "nnn+f+f", "mod participant": "nn++f+f", "mod moderator": "fffffff",
		"mod2 none": "nnn+n++", "mod2 visitor": "nnn+f+f", "mod2 participant": "nn++f+f", "mod2 moderator": "fffffff",
		"vis none": "fffffff", "vis visitor": "fffffff", "vis participant": "fffffff", "vis moderator": "fffffff",
	}
	letter := map[string]string{"ok": "+", "forbidden": "f", "not-allowed": "n"}
	for _, actor := range order {
		for _, role := range []Role{NoRole, Visitor, Participant, Moderator} {
			got := ""
			for _, target := range order {
				got += letter[condition(r.CheckRole(r.ActorOf(person(actor)), r.ByNick(target), role))]
			}
			if key := actor + " " + role.String(); got != want[key] {
				t.Errorf("%s: %s, want %s", key, got, want[key])
			}
		}
	}
}

// XEP-0045 §5.2.2: actor x present affiliation x wanted affiliation, the whole table.
func TestCheckAffiliation(t *testing.T) {
	r := newTestRoom(Config{})
	for _, a := range []Affiliation{Owner, Admin, Member, Outcast} {
		r.SetEntry("x"+a.String()+"@example.org", Entry{Affiliation: a})
	}
	targets := []Affiliation{Outcast, None, Member, Admin, Owner}
	want := map[string]string{ // wanted affiliations outcast none member admin owner, for the targets in their order
		"owner": "+++++ +++++ +++++ +++++ +++++",
		"admin": "+++ff +++ff +++ff nffff nffff",
	}
	letter := map[string]string{"ok": "+", "forbidden": "f", "not-allowed": "n", "conflict": "c"}
	for _, actor := range []string{"owner", "admin", "member", "none", "outcast"} {
		var rows []string
		for _, target := range targets {
			row := ""
			for _, now := range targets {
				c := []AffiliationChange{{Target: "x" + target.String() + "@example.org", Affiliation: now}}
				row += letter[condition(r.CheckAffiliations(r.ActorOf(person(actor)), c))]
			}
			rows = append(rows, row)
		}
		w, ok := want[actor]
		if !ok {
			w = "fffff fffff fffff fffff fffff"
		}
		if got := strings.Join(rows, " "); got != w {
			t.Errorf("%s: %s, want %s", actor, got, w)
		}
	}
}

func TestCheckAffiliationsOfOneself(t *testing.T) {
	r := newTestRoom(Config{})
	nick := "Owner"
	for _, c := range []struct {
		name, actor, target string
		now                 Affiliation
		nick                *string
		want                string
	}{
		{"ban oneself", "admin", "admin@example.org", Outcast, nil, "conflict"},
		{"ban oneself as owner", "owner", "owner@example.org", Outcast, nil, "conflict"},
		{"last owner gives up", "owner", "owner@example.org", Admin, nil, "conflict"},
		{"member gives up", "member", "member@example.org", None, nil, "ok"},
		{"member bans herself", "member", "member@example.org", Outcast, nil, "forbidden"},
		{"nick is free", "owner", "member@example.org", Member, &nick, "ok"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := r.CheckAffiliations(r.ActorOf(person(c.actor)), []AffiliationChange{{Target: c.target, Affiliation: c.now, Nick: c.nick}})
			if got := condition(err); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
	r.SetEntry("member@example.org", Entry{Affiliation: Member, Nick: "OWNER"})
	err := r.CheckAffiliations(r.ActorOf(person("owner")), []AffiliationChange{{Target: "x@example.org", Affiliation: Member, Nick: &nick}})
	if condition(err) != "conflict" {
		t.Errorf("a nick that somebody has reserved: %v", err)
	}
}

// XEP-0045 §7.2.5 to §7.2.10.
func TestAdmit(t *testing.T) {
	for _, c := range []struct {
		name           string
		config         Config
		who, nick, pwd string
		want           string
	}{
		{"open", Config{}, "new", "New", "", "ok participant"},
		{"moderated", Config{Moderated: true}, "new", "New", "", "ok visitor"},
		{"member of a moderated room", Config{Moderated: true}, "member", "member", "", "ok participant"},
		{"banned", Config{}, "outcast", "x", "", "forbidden"},
		{"banned before all else", Config{Password: "p", MembersOnly: true, Locked: true}, "outcast", "x", "", "forbidden"},
		{"locked", Config{Locked: true}, "admin", "admin", "", "item-not-found"},
		{"locked, owner", Config{Locked: true}, "owner", "owner", "", "ok moderator"},
		{"members only", Config{MembersOnly: true}, "new", "New", "", "registration-required"},
		{"members only, member", Config{MembersOnly: true}, "member", "M", "", "ok participant"},
		{"no password", Config{Password: "p"}, "admin", "A", "", "not-authorized"},
		{"wrong password", Config{Password: "p"}, "new", "New", "q", "not-authorized"},
		{"password", Config{Password: "p"}, "new", "New", "p", "ok participant"},
		{"owner needs none", Config{Password: "p"}, "owner", "O", "", "ok moderator"},
		{"taken nick", Config{}, "new", "owner", "", "conflict"},
		{"taken nick in other letters", Config{}, "new", "OWNER", "", "conflict"},
		{"own nick, another session", Config{}, "owner", "owner", "", "ok moderator"},
		{"reserved nick", Config{}, "new", "Reserved", "", "conflict"},
		{"own reserved nick", Config{}, "member", "Reserved", "", "ok participant"},
		{"full", Config{MaxUsers: 4}, "new", "New", "", "service-unavailable"},
		{"full, another session", Config{MaxUsers: 4}, "none", "none", "", "ok participant"},
		{"full, admin", Config{MaxUsers: 4}, "admin", "A2", "", "ok moderator"},
		{"invisible nick", Config{}, "new", "\u200b", "", "jid-malformed"},
		{"nick that turns the text round", Config{}, "new", "abc\u202e", "", "jid-malformed"},
		{"long nick", Config{}, "new", strings.Repeat("x", 256), "", "jid-malformed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newTestRoom(c.config)
			r.SetEntry("member@example.org", Entry{Affiliation: Member, Nick: "Reserved"})
			who := jid.MustParse(c.who + "@example.org/phone")
			adm, err := r.Admit(JoinRequest{Who: who, Nick: c.nick, Password: c.pwd})
			got := condition(err)
			if err == nil {
				got += " " + adm.Role.String()
			}
			if got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestAdmitOverflowHasAnEnd(t *testing.T) {
	r := newTestRoom(Config{MaxUsers: 1})
	for i := range extraSeats + 1 {
		name := fmt.Sprintf("adm%d", i)
		r.SetEntry(name+"@example.org", Entry{Affiliation: Admin})
		_, err := r.Admit(JoinRequest{Who: person(name), Nick: name})
		if full := r.Len() >= 1+extraSeats; full != (err != nil) {
			t.Fatalf("admin %d with %d in the room: %v", i, r.Len(), err)
		}
		if err == nil {
			r.Enter(person(name), name, Moderator)
		}
	}
}

// XEP-0045 §9.2: a ban may name a whole domain; a line of one's own counts before it.
func TestDomainBan(t *testing.T) {
	r := newTestRoom(Config{})
	effects := r.Apply([]AffiliationChange{{Target: "example.org", Affiliation: Outcast}})
	if r.Affiliation(person("stranger")) != Outcast || r.Affiliation(person("member")) != Member {
		t.Errorf("stranger %s, member %s", r.Affiliation(person("stranger")), r.Affiliation(person("member")))
	}
	if len(effects) != 1 || effects[0].Occupant.Nick != "none" || effects[0].Status != 301 {
		t.Errorf("effects: %+v", effects)
	}
	r.SetEntry("example.org", Entry{Affiliation: Member}) // not a thing
	if a := r.Affiliation(person("stranger")); a != None {
		t.Errorf("a member domain makes a %s", a)
	}
}

// XEP-0045 §9.1, §9.4: what changes do to those who are in the room.
func TestApply(t *testing.T) {
	for _, c := range []struct {
		name   string
		config Config
		change AffiliationChange
		want   string
	}{
		{"ban", Config{}, AffiliationChange{Target: "member@example.org", Affiliation: Outcast}, "member none 301"},
		{"membership ends in a members-only room", Config{MembersOnly: true}, AffiliationChange{Target: "member@example.org", Affiliation: None}, "member none 321"},
		{"membership ends in an open room", Config{}, AffiliationChange{Target: "member@example.org", Affiliation: None}, "member participant 0"},
		{"admin", Config{}, AffiliationChange{Target: "none@example.org", Affiliation: Admin}, "none moderator 0"},
		{"nothing new", Config{}, AffiliationChange{Target: "member@example.org", Affiliation: Member}, ""},
		{"not in the room", Config{}, AffiliationChange{Target: "x@example.org", Affiliation: Member}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newTestRoom(c.config)
			var got []string
			for _, e := range r.Apply([]AffiliationChange{c.change}) {
				got = append(got, fmt.Sprintf("%s %s %d", e.Occupant.Nick, e.Role, e.Status))
			}
			if s := strings.Join(got, ","); s != c.want {
				t.Errorf("%q, want %q", s, c.want)
			}
		})
	}
}

// XEP-0045 §5.1.1, §7.5, §8.1, §9.5.
func TestTalk(t *testing.T) {
	r := newTestRoom(Config{Moderated: true})
	get := func(n string) *Occupant { return r.ByNick(n) }
	visitor, member, owner := get("none"), get("member"), get("owner")
	for _, c := range []struct {
		name   string
		config Config
		run    func() error
		want   string
	}{
		{"outsider speaks", Config{}, func() error { return r.MaySpeak(nil) }, "not-acceptable"},
		{"visitor speaks", Config{}, func() error { return r.MaySpeak(visitor) }, "forbidden"},
		{"participant speaks", Config{}, func() error { return r.MaySpeak(member) }, "ok"},
		{"participant sets the subject", Config{}, func() error { return r.MaySetSubject(member) }, "forbidden"},
		{"if she may", Config{ChangeSubject: true}, func() error { return r.MaySetSubject(member) }, "ok"},
		{"visitor never", Config{ChangeSubject: true}, func() error { return r.MaySetSubject(visitor) }, "forbidden"},
		{"outsider sets the subject", Config{}, func() error { return r.MaySetSubject(nil) }, "not-acceptable"},
		{"moderator sets the subject", Config{}, func() error { return r.MaySetSubject(owner) }, "ok"},
		{"whisper", Config{}, func() error { return r.MayWhisper(visitor, member) }, "ok"},
		{"visitor whispers among participants", Config{AllowPM: PMParticipants}, func() error { return r.MayWhisper(visitor, member) }, "not-allowed"},
		{"visitor asks a moderator", Config{AllowPM: PMModerators}, func() error { return r.MayWhisper(visitor, owner) }, "ok"},
		{"moderator answers", Config{AllowPM: PMModerators}, func() error { return r.MayWhisper(owner, visitor) }, "ok"},
		{"nobody whispers", Config{AllowPM: PMNone}, func() error { return r.MayWhisper(owner, visitor) }, "not-allowed"},
		{"to nobody", Config{}, func() error { return r.MayWhisper(owner, nil) }, "item-not-found"},
		{"outsider whispers", Config{}, func() error { return r.MayWhisper(nil, owner) }, "not-acceptable"},
		{"visitor invites", Config{}, func() error { _, err := r.MayInvite(visitor); return err }, "forbidden"},
		{"participant invites", Config{}, func() error { _, err := r.MayInvite(member); return err }, "ok"},
		{"member invites into a members-only room", Config{MembersOnly: true}, func() error { _, err := r.MayInvite(member); return err }, "forbidden"},
		{"if she may invite", Config{MembersOnly: true, AllowInvites: true}, func() error { _, err := r.MayInvite(member); return err }, "ok"},
		{"outsider invites", Config{}, func() error { _, err := r.MayInvite(nil); return err }, "not-acceptable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.Config = c.config
			if got := condition(c.run()); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// XEP-0045 §7.2.14: the smallest amount that meets any combination.
func TestHistorySelect(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	at := func(i int) Past { return Past{At: now.Add(time.Duration(i-10) * time.Minute), Size: 100} }
	for _, c := range []struct {
		attrs map[string]string
		want  int // how many of 10
	}{
		{nil, 10},
		{map[string]string{"maxstanzas": "3"}, 3},
		{map[string]string{"maxstanzas": "0"}, 0},
		{map[string]string{"maxchars": "0"}, 0},
		{map[string]string{"maxchars": "99"}, 0},
		{map[string]string{"maxchars": "450"}, 4},
		{map[string]string{"seconds": "150"}, 2},
		{map[string]string{"since": "2026-01-01T11:55:00Z"}, 5},
		{map[string]string{"since": "1970-01-01T00:00:00Z"}, 10},
		{map[string]string{"since": "2026-01-01T11:55:00Z", "maxstanzas": "2"}, 2},
		{map[string]string{"seconds": "150", "maxchars": "100000", "maxstanzas": "7"}, 2},
		{map[string]string{"maxstanzas": "-1", "maxchars": "x", "seconds": "", "since": "yesterday"}, 10},
	} {
		l := ParseHistory(func(k string) string { return c.attrs[k] }, now)
		if got := 10 - l.Select(10, at); got != c.want {
			t.Errorf("%v: %d, want %d", c.attrs, got, c.want)
		}
	}
}

func TestOccupantID(t *testing.T) {
	a, b := []byte("secret of room a"), []byte("secret of room b")
	seen := map[string]string{}
	for name, id := range map[string]string{
		"alice in a": OccupantID(a, "alice@example.org"), "alice in b": OccupantID(b, "alice@example.org"),
		"bob in a": OccupantID(a, "bob@example.org"), "remote alice": OccupantID(a, RemoteKey("net.example.org", "alice@example.org")),
	} {
		if len(id) < 26 || len(id) > 128 || strings.Contains(id, "alice") {
			t.Errorf("%s: %q", name, id)
		}
		if other, ok := seen[id]; ok {
			t.Errorf("%s and %s have the same id", name, other)
		}
		seen[id] = name
	}
	first := OccupantID(a, "alice@example.org")
	if again := OccupantID(a, "alice@example.org"); again != first {
		t.Error("an id is not stable")
	}
}

// Leaving and renaming keep the indexes together.
func TestSessions(t *testing.T) {
	r := New(jid.MustParse("coven@rooms.example.org"), Config{}, []byte("0123456789abcdef"))
	desk, phone := jid.MustParse("a@example.org/desk"), jid.MustParse("a@example.org/phone")
	o, fresh := r.Enter(desk, "Ann", Participant)
	_, again := r.Enter(phone, "Ann", Participant)
	if !fresh || again || r.Len() != 1 || r.SessionCount() != 2 {
		t.Fatalf("fresh %v %v, %d occupants, %d sessions", fresh, again, r.Len(), r.SessionCount())
	}
	r.Rename(o, "Anna")
	if r.ByNick("Ann") != nil || r.ByNick("Anna") != o || r.ByNick("anna") != nil || r.BySession(phone) != o {
		t.Error("after the new nick the indexes differ")
	}
	if _, last := r.Leave(desk); last {
		t.Error("she left with her first session")
	}
	if left, last := r.Leave(phone); !last || left != o || r.Len() != 0 || r.ByNick("Anna") != nil {
		t.Error("she did not leave with her last session")
	}
	if left, _ := r.Leave(phone); left != nil {
		t.Error("she left twice")
	}
}

// attacks row 27: the lists of a room do not grow without end.
func TestListsAreBounded(t *testing.T) {
	r := New(jid.MustParse("coven@rooms.example.org"), Config{}, []byte("0123456789abcdef0123456789abcdef"))
	owner := Actor{Bare: jid.MustParse("o@x"), Affiliation: Owner}
	r.SetEntry("o@x", Entry{Affiliation: Owner})
	add := func(i int) []AffiliationChange {
		return []AffiliationChange{{Target: fmt.Sprintf("u%d@x", i), Affiliation: Member}}
	}
	for i := range maxEntries - 1 {
		if err := r.CheckPlace(1); err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
		r.SetEntry(fmt.Sprintf("u%d@x", i), Entry{Affiliation: Member})
	}
	if r.CheckAffiliations(owner, add(maxEntries)) == nil {
		t.Error("one entry too many")
	}
	if err := r.CheckAffiliations(Actor{Service: true}, add(maxEntries)); err != nil {
		t.Errorf("the service: %v", err)
	}
	if err := r.CheckAffiliations(owner, []AffiliationChange{{Target: "u1@x", Affiliation: None}}); err != nil {
		t.Errorf("one less: %v", err)
	}
	if r.CheckAffiliations(owner, []AffiliationChange{{Target: "u1@x", Affiliation: Outcast, Reason: strings.Repeat("r", maxReason+1)}}) == nil {
		t.Error("a reason without end")
	}
}

// ShownTo leaves out who is hidden, whatever has happened since it was asked before.
func TestShownTo(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test that is the same each time
	r := New(jid.MustParse("r@rooms.example.org"), DefaultConfig(), []byte("secret"))
	roles := []Role{Visitor, Participant, Moderator}
	for i := range 3000 {
		some := func() *Occupant { return r.Occupants()[rnd.IntN(r.Len())] }
		switch n := rnd.IntN(10); {
		case n < 5 || r.Len() == 0:
			r.Enter(jid.MustParse(fmt.Sprintf("u%d@example.org/x", i)), fmt.Sprint("n", i), roles[rnd.IntN(3)])
		case n < 6:
			r.EnterPuppet(&Occupant{Nick: fmt.Sprint("p", i), Bare: jid.MustParse(fmt.Sprintf("p%d@net.example.org", i)), Role: roles[rnd.IntN(3)]})
		case n < 8:
			r.Remove(some())
		case n < 9:
			r.SetRole(some(), roles[rnd.IntN(3)])
		default:
			r.Config.HiddenRoles = slices.Clone(roles[:rnd.IntN(3)])
		}
		for _, role := range roles {
			viewer := &Occupant{Role: role}
			var want []*Occupant
			for _, o := range r.Occupants() {
				if role == Moderator || r.Config.Broadcasts(o.Role) {
					want = append(want, o)
				}
			}
			if !slices.Equal(r.ShownTo(viewer), want) {
				t.Fatalf("step %d: a %s is shown others than those whom she may see", i, role)
			}
		}
	}
}
