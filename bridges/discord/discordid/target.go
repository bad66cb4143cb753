package discordid

import (
	"net/url"
	"strings"
)

// Kind is what something typed names.
type Kind int

// The kinds. An id alone may be a user or a channel.
const (
	KindNone    Kind = 0
	KindID      Kind = 1 // 1234
	KindUser    Kind = 2 // <@1234>
	KindChannel Kind = 3 // <#1234>, or a link
	KindAlias   Kind = 4 // #name:guild or #name
	KindName    Kind = 5 // @name or name
)

// Target is what somebody typed.
type Target struct {
	Kind    Kind
	ID      string // of a user or channel
	Name    string // of an alias or user, in lower case
	Guild   string // id or name of the guild, if given
	Message string // where a link points to
}

// Parse reads what a person types or pastes; KindNone if it names nothing.
func Parse(text string) Target {
	text = strings.TrimSpace(text)
	if len(text) > 400 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return Target{}
	}
	if Valid(text) {
		return Target{Kind: KindID, ID: text}
	}
	for _, form := range []struct {
		prefix string
		kind   Kind
	}{{"<@!", KindUser}, {"<@", KindUser}, {"<#", KindChannel}} {
		if id, ok := strings.CutPrefix(text, form.prefix); ok {
			if id, ok = strings.CutSuffix(id, ">"); ok && Valid(id) {
				return Target{Kind: form.kind, ID: id}
			}
		}
	}
	if strings.Contains(text, "://") {
		return link(text)
	}
	if alias, ok := strings.CutPrefix(text, "#"); ok {
		name, guild, _ := strings.Cut(strings.ToLower(alias), ":")
		if name == "" {
			return Target{}
		}
		return Target{Kind: KindAlias, Name: name, Guild: guild}
	}
	name := strings.ToLower(strings.TrimPrefix(text, "@"))
	if name == "" || strings.ContainsAny(name, "@#:/<>") {
		return Target{}
	}
	return Target{Kind: KindName, Name: name}
}

// link reads https://discord.com/channels/GUILD/CHANNEL[/MESSAGE].
func link(text string) Target {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" {
		return Target{}
	}
	host := strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(u.Host), "ptb."), "canary.")
	if host != "discord.com" && host != "discordapp.com" {
		return Target{}
	}
	p := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(p) < 3 || len(p) > 4 || p[0] != "channels" || !Valid(p[2]) || p[1] != "@me" && !Valid(p[1]) {
		return Target{}
	}
	t := Target{Kind: KindChannel, ID: p[2]}
	if p[1] != "@me" {
		t.Guild = p[1]
	}
	if len(p) == 4 {
		if !Valid(p[3]) {
			return Target{}
		}
		t.Message = p[3]
	}
	return t
}

// Slug is how a guild's name stands in an alias.
func Slug(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r == ' ' || r == '-' || r == ':' || r == '%' || r == '/' || r == '@' || r == '#':
			if b.Len() > 0 && !strings.HasSuffix(b.String(), "-") {
				b.WriteByte('-')
			}
		case r > ' ' && r != 0x7f:
			b.WriteRune(r)
		}
	}
	return strings.Trim(b.String(), "-")
}
