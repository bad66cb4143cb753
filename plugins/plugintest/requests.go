package plugintest

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

func requestParts() []part {
	return []part{
		{"rooms", rooms},
		{"members in pages", memberPages},
		{"people", people},
		{"resolve and search", searching},
		{"history", history},
		{"direct chat", directChat},
		{"create room", createRoom},
		{"watch", watching},
		{"setup", setup},
		{"test", selfTest},
		{"http", web},
	}
}

func rooms(t *testing.T, r *rig) {
	info, err := r.remote().JoinPortal(t.Context(), sdk.JoinRequest{Portal: sdk.PortalKey{Room: r.room}, For: person(), Members: 100})
	if err != nil || info.Portal.Room != r.room || info.Name == "" || info.Kind == sdk.ChatUnknown {
		t.Fatal(info, err)
	}
	again, err := r.remote().ChatInfo(t.Context(), sdk.ChatInfoRequest{Portal: info.Portal})
	if err != nil || again.Name != info.Name || again.Portal != info.Portal || len(again.Members) != 0 {
		t.Fatal(again, err)
	}
	if _, err := r.remote().JoinPortal(t.Context(), sdk.JoinRequest{Portal: sdk.PortalKey{Room: "no-such-room"}}); !wrong(err) {
		t.Fatal(err)
	}
	if err := r.remote().LeavePortal(t.Context(), sdk.LeaveRequest{Portal: sdk.PortalKey{Room: r.two}}); err != nil {
		t.Fatal(err)
	}
}

// memberPages: pages of every size hold the same people, each once.
func memberPages(t *testing.T, r *rig) {
	if r.caps().Members == sdk.LevelNone {
		t.Skip("the network has no list of members")
	}
	var first []sdk.RemoteUserID
	for _, size := range []int{1, 3, 1000} {
		var all []sdk.RemoteUserID
		after := sdk.Cursor("")
		for {
			page, err := r.remote().ChatInfo(t.Context(), sdk.ChatInfoRequest{Portal: sdk.PortalKey{Room: r.room}, Members: size, After: after})
			if err != nil || len(page.Members) > size {
				t.Fatal(len(page.Members), err)
			}
			for _, m := range page.Members {
				all = append(all, m.User.ID)
			}
			if after = page.NextMembers; after == "" {
				break
			}
		}
		if first == nil {
			first = all
		}
		if !slices.Equal(all, first) || !slices.Contains(all, r.net.Person()) {
			t.Fatalf("pages of %d: %v, pages of 1: %v", size, all, first)
		}
	}
	_, err := r.remote().ChatInfo(t.Context(), sdk.ChatInfoRequest{Portal: sdk.PortalKey{Room: r.room}, Members: 5, After: "not a cursor"})
	if err != nil && !wrong(err) {
		t.Fatal(err)
	}
}

func people(t *testing.T, r *rig) {
	u, err := r.remote().UserInfo(t.Context(), sdk.UserInfoRequest{User: r.net.Person(), Portal: sdk.PortalKey{Room: r.room}})
	if err != nil || u.ID != r.net.Person() || u.Name == "" {
		t.Fatal(u, err)
	}
	if _, err := r.remote().UserInfo(t.Context(), sdk.UserInfoRequest{User: "nobody-of-this-name"}); !wrong(err) {
		t.Fatal(err)
	}
}

