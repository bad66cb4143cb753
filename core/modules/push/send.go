package push

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// resultOK is the result of an attempt that the service has accepted.
const resultOK = "accepted"

// final are the errors after which a service is not asked again for this node (XEP-0357 §7.1): it is gone, or we may not. What is not here can pass.
var final = map[stanza.Condition]bool{
	stanza.ItemNotFound: true, stanza.Gone: true, stanza.Forbidden: true, stanza.NotAuthorized: true, stanza.NotAllowed: true,
	stanza.RegistrationRequired: true, stanza.SubscriptionRequired: true, stanza.BadRequest: true, stanza.NotAcceptable: true,
	stanza.Conflict: true, stanza.FeatureNotImplemented: true, stanza.JIDMalformed: true, stanza.Redirect: true,
}

// notify tells the device of one message more.
func (d *device) notify(t *told) {
	d.rec.Unseen++
	d.rec.Waiting, d.last = true, t
	d.kick()
}

// seen: the client is there; nobody has to be woken.
func (d *device) seen() {
	d.stopTimer()
	if d.rec.Unseen == 0 && !d.rec.Waiting {
		return
	}
	d.rec.Unseen, d.rec.Waiting, d.last = 0, false, nil
	d.store()
}

// awake tells whether the device's client is connected and looks.
func (d *device) awake() bool {
	full, err := jid.Parse(d.rec.Client)
	if err != nil {
		return false
	}
	s, ok := d.m.d.Sessions.Get(context.Background(), full)
	return ok && !s.Detached && !s.Has(event.FlagInactive)
}

// kick asks the service, if there is something to tell it and it is time. A test does not wait.
func (d *device) kick() {
	if d.gone || d.flying || d.m.closed || !d.rec.Waiting && len(d.tests) == 0 {
		return
	}
	if len(d.tests) == 0 {
		if d.awake() {
			d.seen()
			return
		}
		next := d.rec.Next
		if gap := d.rec.Attempt.Add(d.m.o.Gap); d.m.o.Gap > 0 && !d.rec.Attempt.IsZero() && gap.After(next) {
			next = gap
		}
		if wait := next.Sub(d.m.d.Clock.Now()); wait > 0 {
			d.sleep(wait)
			return
		}
	}
	d.publish()
}

// sleep looks again later.
func (d *device) sleep(wait time.Duration) {
	d.stopTimer()
	var t module.Timer
	t = d.m.d.Clock.AfterFunc(wait, func() {
		d.m.q.Post(func() {
			if d.timer == t { // it is the one that is waited for
				d.timer = nil
				d.kick()
			}
		})
	})
	d.timer = t
}

func (d *device) stopTimer() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

// publish sends one request (XEP-0357 §7).
func (d *device) publish() {
	d.stopTimer()
	iq, err := d.request()
	if err != nil {
		d.m.d.Log.Error("a notification cannot be made", "account", d.account.String(), "err", err)
		return
	}
	d.flying, d.rec.Waiting = true, false
	d.rec.Attempt = d.m.d.Clock.Now().UTC()
	d.awaiting, d.tests = d.tests, nil
	d.m.d.Router.Request(context.Background(), iq, d.m.o.Timeout, d.m.q, d.answered)
}

// request makes the publication. It comes from the server, not from the account (XEP-0357 §7).
func (d *device) request() (*stanza.Stanza, error) {
	summary := form.New(form.TypeSubmit, ns.PushSummary).Text("message-count", strconv.Itoa(d.rec.Unseen))
	if d.last != nil && d.m.o.Sender && d.last.sender != "" {
		summary.Text("last-message-sender", d.last.sender)
	}
	if d.last != nil && d.m.o.Body && d.last.body != "" {
		summary.Text("last-message-body", d.last.body)
	}
	publish := xmlstream.NewNode(ns.PubSub, "publish")
	if d.rec.Node != "" {
		publish.SetAttr("node", d.rec.Node)
	}
	publish.AddNew("item").Add(xmlstream.NewNode(ns.Push, "notification").Add(summary.Node()))
	pubsub := xmlstream.NewNode(ns.PubSub, "pubsub").Add(publish)
	options, err := d.rec.options()
	if err != nil {
		return nil, err
	}
	if options != nil {
		pubsub.Add(options)
	}
	return stanza.NewIQ(stanza.TypeSet, "", pubsub).With(d.account.DomainJID(), d.rec.service()), nil
}

