package plugintest

import (
	"slices"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

func loginParts() []part {
	return []part{{"login", login}, {"login refused", loginRefused}}
}

// begin starts a login and goes through its forms.
func (r *rig) begin(t *testing.T, good bool) (sdk.LoginStep, error) {
	step, err := r.remote().StartLogin(t.Context(), sdk.StartLoginRequest{Flow: r.remote().Info().LoginFlows[0].ID, For: person()})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if step.Process == "" || step.Kind == sdk.StepUnknown || step.Text == "" {
			t.Fatalf("%+v", step)
		}
		for _, f := range step.Fields {
			if f.Name == "" || f.Label == "" || strings.Contains(strings.ToLower(f.Label), "password") {
				t.Errorf("%+v", f)
			}
		}
		if step.Kind == sdk.StepDone {
			return step, nil
		}
		step, err = r.remote().LoginStep(t.Context(), sdk.LoginInput{Process: step.Process, Values: r.net.SignIn(step, good)})
		if err != nil || !good {
			return step, err
		}
	}
	t.Fatal("a login of more than five steps")
	return step, nil
}

// login signs somebody in, who then is herself, also after a restart, until she
// signs out.
func login(t *testing.T, r *rig) {
	r.needs(t, sdk.AbilityLogin)
	step, err := r.begin(t, true)
	if err != nil || step.Login == nil || step.Login.ID == "" || step.Login.User == "" || len(step.Login.Credentials) == 0 {
		t.Fatalf("%+v %v", step, err)
	}
	own := *step.Login
	own.Person = person().Person
	asOwn := func(text string) Seen {
		op := r.message(text)
		op.Login = own.ID
		return r.find(t, r.room, r.do(t, op).Parts[0].Remote)
	}
	if got := asOwn("as myself"); got.Author != own.Name {
		t.Fatalf("%+v is not %q", got, own.Name)
	}
	r.crash()
	r.again(t)
	op := r.message("not loaded yet")
	op.Login = own.ID
	if _, err := r.try(t, op); err == nil {
		t.Fatal("acted for a login that was not loaded")
	}
	status, err := r.remote().LoadLogin(t.Context(), own)
	if err != nil || status.ID != own.ID || status.State != sdk.LoginConnected {
		t.Fatal(status, err)
	}
	if got := asOwn("as myself again"); got.Author != own.Name {
		t.Fatalf("%+v", got)
	}
	// Her own direct chats are hers alone.
	if r.remote().Can(sdk.AbilityDM) {
		dm, err := r.remote().CreateDM(t.Context(), sdk.CreateDMRequest{For: person(), Login: own.ID, Users: []sdk.RemoteUserID{r.net.Person()}})
		if err != nil || dm.Portal.Login != own.ID {
			t.Fatal(dm.Portal, err)
		}
		r.net.Say(t, dm.Portal.Room, "for you alone")
		r.arrived(t, dm.Portal.Room, []string{"for you alone"})
		for _, e := range r.host.Events() {
			if h := e.Head(); h.Portal.Room == dm.Portal.Room && h.Portal != dm.Portal {
				t.Fatalf("%+v", h)
			}
		}
	}
	for range 2 { // who is signed out is signed out
		if err := r.remote().Logout(t.Context(), own.ID); err != nil {
			t.Fatal(err)
		}
	}
	op = r.message("too late")
	op.Login = own.ID
	if _, err := r.try(t, op); !wrong(err) {
		t.Fatal(err)
	}
	if slices.ContainsFunc(r.net.Seen(t, r.room), func(s Seen) bool { return s.Text == "too late" || s.Text == "not loaded yet" }) {
		t.Fatal("it was said all the same")
	}
}

func loginRefused(t *testing.T, r *rig) {
	r.needs(t, sdk.AbilityLogin)
	step, err := r.begin(t, false)
	if err == nil && step.Kind == sdk.StepDone || err != nil && !wrong(err) {
		t.Fatalf("%+v %v", step, err)
	}
	if err := r.remote().CancelLogin(t.Context(), step.Process); err != nil {
		t.Fatal(err)
	}
	if _, err := r.remote().LoginStep(t.Context(), sdk.LoginInput{Process: step.Process, Values: map[string]string{}}); !wrong(err) {
		t.Fatal("a login that was given up goes on: ", err)
	}
	if _, err := r.remote().StartLogin(t.Context(), sdk.StartLoginRequest{Flow: "no-such-flow", For: person()}); !wrong(err) {
		t.Fatal(err)
	}
	status, err := r.remote().LoadLogin(t.Context(), sdk.Login{ID: "somebody", Credentials: []byte("nonsense")})
	if err == nil && (status.State != sdk.LoginBadSecret || status.Text == "") || err != nil && !wrong(err) {
		t.Fatal(status, err)
	}
}
