package sdk

import "time"

// Signal is something of the moment, in either direction: worth nothing when it
// is late, never stored, never acknowledged, coalesced by its key. The set is
// closed: *Typing, *Presence, *ReadState.
type Signal interface {
	// Coalesce is the key under which a later signal replaces an earlier one.
	Coalesce() SignalKey
	isSignal()
}

// SignalKey is what a signal is about.
type SignalKey struct {
	Sort   string // "typing", "presence", "read"
	Portal PortalKey
	Who    Party
}

// Typing says that somebody writes, or stopped.
type Typing struct {
	Portal  PortalKey
	Who     Party
	Sender  *Sender // towards the network: name and face
	Active  bool
	Expires time.Duration // how long to believe it; 0: 30 s
}

// Show is how available somebody is.
type Show int32

const (
	ShowUnknown   Show = 0
	ShowOnline    Show = 1
	ShowAway      Show = 2
	ShowLongAway  Show = 3
	ShowBusy      Show = 4
	ShowOffline   Show = 5
	ShowInvisible Show = 6
)

// Presence says how available somebody is.
type Presence struct {
	Who    Party
	Sender *Sender
	Show   Show
	Status string // free text, emoji spelled out
	Since  time.Time
	Until  time.Time // when the status lapses; zero if it does not
}

// ReadState says up to which message somebody has read.
type ReadState struct {
	Portal PortalKey
	Who    Party
	Sender *Sender
	UpTo   MessageRef
	Time   time.Time
	Login  LoginID // through which login, in either direction
}

// Coalesce implements Signal.
func (t *Typing) Coalesce() SignalKey { return SignalKey{"typing", t.Portal, t.Who} }

// Coalesce implements Signal.
func (p *Presence) Coalesce() SignalKey { return SignalKey{Sort: "presence", Who: p.Who} }

// Coalesce implements Signal.
func (r *ReadState) Coalesce() SignalKey { return SignalKey{"read", r.Portal, r.Who} }

func (*Typing) isSignal()    {}
func (*Presence) isSignal()  {}
func (*ReadState) isSignal() {}
