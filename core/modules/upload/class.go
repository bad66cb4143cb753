package upload

import (
	"time"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/delay"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// purpose is what a file is for (XEP-0363 §5); "" is a message.
type purpose string

const (
	message   purpose = "message"
	profile   purpose = "profile"
	ephemeral purpose = "ephemeral"
	permanent purpose = "permanent"
)

// purposes are those that are offered.
func (m *Module) purposes() []purpose {
	out := []purpose{message, ephemeral}
	if m.o.ProfileBytes > 0 {
		out = append(out, profile)
	}
	if m.o.Permanent {
		out = append(out, permanent)
	}
	return out
}

// purposeOf reads the purpose of a request: at most one of those that are offered.
func (m *Module) purposeOf(q *xmlstream.Node, now time.Time) (p purpose, before time.Time, err error) {
	for n := range q.Elements() {
		if n.Name.Space != ns.UploadPurpose {
			continue
		}
		if p != "" {
			return "", before, stanza.NewError(stanza.BadRequest, "A file has one purpose.")
		}
		p = purpose(n.Name.Local)
		if p != ephemeral {
			continue
		}
		// XEP-0363 §5.3: MUST have the time before which the file has to be gone.
		if before, err = delay.ParseTime(n.Attr("expire-before")); err != nil {
			return "", before, stanza.NewError(stanza.BadRequest, "An ephemeral file needs the time of its end.")
		}
		if !before.After(now) {
			return "", before, stanza.NewError(stanza.NotAcceptable, "The time of the file's end has passed.")
		}
	}
	if p == "" || p == message { // XEP-0363 §5: the default
		return "", before, nil
	}
	for _, offered := range m.purposes() {
		if p == offered {
			return p, before, nil
		}
	}
	return "", before, stanza.NewError(stanza.FeatureNotImplemented, "This purpose is not offered here.")
}

// end returns when a file of a purpose and size ends that is put now; 0 for never, else milliseconds.
func (m *Module) end(p purpose, size int64, before int64, now time.Time) int64 {
	var after time.Duration
	shorter := func(d time.Duration) {
		if d > 0 && (after == 0 || d < after) {
			after = d
		}
	}
	switch p {
	case permanent:
	case profile:
		shorter(m.o.ProfileExpireAfter)
	default:
		shorter(m.o.ExpireAfter)
		for _, c := range m.o.Classes {
			if size > c.Over {
				shorter(c.After)
			}
		}
	}
	end := before
	if after > 0 {
		if at := now.Add(after).UnixMilli(); end == 0 || at < end {
			end = at
		}
	}
	return end
}
