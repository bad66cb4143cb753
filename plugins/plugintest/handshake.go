package plugintest

import (
	"errors"
	"slices"
	"testing"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// handshake looks at what the bridge says of itself.
func handshake(t *testing.T, r *rig) {
	info := r.remote().Info()
	if info.Plugin == "" || info.Network == "" || info.Title == "" || info.Version == "" || info.Prompt == "" {
		t.Errorf("something is not said: %+v", info)
	}
	if err := info.Addresses.Validate(); err != nil {
		t.Error(err)
	}
	for id, forms := range map[string][]sdk.AddressForm{
		string(r.room): info.Addresses.Rooms, string(r.two): info.Addresses.Rooms, string(r.net.Person()): info.Addresses.Users,
	} {
		if !slices.ContainsFunc(forms, func(f sdk.AddressForm) bool {
			s, ok := f.Split(id)
			return ok && f.Join(s) == id
		}) {
			t.Errorf("the id %q has no address", id)
		}
	}
	documented(t, "", info.Config.Keys)
	if problems := info.Config.Check(r.net.Config(), nil); len(problems) > 0 {
		t.Error(problems)
	}
	// What is promised can be done, and what cannot be done is not promised.
	caps := info.Capabilities
	for ability, level := range map[sdk.Ability]sdk.Level{
		sdk.AbilityEdit: caps.Edit.Level, sdk.AbilityRetract: caps.Retract.Level, sdk.AbilityReact: caps.Reactions.Level,
		sdk.AbilityTopic: caps.Topic.Level, sdk.AbilityGhosts: caps.GhostJoins, sdk.AbilityInvite: caps.Invite,
		sdk.AbilityModerate: max(caps.Kick, caps.Ban, caps.Roles), sdk.AbilityTyping: caps.Typing.Out,
		sdk.AbilityPresence: caps.Presence.Out, sdk.AbilityRead: caps.ReadReceipts.Out, sdk.AbilityHistory: caps.History.Level,
	} {
		if r.remote().Can(ability) != (level > sdk.LevelNone) {
			t.Errorf("%s: claimed %v, promised %v", ability, r.remote().Can(ability), level)
		}
	}
	if r.remote().Can(sdk.AbilityLogin) != (len(info.LoginFlows) > 0) {
		t.Error("logins: flows and ability differ")
	}
	if caps.Idempotent && caps.Window == 0 {
		t.Error("an idempotent network without a window")
	}
	unsupported(t, r)
}

func documented(t *testing.T, path string, keys []sdk.ConfigKey) {
	t.Helper()
	for _, k := range keys {
		if k.Doc == "" {
			t.Errorf("the key %s%s is not documented", path, k.Name)
		}
		documented(t, path+k.Name+".", k.Keys)
	}
}

// unsupported asks for what the bridge does not claim.
func unsupported(t *testing.T, r *rig) {
	ctx := t.Context()
	for ability, call := range map[sdk.Ability]func() error{
		sdk.AbilitySearch:  func() error { _, err := r.remote().Search(ctx, sdk.SearchRequest{}); return err },
		sdk.AbilityDM:      func() error { _, err := r.remote().CreateDM(ctx, sdk.CreateDMRequest{}); return err },
		sdk.AbilityCreate:  func() error { _, err := r.remote().CreateRoom(ctx, sdk.CreateRoomRequest{}); return err },
		sdk.AbilityHistory: func() error { _, err := r.remote().FetchHistory(ctx, sdk.HistoryRequest{}); return err },
		sdk.AbilityMedia:   func() error { _, err := r.remote().FetchMedia(ctx, sdk.MediaRequest{}); return err },
		sdk.AbilityWatch:   func() error { return r.remote().Watch(ctx, sdk.WatchRequest{}) },
		sdk.AbilityLogin:   func() error { _, err := r.remote().StartLogin(ctx, sdk.StartLoginRequest{}); return err },
		sdk.AbilitySetup:   func() error { _, err := r.remote().Setup(ctx, sdk.SetupRequest{}); return err },
	} {
		if r.remote().Can(ability) {
			continue
		}
		if err := call(); !errors.Is(err, sdk.ErrUnsupported) {
			t.Errorf("%s is not claimed, and answered with %v", ability, err)
		}
	}
}

// configuration refuses the bad for good, with a reason, takes the good, and
// may be corrected before the start.
func configuration(t *testing.T, r *rig) {
	for what, json := range r.o.BadConfigs {
		c := r.configuration()
		c.JSON = []byte(json)
		err := r.remote().Configure(t.Context(), c)
		if err == nil {
			t.Errorf("%s: taken", what)
			continue
		}
		if e := sdk.AsError(err); e.Temporary || e.Text == "" {
			t.Errorf("%s: not a final refusal with a reason: %v", what, err)
		}
	}
	if err := r.remote().Start(t.Context(), r.host, sdk.Resume{First: true}); err == nil {
		t.Fatal("started without a configuration")
	}
	r.inst.Kill()
	r.again(t)
	if report, err := r.remote().Test(t.Context()); err != nil || report.Failed() || len(report.Checks) == 0 {
		t.Error(report, err)
	}
}
