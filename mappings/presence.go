package mappings

import (
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Shown is what a presence stanza says of availability.
type Shown struct {
	Unavailable bool
	Show        string // away, chat, dnd, xa or ""
}

// ShowOf is how somebody of the network is shown here.
func ShowOf(s sdk.Show) Shown {
	switch s {
	case sdk.ShowAway:
		return Shown{Show: "away"}
	case sdk.ShowLongAway:
		return Shown{Show: "xa"}
	case sdk.ShowBusy:
		return Shown{Show: "dnd"}
	case sdk.ShowOffline, sdk.ShowInvisible:
		return Shown{Unavailable: true}
	}
	return Shown{}
}

// ShowTo is the reverse, for presence that goes out (RFC 6121 §4.7.2.1); an unknown value is online.
func ShowTo(s Shown) sdk.Show {
	if s.Unavailable {
		return sdk.ShowOffline
	}
	switch s.Show {
	case "away":
		return sdk.ShowAway
	case "xa":
		return sdk.ShowLongAway
	case "dnd":
		return sdk.ShowBusy
	}
	return sdk.ShowOnline
}

// Standing is an affiliation and role in a room (XEP-0045 §5).
type Standing struct{ Affiliation, Role string }

// StandingOf is what somebody of the network is in a room here.
func StandingOf(r sdk.Role) Standing {
	switch r {
	case sdk.RoleOwner:
		return Standing{"owner", "moderator"}
	case sdk.RoleAdmin:
		return Standing{"admin", "moderator"}
	case sdk.RoleModerator:
		return Standing{"member", "moderator"}
	case sdk.RoleVisitor:
		return Standing{"none", "visitor"}
	case sdk.RoleOutcast:
		return Standing{"outcast", "none"}
	}
	return Standing{"member", "participant"}
}

// RoleOf is the reverse: what somebody of ours may do in the room.
func RoleOf(s Standing) sdk.Role {
	switch {
	case s.Affiliation == "owner":
		return sdk.RoleOwner
	case s.Affiliation == "admin":
		return sdk.RoleAdmin
	case s.Affiliation == "outcast":
		return sdk.RoleOutcast
	case s.Role == "moderator":
		return sdk.RoleModerator
	case s.Role == "visitor":
		return sdk.RoleVisitor
	}
	return sdk.RoleMember
}
