package slackid

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Target is what somebody typed, taken apart: the first set of these that fits.
type Target struct {
	User    string // id
	Channel string // id
	Team    string // id, if it was given
	Message TS     // of a link to a message
	Alias   string // a channel's name, without "#"
	Domain  string // of the workspace, if an alias or a link names it
	Name    string // a person's name, without "@"
	Email   string
}

// Alias is the typable form of a channel's name: "#general:acme".
func Alias(name, domain string) string { return "#" + name + ":" + domain }

// ParseTarget takes apart an id, a key, "#name", "#name:workspace", "@name", an e-mail
// address, a reference such as <@U012ABC> or a link into the workspace. A bare word may
// be a channel's name or a person's: then Alias and Name are both set.
func ParseTarget(s string) (Target, bool) {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > 2000 || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return Target{}, false
	}
	if ref, ok := reference(s); ok {
		s = ref
	}
	if strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://") {
		return parseLink(s)
	}
	if c, ok := ParseChannel(s); ok {
		return Target{Channel: c.ID, Team: c.Team}, true
	}
	if u, ok := ParseUser(s); ok {
		return Target{User: u.ID, Team: u.Team}, true
	}
	switch {
	case IsChannel(s) && len(s) > 6:
		return Target{Channel: s}, true
	case IsUser(s) && len(s) > 6:
		return Target{User: s}, true
	case strings.HasPrefix(s, "#"):
		return parseAlias(s[1:])
	case strings.HasPrefix(s, "@"):
		return Target{Name: s[1:]}, len(s) > 1
	}
	if local, domain, ok := strings.Cut(s, "@"); ok {
		return Target{Email: s}, local != "" && strings.Contains(domain, ".") && !strings.ContainsAny(s, " <>|")
	}
	t, ok := parseAlias(s)
	t.Name = s
	return t, ok
}

// reference takes <@U1>, <@U1|name>, <#C1|name> apart.
func reference(s string) (string, bool) {
	if len(s) < 4 || s[0] != '<' || s[len(s)-1] != '>' {
		return "", false
	}
	inner, _, _ := strings.Cut(s[1:len(s)-1], "|")
	if inner == "" {
		return "", false
	}
	return strings.TrimLeft(inner, "@#"), true
}

func parseAlias(s string) (Target, bool) {
	name, domain, _ := strings.Cut(s, ":")
	name, domain = strings.ToLower(name), strings.ToLower(domain)
	return Target{Alias: name, Domain: domain}, name != "" && len(name) <= 80*utf8.UTFMax && !strings.ContainsAny(name, " <>@/")
}

// parseLink reads https://acme.slack.com/archives/C1/p1712345678000100, /team/U1,
// /messages/C1, and https://app.slack.com/client/T1/C1.
func parseLink(s string) (Target, bool) {
	u, err := url.Parse(s)
	if err != nil {
		return Target{}, false
	}
	host, slack := strings.CutSuffix(u.Hostname(), ".slack.com")
	if !slack || host == "" {
		return Target{}, false
	}
	path := strings.Split(strings.Trim(u.Path, "/"), "/")
	t := Target{Domain: strings.TrimSuffix(host, ".enterprise")}
	if host == "app" && len(path) >= 3 && path[0] == "client" && IsTeam(path[1]) {
		t = Target{Team: path[1]}
		path = append([]string{"archives"}, path[2:]...)
	}
	if len(path) < 2 {
		return Target{}, false
	}
	switch path[0] {
	case "archives", "messages":
		t.Channel = path[1]
		if len(path) > 2 {
			t.Message = permalinkTS(path[2])
		}
		return t, IsChannel(t.Channel)
	case "team":
		t.User = path[1]
		return t, IsUser(t.User)
	}
	return Target{}, false
}

// permalinkTS reads "p1712345678000100".
func permalinkTS(s string) TS {
	d, ok := strings.CutPrefix(s, "p")
	if !ok || len(d) < 16 {
		return ""
	}
	t := TS(d[:len(d)-6] + "." + d[len(d)-6:])
	if !t.Valid() {
		return ""
	}
	return t
}

// Permalink is the address of a message; base is the workspace's, "https://acme.slack.com/".
func Permalink(base, channel string, ts, thread TS) string {
	if base == "" {
		return ""
	}
	link := strings.TrimSuffix(base, "/") + "/archives/" + channel
	if ts == "" {
		return link
	}
	link += "/p" + strings.ReplaceAll(string(ts), ".", "")
	if thread != "" && thread != ts {
		link += "?thread_ts=" + string(thread) + "&cid=" + channel
	}
	return link
}
