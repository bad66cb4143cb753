package matrix

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"maunium.net/go/mautrix/event"

	"github.com/viaduct-xmpp/viaduct/bridges/matrix/matrixid"
	"github.com/viaduct-xmpp/viaduct/bridges/matrix/matrixtest"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

func TestSetup(t *testing.T) {
	c := New(Options{})
	plan, err := c.Setup(t.Context(), sdk.SetupRequest{Name: "work"})
	if err != nil || len(plan.Questions) != 1 || len(plan.Files) != 0 {
		t.Fatalf("%+v, %v", plan, err)
	}
	answers := map[string]string{"homeserver": "http://127.0.0.1:8008", "server_name": "hs.example:8448"}
	plan, err = c.Setup(t.Context(), sdk.SetupRequest{Name: "work", Answers: answers})
	if err != nil || len(plan.Files) != 1 || !plan.Files[0].Secret || plan.Files[0].Name != "work-registration.yaml" {
		t.Fatalf("%+v, %v", plan, err)
	}
	file := filepath.Join(t.TempDir(), plan.Files[0].Name)
	if err := os.WriteFile(file, plan.Files[0].Content, 0o600); err != nil {
		t.Fatal(err)
	}
	reg, err := readRegistration(file)
	if err != nil || reg.ID != "viaduct-work" || !reg.EphemeralEvents || !reg.SoruEphemeralEvents || reg.RateLimited == nil || *reg.RateLimited ||
		len(reg.AppToken) < 40 || reg.AppToken == reg.ServerToken || !reg.Namespaces.UserIDs[0].Exclusive || !reg.Namespaces.RoomAliases[0].Exclusive {
		t.Fatalf("%+v, %v", reg, err)
	}
	if serverOf(reg, "_xmpp_") != "hs.example:8448" || serverOf(reg, "_other_") != "" {
		t.Errorf("%q", serverOf(reg, "_xmpp_"))
	}
	again, err := c.Setup(t.Context(), sdk.SetupRequest{Name: "work", Answers: answers})
	if err != nil || string(again.Files[0].Content) == string(plan.Files[0].Content) {
		t.Error("two registrations have the same tokens")
	}
	conf := map[string]string{}
	for _, v := range plan.Config {
		if conf[v.Key] = v.Value; v.Doc == "" {
			t.Errorf("%+v", v)
		}
	}
	conf["registration_file"] = file
	raw, _ := json.Marshal(conf)
	if err := c.Configure(t.Context(), sdk.Configuration{Name: "work", JSON: raw}); err != nil {
		t.Error(err)
	}
	text := strings.Join(plan.Steps, "\n")
	for _, need := range []string{"Synapse", "Dendrite", "work-registration.yaml", "bridge test"} {
		if !strings.Contains(text, need) {
			t.Errorf("%s is not in the steps", need)
		}
	}
	// What stands in the configuration already is not asked for again.
	plan, err = c.Setup(t.Context(), sdk.SetupRequest{Name: "work", JSON: raw})
	if err != nil || len(plan.Questions) != 0 || !slices.ContainsFunc(plan.Config, func(v sdk.SetupValue) bool { return v.Value == "hs.example:8448" }) {
		t.Errorf("%+v, %v", plan, err)
	}
	for _, bad := range []map[string]string{
		{"homeserver": "ftp://x", "server_name": "hs"}, {"homeserver": "http://x", "server_name": "h/s"}, {"homeserver": "http://x", "server_name": "hs", "user_prefix": "Upper"},
	} {
		if _, err := c.Setup(t.Context(), sdk.SetupRequest{Answers: bad}); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}

func TestBadConfigurations(t *testing.T) {
	s := bareStage(t, matrixtest.Options{})
	good, _ := json.Marshal(s.conf)
	broken := filepath.Join(t.TempDir(), "broken.yaml")
	empty := filepath.Join(t.TempDir(), "empty.yaml")
	nobody := filepath.Join(t.TempDir(), "nobody.yaml")
	for file, text := range map[string]string{broken: "{", empty: "id: x\n", nobody: "as_token: a\nhs_token: b\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct{ name, old, new, want string }{
		{"good", "", "", ""},
		{"unknown key", `"url"`, `"uri"`, "uri"},
		{"no homeserver", s.hs.URL, "", "homeserver"},
		{"no URL", s.hs.URL, "hs.test:8008", "http or https"},
		{"no such file", s.file, s.file + "x", "bridge setup matrix"},
		{"no YAML", s.file, broken, "broken.yaml"},
		{"no tokens", s.file, empty, "as_token"},
		{"no id", s.file, nobody, "sender_localpart"},
		{"bad timeout", `"20s"`, `"20"`, "30s"},
		{"short timeout", `"20s"`, `"20ms"`, "at least"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			raw := string(good)
			if test.old != "" {
				raw = strings.Replace(raw, test.old, test.new, 1)
			}
			err := New(Options{}).Configure(t.Context(), sdk.Configuration{JSON: []byte(raw)})
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	t.Run("another server name", func(t *testing.T) {
		s := bareStage(t, matrixtest.Options{})
		s.conf["server_name"] = "other.test"
		s.refusesToStart("namespace")
	})
	t.Run("another prefix", func(t *testing.T) {
		s := bareStage(t, matrixtest.Options{})
		s.conf["user_prefix"] = "_else_"
		s.refusesToStart("namespace")
	})
	t.Run("busy port", func(t *testing.T) {
		s := bareStage(t, matrixtest.Options{})
		s.conf["listen"] = strings.TrimPrefix(s.hs.URL, "http://")
		s.refusesToStart("listen")
	})
	t.Run("not configured", func(t *testing.T) {
		if err := New(Options{}).Start(t.Context(), newRecordingHost(t), sdk.Resume{}); err == nil {
			t.Error("started")
		}
	})
}

func (s *stage) refusesToStart(want string) {
	s.t.Helper()
	s.configure()
	err := s.l.Start(s.t.Context(), s.h, sdk.Resume{})
	if e := sdk.AsError(err); e == nil || e.Temporary || !strings.Contains(e.Text, want) {
		s.t.Errorf("%v", err)
	}
}

func TestReport(t *testing.T) {
	s := newStage(t)
	find := func(name string) sdk.Check {
		t.Helper()
		report, err := s.l.Test(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, check := range report.Checks {
			if check.Status != sdk.CheckOK && check.Fix == "" && check.Status != sdk.CheckWarning {
				t.Errorf("nothing to do about %+v", check)
			}
			if check.Name == name {
				return check
			}
		}
		return sdk.Check{}
	}
	if got := find("round trip"); got.Status != sdk.CheckOK {
		t.Errorf("%+v", got)
	}
	s.hs.Fail(matrixtest.Fault{Path: "/ping", Times: -1, Handle: answers(504, "application/json", `{"errcode":"M_CONNECTION_TIMEOUT"}`)})
	if got := find("round trip"); got.Status != sdk.CheckFailed || !strings.Contains(got.Fix, "firewall") {
		t.Errorf("%+v", got)
	}
	s.hs.Heal()
	s.hs.Fail(matrixtest.Fault{Path: "/ping", Times: -1, Handle: answers(404, "application/json", `{"errcode":"M_UNRECOGNIZED"}`)})
	if got := find("round trip"); got.Status != sdk.CheckWarning {
		t.Errorf("%+v", got)
	}
	s.hs.Heal()
	s.hs.Fail(matrixtest.Fault{Path: "/versions", Times: -1, Handle: answers(502, "text/html", "")})
	if got := find("homeserver"); got.Status != sdk.CheckFailed {
		t.Errorf("%+v", got)
	}
}

func TestInfo(t *testing.T) {
	info := New(Options{}).Info()
	if err := info.Addresses.Validate(); err != nil {
		t.Error(err)
	}
	forms := append(append(slices.Clone(info.Addresses.Users), info.Addresses.Rooms...), info.Addresses.Aliases...)
	for id, want := range map[string]int{
		"@alice:hs": 0, "@a/b:hs:8448": 0, "!QtyK:hs": 1, "!" + strings.Repeat("x", 43): 1, "#Ops:hs": 2,
	} {
		got := slices.IndexFunc(forms, func(f sdk.AddressForm) bool { _, ok := f.Split(id); return ok })
		if got != want {
			t.Errorf("%s has form %d", id, got)
		}
		if segments, ok := forms[want].Split(id); !ok || forms[want].Join(segments) != id {
			t.Errorf("%s -> %v", id, segments)
		}
	}
	for _, key := range info.Config.Keys {
		if key.Doc == "" || !regexp.MustCompile(`^[a-z_]+$`).MatchString(key.Name) {
			t.Errorf("%+v", key)
		}
	}
	if missing := len(sdk.Abilities(New(Options{}))); missing < 15 {
		t.Errorf("%d abilities", missing)
	}
}

func TestRoles(t *testing.T) {
	fifty, hundred := 50, 100
	usual := &event.PowerLevelsEventContent{}
	silent := &event.PowerLevelsEventContent{EventsDefault: 10}
	strict := &event.PowerLevelsEventContent{BanPtr: &hundred, RedactPtr: &fifty}
	for _, test := range []struct {
		pl    *event.PowerLevelsEventContent
		level int
		want  sdk.Role
	}{
		{usual, 100, sdk.RoleOwner}, {usual, 50, sdk.RoleAdmin}, {usual, 0, sdk.RoleMember}, {usual, -1, sdk.RoleVisitor},
		{silent, 0, sdk.RoleVisitor}, {silent, 10, sdk.RoleMember}, {strict, 50, sdk.RoleModerator},
	} {
		test.pl.SetUserLevel(bob, test.level)
		if got := roleOf(test.pl, bob); got != test.want {
			t.Errorf("level %d is role %d, not %d", test.level, got, test.want)
		}
	}
	if checkNamespace(newRegistration("x", "", matrixid.Namespace{Prefix: "_a_", Server: "hs"}), matrixid.Namespace{Prefix: "_b_", Server: "hs"}) == nil {
		t.Error("a foreign namespace was taken")
	}
}
