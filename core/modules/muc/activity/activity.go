// Package activity counts how many messages an hour are said in a public room, and tells everybody who asks what the room is (XEP-0502).
//
// It is a feature of the rooms of core/modules/muc (see package plug). What it is not: statistics of the server; those are metrics.
//
// Goroutines: none; see package plug.
//
//	features := []func() plug.Hooks{activity.Feature}
package activity

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/plug"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// Table holds how much was said in public rooms: owner room, key "hours".
const Table = "muc.activity"

const keyHours = "hours"

// Feature is the feature.
func Feature() plug.Hooks { return plug.Hooks{Said: count, Info: tell, Tables: []string{Table}} }

type registerKey struct{}

// hoursKept are the hour that runs and the 24 before it (XEP-0502 §5).
const hoursKept = 25

// saveEvery is after how many messages the register is stored: what a crash may cost.
const saveEvery = 16

// register counts messages by hour. Hour 0 is the one that runs.
type register struct {
	Hour   int64          `json:"hour"`  // hours since 1970 of the running hour
	Since  int64          `json:"since"` // hour in which counting began
	Counts [hoursKept]int `json:"counts"`

	loaded  bool
	unsaved int
}

// shift moves the register to the hour now.
func (r *register) shift(now int64) (moved bool) {
	by := now - r.Hour
	if by <= 0 { // the clock was set back: the running hour goes on
		return false
	}
	if by >= hoursKept {
		r.Counts = [hoursKept]int{}
	} else {
		copy(r.Counts[by:], r.Counts[:hoursKept-by])
		clear(r.Counts[:by])
	}
	r.Hour = now
	return true
}

// rate is the number of messages per hour over the full hours that were counted; ok is false while there is none.
func (r *register) rate() (perHour float64, ok bool) {
	full := min(r.Hour-r.Since, hoursKept-1)
	if full < 1 {
		return 0, false
	}
	sum := 0
	for _, n := range r.Counts[1:] {
		sum += n
	}
	return float64(sum) / float64(full), true
}

// shown: XEP-0502 §3.1, §8: only where everybody can look and enter.
func shown(r plug.Room) bool {
	c := r.State().Config
	return c.Public && c.Persistent && !c.MembersOnly && c.Password == ""
}

// activity returns the register of this hour.
func activity(at plug.Room) (r *register, moved bool, err error) {
	r = at.Memory(registerKey{}, func() any { return &register{} }).(*register) //nolint:forcetypeassert // made here
	now := at.Now().Unix() / 3600
	if !r.loaded {
		b, err := at.Table(Table).Get(at.Context(), at.JID().String(), keyHours)
		switch {
		case errors.Is(err, storage.ErrNotFound):
			r.Hour, r.Since = now, now
		case err != nil:
			return nil, false, fmt.Errorf("muc: read activity: %w", err)
		default:
			if err := json.Unmarshal(b, r); err != nil {
				return nil, false, fmt.Errorf("muc: read activity: %w", err)
			}
		}
		r.loaded = true
	}
	return r, r.shift(now), nil
}

// count: XEP-0502 §4: what is said now and has a body counts, a correction does not.
func count(at plug.Room, m *event.RoomMessage) {
	if !m.Live || !shown(at) || !m.Stanza.Payload.Has(ns.Client, "body") || m.Stanza.Payload.Has(ns.Correct, "replace") {
		return
	}
	r, moved, err := activity(at)
	if err != nil {
		at.Log().Error("the activity of a room could not be read", "room", at.JID().String(), "err", err)
		return
	}
	r.Counts[0]++
	if r.unsaved++; !moved && r.unsaved < saveEvery {
		return
	}
	r.unsaved = 0
	b, err := json.Marshal(r)
	if err != nil { // plain values only: cannot happen
		panic(fmt.Sprintf("muc: encode activity: %v", err))
	}
	u := at.Unit()
	u.Add(storage.PutRow{Table: Table, Owner: at.JID().String(), Key: keyHours, Value: b})
	at.Submit(u)
}

// tell: §3.1.
func tell(at plug.Room, f *form.Form) []string {
	if f == nil || !shown(at) {
		return nil
	}
	r, _, err := activity(at)
	if err != nil {
		at.Log().Error("the activity of a room could not be read", "room", at.JID().String(), "err", err)
		return nil
	}
	if rate, ok := r.rate(); ok {
		f.Add(form.Field{Var: "{" + ns.MUCActivity + "}message-activity", Label: "Messages per hour",
			Values: []string{strconv.FormatFloat(rate, 'f', 2, 64)}})
	}
	return nil
}
