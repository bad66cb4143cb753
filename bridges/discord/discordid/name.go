package discordid

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// hair is a space nobody sees; it parts words that a webhook's name may not have.
const hair = "\u200a"

// MaxName is how many characters a webhook's name may have.
const MaxName = 80

// LegalName makes a name that a webhook may carry out of any ("Webhook Resource",
// Create Webhook: 1 to 80 characters without "clyde" or "discord"; "Usernames and
// Nicknames": not "everyone" or "here").
func LegalName(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, unicode.Is(unicode.Cf, r) && r != 0x200d, unicode.IsControl(r) && !unicode.IsSpace(r):
			return -1
		case unicode.IsSpace(r):
			return ' '
		}
		return r
	}, strings.ToValidUTF8(name, ""))
	name = strings.Join(strings.Fields(name), " ")
	for _, word := range []string{"clyde", "discord"} {
		name = part(name, word)
	}
	if lower := strings.ToLower(name); lower == "everyone" || lower == "here" {
		name = name[:1] + hair + name[1:]
	}
	if utf8.RuneCountInString(name) > MaxName {
		name = strings.TrimSpace(string([]rune(name)[:MaxName-1])) + "…"
	}
	if strings.Trim(name, " \u200d"+hair) == "" {
		return "XMPP user"
	}
	return name
}

// part puts a hair space into every occurrence of an ASCII word.
func part(name, word string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		b.WriteByte(name[i])
		if len(name)-i >= len(word) && strings.EqualFold(name[i:i+len(word)], word) {
			b.WriteString(hair)
		}
	}
	return b.String()
}
