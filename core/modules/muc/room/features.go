package room

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/viaduct-xmpp/viaduct/core/payload/form"
)

// Extras are what an owner decides about the features that XEP-0045 does not know. They are stored as fields of Config.
type Extras struct {
	// SlowMode is how many seconds somebody waits between two messages (XEP-0500); 0: not at all.
	SlowMode int `json:"slow_mode,omitempty"`
	// ForwardMentions tells absent members that somebody has mentioned them (XEP-0452).
	ForwardMentions bool `json:"forward_mentions,omitempty"`
	// Hats are the hats that somebody in the room can wear (XEP-0317).
	Hats []Hat `json:"hats,omitempty"`
}

// MaxSlowMode bounds SlowMode, in seconds: a day.
const MaxSlowMode = 24 * 3600

// allSettings are the fields of the configuration form in their order.
func allSettings() []setting { return slices.Concat(settings, featureSettings) }

// featureSettings are the fields of the configuration form for Extras.
var featureSettings = []setting{
	{"muc#roomconfig_slow_mode_duration", form.TextSingle, "Seconds between two messages of one person", nil,
		func(c *Config) []string { return []string{strconv.Itoa(c.SlowMode)} }, setSlowMode},
	flag("muc#roomconfig_forwardmentions", "Absent members are told when they are mentioned", func(c *Config) *bool { return &c.ForwardMentions }),
}

// setSlowMode: XEP-0500 §7: what is no number, or too large to be meant, is not taken.
func setSlowMode(c *Config, v []string) error {
	s := strings.TrimSpace(first(v))
	if s == "" {
		c.SlowMode = 0
		return nil
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return fmt.Errorf("%q is not a number of seconds", s)
	}
	if n > MaxSlowMode {
		return fmt.Errorf("more than %d seconds", MaxSlowMode)
	}
	c.SlowMode = int(n)
	return nil
}

// Hat is a title that people in the room can wear (XEP-0317 §3.1).
type Hat struct {
	URI   string `json:"uri"`
	Title string `json:"title"`
	Lang  string `json:"lang,omitempty"` // of the title
	Hue   string `json:"hue,omitempty"`  // angle in degrees, as it was given; "": none
}

// Bounds of hats.
const (
	maxHats     = 100
	maxHatURI   = 500 // bytes
	maxHatTitle = 100 // characters
	// MaxHatsWorn is how many one person can wear at once: they stand in each of her presences.
	MaxHatsWorn = 20
	// MaxHatWearers is how many people of one room can wear hats.
	MaxHatWearers = 1000
)

// Hat returns the hat of a URI.
func (c Config) Hat(uri string) (Hat, bool) {
	i := slices.IndexFunc(c.Hats, func(h Hat) bool { return h.URI == uri })
	if i < 0 {
		return Hat{}, false
	}
	return c.Hats[i], true
}

// PutHat adds a hat, or changes the one of this URI.
func (c *Config) PutHat(h Hat) error {
	switch {
	case h.URI == "" || h.Title == "":
		return fmt.Errorf("a hat needs a URI and a title")
	case len(h.URI) > maxHatURI, utf8.RuneCountInString(h.Title) > maxHatTitle:
		return fmt.Errorf("the URI or the title is too long")
	case !visible(h.Title):
		return fmt.Errorf("the title cannot be seen")
	}
	if h.Hue != "" {
		hue, err := strconv.ParseFloat(h.Hue, 64)
		if err != nil || !(hue >= 0 && hue <= 360) { // XEP-0392 §4: an angle
			return fmt.Errorf("a hue is an angle from 0 to 360")
		}
	}
	hats := slices.Clone(c.Hats)
	if i := slices.IndexFunc(hats, func(o Hat) bool { return o.URI == h.URI }); i >= 0 {
		hats[i] = h
	} else if len(hats) >= maxHats {
		return fmt.Errorf("a room has %d hats at most", maxHats)
	} else {
		hats = append(hats, h)
	}
	c.Hats = hats
	return nil
}

// DropHat removes a hat; false: there is none of this URI.
func (c *Config) DropHat(uri string) bool {
	if _, ok := c.Hat(uri); !ok {
		return false
	}
	c.Hats = slices.DeleteFunc(slices.Clone(c.Hats), func(h Hat) bool { return h.URI == uri })
	return true
}

// ReservedBy returns who has reserved a nick, "" if nobody has.
func (r *Room) ReservedBy(nick string) string { return r.reserved[fold(nick)] }

// MarshalText makes stored affiliations readable.
func (a Affiliation) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what MarshalText wrote; an unknown name is None.
func (a *Affiliation) UnmarshalText(b []byte) error {
	*a, _ = ParseAffiliation(string(b))
	return nil
}
