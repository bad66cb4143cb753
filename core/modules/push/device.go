package push

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// recordVersion is that of a row.
const recordVersion = 1

// record is what is stored of a device.
type record struct {
	Version  int      `json:"v"`
	Service  string   `json:"service"`
	Node     string   `json:"node,omitempty"`
	Options  string   `json:"options,omitempty"` // the form, as XML
	Client   string   `json:"client,omitempty"`  // full JID that has enabled it last
	Identity identity `json:"identity"`          // of that client; zero: not known

	Enabled  time.Time `json:"enabled"`
	Unseen   int       `json:"unseen,omitempty"`  // messages since the client was there
	Waiting  bool      `json:"waiting,omitempty"` // the service is to be told of some
	Attempt  time.Time `json:"attempt,omitzero"`  // the last one
	Success  time.Time `json:"success,omitzero"`
	Result   string    `json:"result,omitempty"` // of the last attempt
	Sent     int       `json:"sent,omitempty"`
	Failures int       `json:"failures,omitempty"` // in a row
	Next     time.Time `json:"next,omitzero"`      // no attempt before
}

// keyOf is the key of a row.
func keyOf(service, node string) string { return service + "\n" + node }

func (r *record) key() string { return keyOf(r.Service, r.Node) }

// service is the address that was checked when the device was enabled.
func (r *record) service() jid.JID {
	j, _ := jid.Parse(r.Service)
	return j
}

// who is what the client is, or is taken for.
func (r *record) who() identity {
	if r.Identity == (identity{}) {
		return phone()
	}
	return r.Identity
}

// options returns the element that publications carry, nil if there is none.
func (r *record) options() (*xmlstream.Node, error) {
	if r.Options == "" {
		return nil, nil
	}
	f, err := xmlstream.ParseFragment([]byte(r.Options))
	if err != nil {
		return nil, err
	}
	return xmlstream.NewNode(ns.PubSub, "publish-options").Add(f.Nodes()...), nil
}

func readRecord(b []byte) (r record, err error) {
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("push: read device: %w", err)
	}
	if r.Version != recordVersion {
		return r, fmt.Errorf("push: read device: version %d", r.Version)
	}
	return r, nil
}

// device is a service and node of an account. It belongs to the module's queue.
type device struct {
	m       *Module
	a       *account
	account jid.JID
	rec     record

	flying   bool         // a request is under way
	gone     bool         // removed: answers and timers mean nothing any more
	timer    module.Timer // until the next attempt
	last     *told        // what the last message was; not stored
	tests    []func(result string, ok bool)
	awaiting []func(result string, ok bool) // tests that the request under way answers
}

// told is what a service may be told of a message.
type told struct{ sender, body string }

// account is the devices of one account. While something of it is being written it stays in memory: the store would tell what was.
type account struct {
	who     jid.JID
	devices map[string]*device
	writing int // units that are not committed
}

// maxLoaded is how many accounts are kept in memory; beyond it those of which nothing is under way go.
const maxLoaded = 10000

// devices returns those of an account, read from the store if need be.
func (m *Module) devices(who jid.JID) map[string]*device {
	a, err := m.load(who)
	if err != nil {
		m.d.Log.Error("devices cannot be read", "account", who.String(), "err", err)
		return nil
	}
	return a.devices
}

func (m *Module) load(who jid.JID) (*account, error) {
	if a := m.accounts[who]; a != nil {
		return a, nil
	}
	who = who.Clone()
	a := &account{who: who, devices: map[string]*device{}}
	rows, err := m.table.Range(context.Background(), who.String(), "", "", maxDevices+1, false)
	if err != nil {
		return nil, fmt.Errorf("push: read devices: %w", err)
	}
	for _, row := range rows {
		rec, err := readRecord(row.Value)
		if err != nil {
			return nil, err
		}
		a.devices[rec.key()] = &device{m: m, a: a, account: who, rec: rec}
	}
	if len(a.devices) == 0 {
		m.none.add(who)
		return a, nil
	}
	m.evict()
	m.accounts[who] = a
	return a, nil
}

// evict makes room: what is not under way is in the store.
func (m *Module) evict() {
	if len(m.accounts) < maxLoaded {
		return
	}
	for who, a := range m.accounts {
		if a.idle() {
			delete(m.accounts, who)
		}
	}
}

func (a *account) idle() bool {
	for _, d := range a.devices {
		if d.flying || d.rec.Waiting || len(d.tests) > 0 {
			return false
		}
	}
	return a.writing == 0
}

// oldest is the device that was enabled longest ago.
func (a *account) oldest() *device { return a.sorted()[0] }

// sorted lists the devices in the order in which they were enabled.
func (a *account) sorted() []*device {
	return slices.SortedFunc(maps.Values(a.devices), func(x, y *device) int {
		return cmp.Or(x.rec.Enabled.Compare(y.rec.Enabled), cmp.Compare(x.rec.key(), y.rec.key()))
	})
}

// save adds the row.
func (d *device) save(u *journal.Unit) error {
	d.rec.Version = recordVersion
	b, err := json.Marshal(&d.rec)
	if err != nil {
		return fmt.Errorf("push: write device: %w", err)
	}
	u.Add(storage.PutRow{Table: tableName, Owner: d.account.String(), Key: d.rec.key(), Value: b})
	return nil
}

// store writes the row. Nobody waits for it.
func (d *device) store() {
	u := journal.NewUnit(journal.AccountLane(d.account.String()))
	if err := d.save(u); err != nil {
		d.m.d.Log.Error("a device cannot be written", "account", d.account.String(), "err", err)
		return
	}
	d.m.commit(u, d.a, nil)
}

// commit submits a unit with rows of an account; done (may be nil) is told the outcome in the module's queue.
func (m *Module) commit(u *journal.Unit, a *account, done func(error)) {
	a.writing++
	m.accounts[a.who] = a
	u.After(m.q, func(err error) {
		a.writing--
		switch {
		case err != nil && !m.closed: // memory is ahead of the store
			m.d.Log.Error("devices could not be written", "account", a.who.String(), "err", err)
			m.forget(a)
		case len(a.devices) == 0 && a.writing == 0 && m.accounts[a.who] == a:
			delete(m.accounts, a.who)
		}
		if done != nil {
			done(err)
		}
	})
	m.d.Journal.Submit(u)
}

// forget has an account read again.
func (m *Module) forget(a *account) {
	for _, d := range a.devices {
		d.end("the server could not store it")
	}
	if m.accounts[a.who] == a {
		delete(m.accounts, a.who)
	}
}

// end makes a device mean nothing any more; its row is the caller's.
func (d *device) end(why string) {
	d.gone = true
	d.stopTimer()
	for _, fn := range append(d.tests, d.awaiting...) {
		fn(why, false)
	}
	d.tests, d.awaiting = nil, nil
}

// remove takes a device out of memory and adds the removal of its row.
func (d *device) remove(u *journal.Unit, why string) {
	d.end(why)
	delete(d.a.devices, d.rec.key())
	u.Add(storage.DeleteRow{Table: tableName, Owner: d.account.String(), Key: d.rec.key()})
	d.m.stats.removed.Add(1)
	d.m.d.Log.Info("a device is not woken any more", "account", d.account.String(), "service", d.rec.Service, "why", strings.TrimSuffix(why, "."))
}
