package slackid

import (
	"strings"
)

// TS is a message's timestamp and its id within a channel: ten or more digits, a
// dot, six digits.
type TS string

// User is a person (U, W) or a bot (B) and the home team.
type User struct {
	ID   string
	Team string
}

// Channel is a channel (C), private channel (G, C), direct chat (D) or group chat,
// its team or enterprise, and in a direct chat shared by several people of this side
// the thread that is one person's.
type Channel struct {
	ID     string
	Team   string
	Thread TS
}

// maxID bounds an id; Slack's have 9 to 13 characters and may grow.
const maxID = 64

// valid reports whether s is one of the prefixes and then upper-case letters and digits.
func valid(s, prefixes string) bool {
	if len(s) < 2 || len(s) > maxID || strings.IndexByte(prefixes, s[0]) < 0 {
		return false
	}
	for i := 1; i < len(s); i++ {
		if c := s[i]; (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// IsUser reports whether s is a person's id.
func IsUser(s string) bool { return valid(s, "UW") }

// IsBot reports whether s is the id of a bot, which is not its user.
func IsBot(s string) bool { return valid(s, "B") }

// IsChannel reports whether s is the id of a conversation of any sort.
func IsChannel(s string) bool { return valid(s, "CGD") }

// IsDirect reports whether s is the id of a direct chat.
func IsDirect(s string) bool { return valid(s, "D") }

// IsTeam reports whether s is the id of a workspace or of an enterprise organisation.
func IsTeam(s string) bool { return valid(s, "TE") }

// IsFile reports whether s is a file's id.
func IsFile(s string) bool { return valid(s, "F") }

// Valid reports whether t has a timestamp's form.
func (t TS) Valid() bool {
	seconds, micros, ok := strings.Cut(string(t), ".")
	return ok && len(seconds) >= 10 && len(seconds) <= 12 && len(micros) == 6 && digits(seconds) && digits(micros)
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// Compare orders valid timestamps by time: -1, 0, 1.
func (t TS) Compare(o TS) int {
	if len(t) != len(o) { // the fraction is always six digits long
		if len(t) < len(o) {
			return -1
		}
		return 1
	}
	return strings.Compare(string(t), string(o))
}

// After reports whether t is later than o; anything is later than none.
func (t TS) After(o TS) bool { return o == "" && t != "" || t.Compare(o) > 0 }

// Unix gives seconds and nanoseconds since 1970; ok is false for what is no timestamp.
func (t TS) Unix() (sec, nsec int64, ok bool) {
	if !t.Valid() {
		return 0, 0, false
	}
	for i := 0; i < len(t); i++ {
		switch {
		case t[i] == '.':
		case i < len(t)-6:
			sec = sec*10 + int64(t[i]-'0')
		default:
			nsec = nsec*10 + int64(t[i]-'0')
		}
	}
	return sec, nsec * 1000, true
}

// String is the key as it is stored: "U012ABC:T0XYZ".
func (u User) String() string { return u.ID + ":" + u.Team }

// ParseUser reads a user's or bot's key.
func ParseUser(s string) (User, bool) {
	id, team, ok := strings.Cut(s, ":")
	u := User{ID: id, Team: team}
	return u, ok && (IsUser(id) || IsBot(id)) && IsTeam(team)
}

// String is the key as it is stored: "C012ABC:T0XYZ", "D012ABC:T0XYZ:1712345678.000100".
func (c Channel) String() string {
	s := c.ID + ":" + c.Team
	if c.Thread != "" {
		s += ":" + string(c.Thread)
	}
	return s
}

// ParseChannel reads a channel's key.
func ParseChannel(s string) (Channel, bool) {
	parts := strings.Split(s, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return Channel{}, false
	}
	c := Channel{ID: parts[0], Team: parts[1]}
	if len(parts) == 3 {
		c.Thread = TS(parts[2])
		if !c.Thread.Valid() || !IsDirect(c.ID) {
			return Channel{}, false
		}
	}
	return c, IsChannel(c.ID) && IsTeam(c.Team)
}
