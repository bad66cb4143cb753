package muc

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// tableAffiliations holds what list changes did: owner room, key the number of the change in 16 digits of hex.
const tableAffiliations = "muc.affiliations"

// keptChanges is how many changes are kept: who has an older version gets everything.
const keptChanges = 500

// versionsFeature: the lists of a room have versions, so that a client that comes back gets what has changed (XEP-0463). Who may read which list is
// as for a request (XEP-0045 §9.5, §10.5): an observer is told of what she may read, and her version goes on when there is something for her.
func versionsFeature(d *dispatch) {
	d.tables = append(d.tables, tableAffiliations)
	d.loads = append(d.loads, (*actor).loadVersion)
	d.info = append(d.info, func(*actor, jid.JID, *form.Form) []string { return []string{ns.MUCAffiliations} })
}

// listVersions is what a room knows of the versions of its lists.
type listVersions struct {
	now  int64 // number of the newest committed change: the version that is told
	next int64 // number of the newest change that was begun
	// watch holds the sessions that have asked for versions, with the version that each has.
	watch map[jid.JID]int64
	// fresh are changes that are committed and of which observers are being told (observers.go).
	fresh []listChange
}

// note remembers which version a session has.
func (l *listVersions) note(full jid.JID, version int64) {
	if l.watch == nil {
		l.watch = map[jid.JID]int64{}
	}
	l.watch[full] = version
}

// listChange is one change of the lists.
type listChange struct {
	n   int64
	JID string           `json:"jid"`
	Was room.Affiliation `json:"was"`
	Is  room.Affiliation `json:"is"`
}

func changeKey(n int64) string { return fmt.Sprintf("%016x", n) }

// loadVersion reads the number of the newest change.
func (a *actor) loadVersion() error {
	rows, err := a.m.d.Store.Table(tableAffiliations).Range(a.ctx, a.jid.String(), "", "", 1, true)
	if err != nil {
		return fmt.Errorf("muc: load list version: %w", err)
	}
	if len(rows) == 0 {
		return nil
	}
	n, err := strconv.ParseInt(rows[0].Key, 16, 64)
	if err != nil {
		return fmt.Errorf("muc: load list version: %w", err)
	}
	a.extra.lists.now, a.extra.lists.next = n, n
	return nil
}

// logChanges adds the rows of the changes that are one.
func (a *actor) logChanges(u *journal.Unit, changes []room.AffiliationChange) {
	now := map[string]room.Affiliation{}
	var log []listChange
	for _, c := range changes {
		was, twice := now[c.Target]
		if e, ok := a.room.EntryOf(c.Target); !twice {
			if was = room.None; ok {
				was = e.Affiliation
			}
		}
		if now[c.Target] = c.Affiliation; was != c.Affiliation {
			log = append(log, listChange{JID: c.Target, Was: was, Is: c.Affiliation})
		}
	}
	a.logList(u, log)
}

// logList numbers changes, adds their rows, and sees to it that observers are told once they are committed and in force.
func (a *actor) logList(u *journal.Unit, log []listChange) {
	if len(log) == 0 {
		return
	}
	l := &a.extra.lists
	for i := range log {
		l.next++
		log[i].n = l.next
		b, err := json.Marshal(log[i])
		if err != nil { // plain values only: cannot happen
			panic(fmt.Sprintf("muc: encode list change: %v", err))
		}
		u.Add(storage.PutRow{Table: tableAffiliations, Owner: a.jid.String(), Key: changeKey(l.next), Value: b})
		if old := l.next - keptChanges; old > 0 {
			u.Add(storage.DeleteRow{Table: tableAffiliations, Owner: a.jid.String(), Key: changeKey(old)})
		}
	}
	r := a.room
	u.After(a.q, func(err error) {
		if err != nil || a.room != r {
			return
		}
		a.extra.lists.now = log[len(log)-1].n
		if len(a.extra.lists.watch) > 0 { // behind what makes the change the room's
			a.extra.lists.fresh = append(a.extra.lists.fresh, log...)
			a.accept(task{class: exclusive, run: func(a *actor, _ *inbound) { a.tellVersions(log) }})
		}
	})
}

// changesSince reads what has changed since a version; ok is false if that is not known any more.
func (a *actor) changesSince(v int64) (log []listChange, ok bool, err error) {
	l := &a.extra.lists
	if v < l.now-keptChanges || v > l.now {
		return nil, false, nil
	}
	rows, err := a.m.d.Store.Table(tableAffiliations).Range(a.ctx, a.jid.String(), changeKey(v+1), "", keptChanges+1, false)
	if err != nil {
		return nil, false, fmt.Errorf("muc: read list changes: %w", err)
	}
	for _, r := range rows {
		var c listChange
		if c.n, err = strconv.ParseInt(r.Key, 16, 64); err == nil {
			err = json.Unmarshal(r.Value, &c)
		}
		if err != nil {
			return nil, false, fmt.Errorf("muc: read list changes: %w", err)
		}
		log = append(log, c)
	}
	return log, true, nil
}

// sum makes one change of all that happened to each address, in the order in which they were first changed.
func sum(log []listChange) []listChange {
	var out []listChange
	for _, c := range log {
		i := slices.IndexFunc(out, func(o listChange) bool { return o.JID == c.JID })
		if i < 0 {
			out = append(out, c)
			continue
		}
		out[i].Is = c.Is
	}
	return slices.DeleteFunc(out, func(c listChange) bool { return c.Was == c.Is })
}