func searching(t *testing.T, r *rig) {
	for text, want := range map[string]sdk.TargetKind{string(r.net.Person()): sdk.TargetUser, string(r.room): sdk.TargetRoom} {
		target, err := r.remote().Resolve(t.Context(), sdk.ResolveRequest{Text: text, Want: want, For: person()})
		if err != nil || target.Kind != want {
			t.Fatal(text, target, err)
		}
		if want == sdk.TargetUser && target.User.ID != r.net.Person() || want == sdk.TargetRoom && target.Portal.Room != r.room {
			t.Fatal(text, target)
		}
	}
	if _, err := r.remote().Resolve(t.Context(), sdk.ResolveRequest{Text: "nothing-of-this-name"}); !errors.Is(err, sdk.ErrNotFound) {
		t.Fatal(err)
	}
	r.needs(t, sdk.AbilitySearch)
	var found []string
	after := sdk.Cursor("")
	for {
		page, err := r.remote().Search(t.Context(), sdk.SearchRequest{For: person(), Limit: 2, After: after})
		if err != nil || len(page.Found) > 2 {
			t.Fatal(page, err)
		}
		for _, f := range page.Found {
			found = append(found, string(f.User.ID)+string(f.Portal.Room))
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if !slices.Contains(found, string(r.net.Person())) || !slices.Contains(found, string(r.room)) {
		t.Fatal(found)
	}
}

// history: page by page to the beginning; each message once, oldest first, marked
// as history, and with the ids that live ones have.
func history(t *testing.T, r *rig) {
	r.needs(t, sdk.AbilityHistory)
	want := numbered("history", 1, 25)
	for _, text := range want {
		r.net.Say(t, r.two, text)
	}
	r.arrived(t, r.two, want)
	live := map[sdk.EventID]bool{}
	for _, e := range r.host.Events() {
		live[e.Head().ID] = true
	}
	var texts []string
	seen := map[sdk.EventID]bool{}
	known := 0
	before := sdk.Cursor("")
	for range 1000 {
		page, err := r.remote().FetchHistory(t.Context(), sdk.HistoryRequest{Portal: sdk.PortalKey{Room: r.two}, Before: before, Limit: 7})
		if err != nil || len(page.Events) > 7 {
			t.Fatal(len(page.Events), err)
		}
		var here []string
		for i, e := range page.Events {
			m, ok := e.(*sdk.Message)
			if !ok || !m.History || seen[m.ID] || i > 0 && m.Time.Before(page.Events[i-1].Head().Time) {
				t.Fatalf("%+v", e)
			}
			seen[m.ID] = true
			if live[m.ID] {
				known++
			}
			here = append(here, m.Content.Body.Plain())
		}
		texts = append(here, texts...)
		if before = page.Older; before == "" {
			break
		}
	}
	if known != len(want) || len(texts) < len(want) || !slices.Equal(texts[len(texts)-len(want):], want) {
		t.Fatalf("%d known of %d: %q", known, len(want), texts)
	}
	if _, err := r.remote().FetchHistory(t.Context(), sdk.HistoryRequest{Portal: sdk.PortalKey{Room: "no-such-room"}, Limit: 5}); !wrong(err) {
		t.Fatal(err)
	}
}

func directChat(t *testing.T, r *rig) {
	r.needs(t, sdk.AbilityDM)
	info, err := r.remote().CreateDM(t.Context(), sdk.CreateDMRequest{For: person(), Users: []sdk.RemoteUserID{r.net.Person()}})
	if err != nil || info.Kind != sdk.ChatDirect || info.Portal.Room == "" {
		t.Fatal(info, err)
	}
	again, err := r.remote().CreateDM(t.Context(), sdk.CreateDMRequest{For: person(), Users: []sdk.RemoteUserID{r.net.Person()}})
	if err != nil || again.Portal != info.Portal {
		t.Fatal("a second chat with the same person: ", again.Portal, info.Portal, err)
	}
	op := r.message("between you and me")
	op.Portal = info.Portal
	r.do(t, op)
	if got := r.said(t, info.Portal.Room); !slices.Equal(got, []string{"between you and me"}) {
		t.Fatal(got)
	}
	r.net.Say(t, info.Portal.Room, "I will tell nobody")
	r.arrived(t, info.Portal.Room, []string{"I will tell nobody"})
	if _, err := r.remote().CreateDM(t.Context(), sdk.CreateDMRequest{For: person(), Users: []sdk.RemoteUserID{"nobody-of-this-name"}}); !wrong(err) {
		t.Fatal(err)
	}
}

func createRoom(t *testing.T, r *rig) {
	r.needs(t, sdk.AbilityCreate)
	req := sdk.CreateRoomRequest{
		For: person(), XMPPRoom: "made@rooms.example.org", Name: "Made", Topic: "for a test", Public: true, Invite: []sdk.RemoteUserID{r.net.Person()},
	}
	info, err := r.remote().CreateRoom(t.Context(), req)
	if err != nil || info.Name != "Made" || info.Topic != "for a test" || info.Portal.Room == "" {
		t.Fatal(info, err)
	}
	op := r.message("in the new room")
	op.Portal = info.Portal
	r.do(t, op)
	if got := r.said(t, info.Portal.Room); !slices.Equal(got, []string{"in the new room"}) {
		t.Fatal(got)
	}
}

func watching(t *testing.T, r *rig) {
	r.needs(t, sdk.AbilityWatch)
	if err := r.remote().Watch(t.Context(), sdk.WatchRequest{Users: []sdk.RemoteUserID{r.net.Person(), "nobody-of-this-name"}}); err != nil {
		t.Fatal(err)
	}
	r.host.Await(t, "the person's presence", func() bool {
		return slices.ContainsFunc(r.host.Signals(), func(s sdk.Signal) bool {
			p, ok := s.(*sdk.Presence)
			return ok && p.Who.User == r.net.Person() && p.Show != sdk.ShowUnknown
		})
	})
}

func setup(t *testing.T, r *rig) {
	r.needs(t, sdk.AbilitySetup)
	plan, err := r.remote().Setup(t.Context(), sdk.SetupRequest{Name: "test", Domain: "example.org", PublicURL: "https://example.org"})
	if err != nil || len(plan.Steps)+len(plan.Questions) == 0 {
		t.Fatal(plan, err)
	}
	for _, s := range plan.Steps {
		if s == "" {
			t.Error("an empty step")
		}
	}
	for _, f := range plan.Files {
		if f.Name == "" || len(f.Content) == 0 || slices.Contains([]byte(f.Name), '/') {
			t.Errorf("%+v", f)
		}
	}
	var keys []string
	for _, k := range r.remote().Info().Config.Keys {
		keys = append(keys, k.Name)
	}
	for _, v := range plan.Config {
		if !slices.Contains(keys, v.Key) || v.Doc == "" {
			t.Errorf("%+v is no key of %v", v, keys)
		}
	}
}

// selfTest: a bridge that cannot reach its network says so, and what to do.
func selfTest(t *testing.T, r *rig) {
	report, err := r.remote().Test(t.Context())
	if err != nil || report.Failed() {
		t.Fatal(report, err)
	}
	r.net.Reach(false)
	defer r.net.Reach(true)
	report, err = r.remote().Test(t.Context())
	if err != nil || !report.Failed() {
		t.Fatal(report, err)
	}
	for _, c := range report.Checks {
		if c.Name == "" || c.Status == sdk.CheckUnknown || c.Status == sdk.CheckFailed && c.Fix == "" {
			t.Errorf("%+v", c)
		}
	}
}

// web: what arrives under /bridge/NAME/ is answered by the bridge, or nobody.
func web(t *testing.T, r *rig) {
	s := httptest.NewServer(r.remote())
	defer s.Close()
	for _, path := range []string{"/", "/no/such/path"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		_ = res.Body.Close()
		if err != nil || res.StatusCode >= 500 {
			t.Fatal(path, res.Status, err)
		}
		if !r.remote().Can(sdk.AbilityHTTP) && res.StatusCode != http.StatusNotFound {
			t.Fatal(path, res.Status, string(body))
		}
	}
}
