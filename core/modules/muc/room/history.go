package room

import (
	"strconv"
	"time"
)

// HistoryLimits is how much history somebody wants on entering (XEP-0045 §7.2.14). Negative and zero values mean: not limited.
type HistoryLimits struct {
	MaxChars   int // -1: no limit
	MaxStanzas int // -1: no limit
	Since      time.Time
}

// NoLimits asks for whatever the room gives.
func NoLimits() HistoryLimits { return HistoryLimits{MaxChars: -1, MaxStanzas: -1} }

// ParseHistory reads the attributes of <history/>; what cannot be read does not limit.
func ParseHistory(attr func(string) string, now time.Time) HistoryLimits {
	l := NoLimits()
	if n, err := strconv.Atoi(attr("maxchars")); err == nil && n >= 0 {
		l.MaxChars = n
	}
	if n, err := strconv.Atoi(attr("maxstanzas")); err == nil && n >= 0 {
		l.MaxStanzas = n
	}
	if n, err := strconv.Atoi(attr("seconds")); err == nil && n >= 0 {
		l.Since = now.Add(-time.Duration(n) * time.Second)
	}
	if t, err := time.Parse(time.RFC3339, attr("since")); err == nil && t.After(l.Since) {
		l.Since = t
	}
	return l
}

// Past is one message of the history.
type Past struct {
	At   time.Time
	Size int // characters of the whole stanza
}

// Select returns from which index on the messages, in ascending order, fit the limits: "the smallest amount of traffic that meets any
// combination of the criteria", in complete stanzas, the newest ones.
func (l HistoryLimits) Select(n int, at func(int) Past) int {
	from, chars := n, 0
	for i := n - 1; i >= 0; i-- {
		p := at(i)
		chars += p.Size
		if l.MaxStanzas >= 0 && n-i > l.MaxStanzas || l.MaxChars >= 0 && chars > l.MaxChars || !l.Since.IsZero() && p.At.Before(l.Since) {
			break
		}
		from = i
	}
	return from
}
