package slackfmt

import (
	"strings"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// maxUnix is the end of the year 9999.
const maxUnix = 253402300799

func dateNode(unix int64, format, fallback string) richtext.Node {
	if unix < 0 || unix > maxUnix {
		return richtext.Text(fallback)
	}
	return richtext.Node{Kind: richtext.KindTime, Text: fallback, Time: richtext.Time{Unix: unix, Style: dateStyle(format)}}
}

func dateStyle(format string) richtext.TimeStyle {
	date, clock := strings.Contains(format, "{date"), strings.Contains(format, "{time")
	switch {
	case strings.Contains(format, "{ago}"):
		return richtext.TimeRelative
	case date && !clock:
		return richtext.TimeDate
	case clock && !date:
		return richtext.TimeClock
	}
	return richtext.TimeDateTime
}

func dateFormat(s richtext.TimeStyle) string {
	switch s {
	case richtext.TimeDate:
		return "{date_long}"
	case richtext.TimeClock:
		return "{time}"
	case richtext.TimeRelative:
		return "{ago}"
	}
	return "{date_short_pretty} {time}"
}
