package room

import (
	"encoding/json"
	"fmt"
	"slices"
)

// PM says who may send private messages (muc#roomconfig_allowpm).
type PM string

// The values of PM.
const (
	PMAnyone       PM = "anyone"
	PMParticipants PM = "participants"
	PMModerators   PM = "moderators"
	PMNone         PM = "none"
)

// Registration says how people become members by themselves (XEP-0045 §7.10).
type Registration string

// The values of Registration.
const (
	RegisterAuto     Registration = "" // at once where membership gives nothing but a nick, otherwise after approval
	RegisterOpen     Registration = "open"
	RegisterApproval Registration = "approval"
	RegisterNobody   Registration = "none"
)

// Config is what an owner decides about a room (XEP-0045 §16.5.3) and what the owner of its host adds. Its JSON form is stored: fields may be
// added, never renamed; an absent field reads as the zero value, so a new field's zero value is what old rooms had.
type Config struct {
	Name        string `json:"name,omitempty"`
	Description string `json:"desc,omitempty"`
	Lang        string `json:"lang,omitempty"`

	Public      bool `json:"public,omitempty"`
	Persistent  bool `json:"persistent,omitempty"`
	MembersOnly bool `json:"members_only,omitempty"`
	Moderated   bool `json:"moderated,omitempty"`
	// NonAnonymous shows real JIDs to everybody, not to moderators only.
	NonAnonymous bool   `json:"non_anonymous,omitempty"`
	Password     string `json:"password,omitempty"` // "": none needed

	MaxUsers      int  `json:"max_users,omitempty"`      // 0: no limit
	ChangeSubject bool `json:"change_subject,omitempty"` // whoever has voice may
	AllowPM       PM   `json:"allow_pm,omitempty"`       // "": anyone
	AllowInvites  bool `json:"allow_invites,omitempty"`  // of a members-only room: every member may invite
	Logging       bool `json:"logging,omitempty"`        // the archive can be read by those who may enter
	MaxHistory    int  `json:"max_history,omitempty"`    // messages shown on entering

	// HiddenRoles are those whose presence is not broadcast (the complement of muc#roomconfig_presencebroadcast).
	HiddenRoles []Role `json:"hidden_roles,omitempty"`
	// MemberListRoles may read the member list besides admins (muc#roomconfig_getmemberlist); nil: the default of XEP-0045 §9.5.
	MemberListRoles []Role   `json:"member_list,omitempty"`
	Contacts        []string `json:"contacts,omitempty"` // JIDs (muc#roominfo_contactjid)
	PubSub          string   `json:"pubsub,omitempty"`   // XMPP URI (muc#roomconfig_pubsub)
	LDAPGroup       string   `json:"ldap,omitempty"`     // shown to people, not asked (muc#roominfo_ldapgroup)
	Logs            string   `json:"logs,omitempty"`     // URL of logs elsewhere (muc#roominfo_logs)

	Registration    Registration `json:"registration,omitempty"`
	LockNicks       bool         `json:"lock_nicks,omitempty"`        // who has a reserved nick has no other (§7.10)
	NoVoiceRequests bool         `json:"no_voice_requests,omitempty"` // §7.13
	// Keeper is in whose number of persistent rooms this one counts: the bare JID of who made it persistent.
	Keeper string `json:"keeper,omitempty"`

	Extras // of features that XEP-0045 does not know (features.go)

	// Locked: made and not yet configured; only the owner may enter (XEP-0045 §10.1).
	Locked bool `json:"locked,omitempty"`

	// What a gateway adds for the rooms of its host.
	Origin     string            `json:"origin,omitempty"`
	Features   []string          `json:"features,omitempty"`
	Info       map[string]string `json:"info,omitempty"`
	AvatarHash string            `json:"avatar_hash,omitempty"` // hex SHA-1 of the picture in the room's vCard; several, with blanks between them, if it is there in several types
}

// maxHistory bounds MaxHistory whatever an owner asks for.
const maxHistory = 200

// DefaultConfig is what a new room of a person is: open, unlisted, semi-anonymous, gone with its last occupant.
func DefaultConfig() Config { return Config{MaxHistory: 20, Logging: true} }

// Encode returns the stored form.
func (c Config) Encode() []byte {
	b, err := json.Marshal(c)
	if err != nil { // plain values only: cannot happen
		panic(fmt.Sprintf("room: encode configuration: %v", err))
	}
	return b
}

// DecodeConfig reads the stored form.
func DecodeConfig(b []byte) (Config, error) {
	var c Config
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("room: decode configuration: %w", err)
	}
	return c, nil
}

// Clone returns a copy that shares nothing that can be changed.
func (c Config) Clone() Config {
	c.HiddenRoles = slices.Clone(c.HiddenRoles)
	c.MemberListRoles = slices.Clone(c.MemberListRoles)
	c.Contacts = slices.Clone(c.Contacts)
	c.Features = slices.Clone(c.Features)
	info := c.Info
	c.Info = nil
	for k, v := range info {
		if c.Info == nil {
			c.Info = make(map[string]string, len(info))
		}
		c.Info[k] = v
	}
	return c
}

// Registering tells how somebody without an affiliation becomes a member: at once, after approval, or not at all.
func (c Config) Registering() Registration {
	switch {
	case c.Registration != RegisterAuto:
		return c.Registration
	case c.MembersOnly, c.Moderated, c.Password != "":
		return RegisterApproval // there membership is entry or voice
	}
	return RegisterOpen
}

// Broadcasts tells whether the presence of a role is shown to everybody.
func (c Config) Broadcasts(r Role) bool { return !slices.Contains(c.HiddenRoles, r) }

// Notices returns the status codes that tell occupants of a change from old to c (XEP-0045 §10.2.1), nil if nothing changed.
func (c Config) Notices(old Config) []int {
	var codes []int
	if c.Logging != old.Logging {
		codes = append(codes, pick(c.Logging, 170, 171))
	}
	if c.NonAnonymous != old.NonAnonymous {
		codes = append(codes, pick(c.NonAnonymous, 172, 173))
	}
	old.Logging, old.NonAnonymous, old.Locked, old.Keeper = c.Logging, c.NonAnonymous, c.Locked, c.Keeper
	if string(c.Encode()) != string(old.Encode()) {
		codes = append(codes, 104)
	}
	return codes
}

func pick(cond bool, a, b int) int {
	if cond {
		return a
	}
	return b
}
