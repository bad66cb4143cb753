package room

import (
	"fmt"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
)

// XEP-0317 §3.1, §3.2.
func TestPutHat(t *testing.T) {
	for _, c := range []struct {
		name string
		hat  Hat
		ok   bool
	}{
		{"plain", Hat{URI: "u", Title: "T"}, true},
		{"all", Hat{URI: "u", Title: "T", Lang: "en", Hue: "327.255249"}, true},
		{"whole circle", Hat{URI: "u", Title: "T", Hue: "360"}, true},
		{"no URI", Hat{Title: "T"}, false},
		{"no title", Hat{URI: "u"}, false},
		{"invisible", Hat{URI: "u", Title: "\u200b"}, false},
		{"turned round", Hat{URI: "u", Title: "abc\u202e"}, false},
		{"long title", Hat{URI: "u", Title: strings.Repeat("x", maxHatTitle+1)}, false},
		{"long URI", Hat{URI: strings.Repeat("x", maxHatURI+1), Title: "T"}, false},
		{"no angle", Hat{URI: "u", Title: "T", Hue: "red"}, false},
		{"negative", Hat{URI: "u", Title: "T", Hue: "-1"}, false},
		{"too far round", Hat{URI: "u", Title: "T", Hue: "360.1"}, false},
		{"no number", Hat{URI: "u", Title: "T", Hue: "NaN"}, false},
		{"endless", Hat{URI: "u", Title: "T", Hue: "Inf"}, false},
	} {
		var conf Config
		if err := conf.PutHat(c.hat); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	var conf Config
	for i := range maxHats {
		if err := conf.PutHat(Hat{URI: fmt.Sprint(i), Title: "T"}); err != nil {
			t.Fatal(err)
		}
	}
	if conf.PutHat(Hat{URI: "one more", Title: "T"}) == nil {
		t.Error("one hat too many")
	}
	before := conf.Clone()
	if err := conf.PutHat(Hat{URI: "7", Title: "Changed"}); err != nil {
		t.Errorf("one that is there: %v", err)
	}
	if h, _ := before.Hat("7"); h.Title != "T" {
		t.Error("a copy changes with its original")
	}
	if !conf.DropHat("7") || conf.DropHat("7") {
		t.Error("a hat goes once")
	}
}

// Fields of features are read and written as the others are.
func TestFeatureSettings(t *testing.T) {
	for _, c := range []struct {
		field, value string
		want         Extras
		ok           bool
	}{
		{"muc#roomconfig_slow_mode_duration", "20", Extras{SlowMode: 20}, true},
		{"muc#roomconfig_slow_mode_duration", " 20 ", Extras{SlowMode: 20}, true},
		{"muc#roomconfig_slow_mode_duration", "", Extras{}, true},
		{"muc#roomconfig_slow_mode_duration", "86401", Extras{}, false},
		{"muc#roomconfig_slow_mode_duration", "1.5", Extras{}, false},
		{"muc#roomconfig_forwardmentions", "true", Extras{ForwardMentions: true}, true},
		{"muc#roomconfig_forwardmentions", "yes", Extras{}, false},
	} {
		f := form.New(form.TypeSubmit, ns.MUCRoomConfig).Text(c.field, c.value)
		got, err := Config{}.Submit(f)
		if (err == nil) != c.ok || fmt.Sprint(got.Extras) != fmt.Sprint(c.want) {
			t.Errorf("%s=%q: %+v, %v", c.field, c.value, got.Extras, err)
		}
		again, err := DecodeConfig(got.Encode())
		if err != nil || fmt.Sprint(again.Extras) != fmt.Sprint(got.Extras) {
			t.Errorf("%s=%q: stored and read: %+v, %v", c.field, c.value, again.Extras, err)
		}
	}
}
