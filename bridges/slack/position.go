package slack

import (
	"slices"
	"strings"

	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// position says which messages of a channel the host has: all up to floor, and those in
// seen above it. Slack may send events in another order than their timestamps', so one
// timestamp would not do. As a cursor it reads
//
//	1 <floor> <newest> <ts> <ts>t …
//
// where newest is the latest event of any sort, and "t" marks replies in threads.
type position struct {
	floor, newest slackid.TS
	seen          map[slackid.TS]bool // true: a reply
}

// keepSeen is how many messages above the floor are remembered.
const keepSeen = 64

func newPosition(floor slackid.TS) position {
	return position{floor: floor, newest: floor, seen: map[slackid.TS]bool{}}
}

func parsePosition(s sdk.Cursor) (position, bool) {
	f := strings.Fields(string(s))
	if len(f) < 3 || f[0] != "1" || !slackid.TS(f[1]).Valid() || !slackid.TS(f[2]).Valid() {
		return position{}, false
	}
	p := position{floor: slackid.TS(f[1]), newest: slackid.TS(f[2]), seen: map[slackid.TS]bool{}}
	for _, item := range f[3:] {
		ts, reply := strings.CutSuffix(item, "t")
		if slackid.TS(ts).Valid() {
			p.seen[slackid.TS(ts)] = reply
		}
	}
	return p, true
}

func (p *position) cursor() sdk.Cursor {
	out := "1 " + string(p.floor) + " " + string(p.newest)
	for _, ts := range p.sorted() {
		out += " " + string(ts)
		if p.seen[ts] {
			out += "t"
		}
	}
	return sdk.Cursor(out)
}

func (p *position) sorted() []slackid.TS {
	out := make([]slackid.TS, 0, len(p.seen))
	for ts := range p.seen {
		out = append(out, ts)
	}
	slices.SortFunc(out, slackid.TS.Compare)
	return out
}

// has reports whether the host has a message for certain.
func (p *position) has(ts slackid.TS) bool {
	_, ok := p.seen[ts]
	return ok
}

// lacks reports whether a message that was read back is not with the host.
func (p *position) lacks(ts slackid.TS) bool { return ts.After(p.floor) && !p.has(ts) }

// add notes a message that the host has now.
func (p *position) add(ts slackid.TS, reply bool) {
	if !ts.Valid() {
		return
	}
	p.touch(ts)
	p.seen[ts] = reply
	for len(p.seen) > keepSeen {
		first := p.sorted()[0]
		delete(p.seen, first)
		if first.After(p.floor) {
			p.floor = first
		}
	}
}

// touch notes an event of any sort.
func (p *position) touch(ts slackid.TS) {
	if ts.Valid() && ts.After(p.newest) {
		p.newest = ts
	}
}

// raise gives up what is not after ts.
func (p *position) raise(ts slackid.TS) {
	if ts.After(p.floor) {
		p.floor = ts
	}
}

func (p *position) clone() position {
	q := *p
	q.seen = make(map[slackid.TS]bool, len(p.seen))
	for k, v := range p.seen {
		q.seen[k] = v
	}
	return q
}
