package slackfmt

import (
	"strings"
	"sync"

	"go.mau.fi/util/emojishortcodes"
	"go.mau.fi/util/variationselector"
)

// byName is the table of short names to emoji, made at its first use.
var byName = sync.OnceValue(func() map[string]string {
	codes := emojishortcodes.GetMap()
	m := make(map[string]string, len(codes)+64)
	for emoji, name := range codes {
		// The table has a variation selector wherever one is allowed; people type those
		// that are needed.
		m[name] = variationselector.FullyQualify(emoji)
	}
	for alias, name := range aliases() {
		m[alias] = m[name]
	}
	return m
})

// aliases are the second names that Slack gives to common emoji.
func aliases() map[string]string {
	return map[string]string{
		"thumbsup": "+1", "thumbsdown": "-1", "poop": "hankey", "shit": "hankey", "satisfied": "laughing", "collision": "boom", "punch": "facepunch", "raised_hand": "hand",
		"flipper": "dolphin", "paw_prints": "feet", "running": "runner", "telephone": "phone", "envelope": "email", "waxing_gibbous_moon": "moon", "honeybee": "bee",
		"red_car": "car", "sailboat": "boat", "heavy_exclamation_mark": "exclamation", "sign_of_the_horns": "the_horns", "knife": "hocho", "open_book": "book",
		"lantern": "izakaya_lantern", "orange": "tangerine", "mandarin": "tangerine", "simple_smile": "slightly_smiling_face", "robot": "robot_face",
		"hugging": "hugging_face", "person_shrugging": "shrug", "facepalm": "face_palm", "flag-us": "us", "flag-gb": "gb", "flag-uk": "gb", "uk": "gb",
		"flag-de": "de", "flag-fr": "fr", "flag-jp": "jp", "flag-it": "it", "flag-es": "es", "flag-ru": "ru", "flag-kr": "kr", "flag-cn": "cn",
	}
}

// skinTones are Fitzpatrick modifiers by the number in Slack's names.
func skinTones() map[string]string {
	return map[string]string{"2": "\U0001F3FB", "3": "\U0001F3FC", "4": "\U0001F3FD", "5": "\U0001F3FE", "6": "\U0001F3FF"}
}

// EmojiText is the emoji of a short name ("+1", "wave::skin-tone-3"), "" for a custom one.
func EmojiText(name string) string {
	base, tone, toned := strings.Cut(strings.Trim(name, ":"), "::skin-tone-")
	text := byName()[base]
	if text == "" || !toned {
		return text
	}
	modifier := skinTones()[tone]
	if modifier == "" {
		return text
	}
	// The modifier follows the first code point; a variation selector there goes.
	first := []rune(text)
	rest := strings.TrimPrefix(string(first[1:]), "\uFE0F")
	return string(first[:1]) + modifier + rest
}

// EmojiName is the short name of an emoji, or of a custom one written ":name:"; ""
// if Slack has no such emoji.
func EmojiName(text string) string {
	if inner, ok := strings.CutPrefix(text, ":"); ok {
		if name, ok := strings.CutSuffix(inner, ":"); ok && validName(name) {
			return name
		}
		return ""
	}
	name := emojishortcodes.Get(text)
	if name == "" {
		return ""
	}
	for number, modifier := range skinTones() {
		if strings.Contains(text, modifier) {
			return name + "::skin-tone-" + number
		}
	}
	return name
}

// validName: what may stand between colons.
func validName(s string) bool {
	if s == "" || len(s) > 120 {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || strings.ContainsRune("<>&\"/\\`*~|@#", r) })
}
