package admincmd

import (
	"github.com/viaduct-xmpp/viaduct/bridges/gateway"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// What --json prints. The names are part of the interface: they stay, whatever the structs of the gateway are called.

// roomName is how a portal is called: a direct chat has no room here.
func roomName(p gateway.PortalStatus) string {
	if p.Room.IsZero() {
		return "direct chat " + string(p.Remote.Room)
	}
	if p.Linked {
		return p.Room.String() + " (linked with " + firstOf(p.Name, string(p.Remote.Room)) + ")"
	}
	return p.Room.String()
}

// connectionWords are the states of a bridge's own connection.
var connectionWords = map[sdk.LoginState]string{
	sdk.LoginUnknown: "unknown", sdk.LoginConnecting: "connecting", sdk.LoginConnected: "connected", sdk.LoginTrouble: "trouble",
	sdk.LoginBadSecret: "bad secret", sdk.LoginLoggedOut: "logged out", sdk.LoginRateLimited: "rate limited",
}

func gatewayData(s gateway.Status) map[string]any {
	return map[string]any{
		"title": s.Title, "attached": s.Attached, "connection": connectionWords[s.Connection], "text": s.Text, "last_error": s.LastError,
		"waiting": s.Waiting, "oldest_seconds": s.Oldest.Seconds(), "rooms": s.Portals,
		"events": s.Received, "known_already": s.Duplicates, "echoes": s.Echoes, "rejected": s.Rejected,
		"delivered": s.Delivered, "refused": s.Refused, "temporary_failures": s.Failures, "notes": append([]string{}, s.Missing...),
	}
}

func roomsData(list []gateway.PortalStatus) []map[string]any {
	out := []map[string]any{}
	for _, p := range list {
		out = append(out, map[string]any{
			"room": p.Room.String(), "linked": p.Linked, "remote": string(p.Remote.Room), "name": p.Name, "people": p.People, "puppets": p.Puppets, "waiting": p.Waiting,
			"lag_seconds": p.Lag.Seconds(), "delivered": p.Sent, "refused": p.Refused, "last_error": p.Error,
		})
	}
	return out
}

func checksData(list []sdk.Check) []map[string]string {
	words := map[sdk.CheckStatus]string{sdk.CheckOK: "ok", sdk.CheckWarning: "warning", sdk.CheckFailed: "failed"}
	out := []map[string]string{}
	for _, k := range list {
		out = append(out, map[string]string{"name": k.Name, "status": words[k.Status], "found": k.Found, "fix": k.Fix})
	}
	return out
}

func setupData(plan sdk.SetupPlan, written []string) map[string]any {
	config, questions := []map[string]string{}, []map[string]string{}
	for _, v := range plan.Config {
		config = append(config, map[string]string{"key": v.Key, "value": v.Value, "doc": v.Doc})
	}
	for _, q := range plan.Questions {
		questions = append(questions, map[string]string{"name": q.Name, "label": q.Label})
	}
	return map[string]any{"written": append([]string{}, written...), "config": config, "steps": append([]string{}, plan.Steps...), "questions": questions}
}