// answered takes what the service has said, or that it has said nothing in time.
func (d *device) answered(st *stanza.Stanza) {
	d.flying = false
	if d.gone || d.m.closed {
		return
	}
	var failed *stanza.Error
	if st.Type != stanza.TypeResult {
		if failed = st.ErrorFrom(); failed == nil {
			failed = stanza.NewError(stanza.UndefinedCondition, "")
		}
	}
	tests := d.awaiting
	d.awaiting = nil
	if failed == nil {
		d.m.stats.sent.Add(1)
		d.rec.Success, d.rec.Result, d.rec.Failures, d.rec.Next = d.m.d.Clock.Now().UTC(), resultOK, 0, time.Time{}
		d.rec.Sent++
		d.store()
	} else {
		d.failed(failed)
	}
	for _, fn := range tests {
		fn(d.rec.Result, failed == nil)
	}
	d.kick()
}

// failed counts an error, and removes the device if it is the last one.
func (d *device) failed(e *stanza.Error) {
	d.m.stats.failed.Add(1)
	d.rec.Result = describe(e)
	d.rec.Failures++
	if final[e.Condition] || d.rec.Failures >= d.m.o.Failures {
		u := journal.NewUnit(journal.AccountLane(d.account.String()))
		d.remove(u, d.rec.Result)
		d.m.commit(u, d.a, nil)
		return
	}
	d.rec.Waiting = d.rec.Waiting || d.rec.Unseen > 0
	d.rec.Next = d.m.d.Clock.Now().UTC().Add(backoff(d.m.o.Backoff, d.rec.Failures))
	d.store()
}

// maxResult bounds what is kept of a service's words.
const maxResult = 200

func describe(e *stanza.Error) string {
	s := string(e.Condition)
	if e.Text != "" {
		s += ": " + e.Text
	}
	s = strings.Join(strings.Fields(s), " ") // one line
	if r := []rune(s); len(r) > maxResult {
		s = string(r[:maxResult]) + "…"
	}
	return s
}

// backoff doubles with each failure in a row.
func backoff(first time.Duration, failures int) time.Duration {
	d := first
	for range failures - 1 {
		if d *= 2; d >= maxBackoff {
			return maxBackoff
		}
	}
	return d
}

// goOnPage is how many accounts are looked at, after a start, before others get their turn.
const goOnPage = 100

// goOn takes up what was waiting when the server stopped.
func (m *Module) goOn(after string) {
	if m.closed {
		return
	}
	owners, err := m.table.Owners(context.Background(), storage.Page{After: after, Limit: goOnPage})
	if err != nil {
		m.d.Log.Error("devices cannot be read", "err", err)
		return
	}
	for _, owner := range owners {
		if who, err := jid.Parse(owner); err == nil {
			m.resume(who)
		}
	}
	if len(owners) > 0 {
		m.q.Post(func() { m.goOn(owners[len(owners)-1]) })
	}
}

func (m *Module) resume(who jid.JID) {
	known := m.accounts[who] != nil
	a, err := m.load(who)
	if err != nil {
		m.d.Log.Error("devices cannot be read", "account", who.String(), "err", err)
		return
	}
	for _, d := range a.devices {
		d.kick()
	}
	if !known && a.idle() {
		delete(m.accounts, who)
	}
}

// stop ends everything. What was under way counts as waiting: whether it has arrived will not be known.
func (m *Module) stop(done func()) {
	m.closed = true
	left := 1
	end := func(error) {
		if left--; left == 0 {
			done()
		}
	}
	for _, a := range m.accounts {
		for _, d := range a.devices {
			d.stopTimer()
			for _, fn := range append(d.tests, d.awaiting...) {
				fn("the server is stopping", false)
			}
			if d.flying {
				d.rec.Waiting = true
			}
			u := journal.NewUnit(journal.AccountLane(d.account.String()))
			if !d.rec.Waiting || d.save(u) != nil {
				continue
			}
			left++
			u.After(m.q, end)
			m.d.Journal.Submit(u)
		}
	}
	end(nil)
}
