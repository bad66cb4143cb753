package push

import (
	"context"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Bounds of what a client can have kept.
const (
	maxNode    = 1024
	maxOptions = 4096
)

// service reads the attributes that both requests have; jid is required (XEP-0357 §5, §6).
func service(q xmlstream.Child) (who jid.JID, node string, given bool, err error) {
	who, err = jid.Parse(q.Attr("jid"))
	if err != nil {
		return who, "", false, stanza.NewError(stanza.BadRequest, "The address of the push service is missing or is none.")
	}
	node, given = q.AttrOK("node")
	if len(node) > maxNode || strings.ContainsAny(node, "\n\r\t") {
		return who, "", false, stanza.NewError(stanza.BadRequest, "The node has a name that no service gives.")
	}
	return who, node, given, nil
}

// publishOptions reads the form that goes with every publication (XEP-0357 §5), "" if there is none.
func publishOptions(n *xmlstream.Node) (string, error) {
	x := form.Find(n)
	if x == nil {
		return "", nil
	}
	f, err := form.Parse(x)
	if err != nil || f.Type != form.TypeSubmit || f.FormType() != ns.PubSubPublishOptions {
		return "", stanza.NewError(stanza.BadRequest, "The form is not one of publish-options.")
	}
	text := xmlstream.NewFragment(x).String()
	if len(text) > maxOptions {
		return "", stanza.NewError(stanza.PolicyViolation, "The publish-options are too long.")
	}
	return text, nil
}

// enable: XEP-0357 §5.
func (m *Module) enable(_ context.Context, req *module.Request) (*xmlstream.Node, error) {
	who, node, _, err := service(req.Query)
	if err != nil {
		return nil, err
	}
	options, err := publishOptions(req.Query.Node())
	if err != nil {
		return nil, err
	}
	rec := record{Service: who.String(), Node: strings.Clone(node), Options: options, Enabled: m.d.Clock.Now().UTC()}
	if req.IQ.From.IsFull() {
		rec.Client = req.IQ.From.String()
	}
	req.Defer()
	m.q.Post(func() { m.enabled(req, rec) })
	return nil, nil
}

// enabled decides on a request in its order.
func (m *Module) enabled(req *module.Request, rec record) {
	a, err := m.load(req.Target().Bare())
	if err != nil {
		m.answer(req, nil, err, nil)
		return
	}
	d := a.devices[rec.key()]
	if d == nil {
		for len(a.devices) >= m.o.Devices {
			a.oldest().remove(req.Unit, "there are newer devices")
		}
		d = &device{m: m, a: a, account: a.who, rec: rec}
	} else { // §5: the last request counts
		if d.rec.Client == rec.Client {
			rec.Identity = d.rec.Identity
		}
		rec.Attempt, rec.Success, rec.Result, rec.Sent = d.rec.Attempt, d.rec.Success, d.rec.Result, d.rec.Sent
		d.rec = rec
		d.stopTimer()
	}
	if err := d.save(req.Unit); err != nil {
		m.answer(req, nil, err, nil)
		return
	}
	a.devices[rec.key()] = d
	m.none.remove(a.who)
	m.answer(req, a, nil, func() {
		if rec.Client != "" && rec.Identity == (identity{}) {
			m.askIdentity(d, req.IQ.From)
		}
	})
}

// disable: XEP-0357 §6; without a node all of the service. What is not enabled is disabled already.
func (m *Module) disable(_ context.Context, req *module.Request) (*xmlstream.Node, error) {
	who, node, given, err := service(req.Query)
	if err != nil {
		return nil, err
	}
	node = strings.Clone(node)
	req.Defer()
	m.q.Post(func() {
		a, err := m.load(req.Target().Bare())
		if err == nil {
			a.removeMatching(req.Unit, who.String(), node, given, "disabled by the client")
		}
		m.answer(req, a, err, nil)
	})
	return nil, nil
}

// removeMatching removes the devices of a service ("": of all), or the one with a node, and tells how many.
func (a *account) removeMatching(u *journal.Unit, service, node string, given bool, why string) int {
	n := 0
	for _, d := range a.sorted() {
		if (service == "" || d.rec.Service == service) && (!given || d.rec.Node == node) {
			d.remove(u, why)
			n++
		}
	}
	return n
}

// answer submits the unit of a request with rows of an account and answers it after the commit; then (may be nil) follows a result. A request that is
// refused has no rows.
func (m *Module) answer(req *module.Request, a *account, err error, then func()) {
	if err != nil {
		req.Unit.After(m.q, func(error) { m.d.Router.Send(context.Background(), req.IQ.ErrorReply(stanza.AsError(err))) })
		m.d.Journal.Submit(req.Unit)
		return
	}
	m.commit(req.Unit, a, func(err error) {
		if err != nil {
			m.d.Router.Send(context.Background(), req.IQ.ErrorReply(stanza.AsError(err)))
			return
		}
		m.d.Router.Send(context.Background(), req.IQ.Result())
		if then != nil {
			then()
		}
	})
}

// askTimeout is how long a client has to say what it is.
const askTimeout = time.Minute

// askIdentity asks the client of a device what it is, in the account's name: settings can be for phones or PCs only (XEP-0492 §2.2).
func (m *Module) askIdentity(d *device, client jid.JID) {
	iq := stanza.NewIQ(stanza.TypeGet, "", xmlstream.NewNode(ns.DiscoInfo, "query"))
	full := client.Clone()
	m.d.Router.Request(context.Background(), iq.With(d.account, full), askTimeout, m.q, func(answer *stanza.Stanza) {
		q, ok := answer.Query()
		if d.gone || m.closed || answer.Type != stanza.TypeResult || !ok || d.rec.Client != full.String() {
			return
		}
		if id := q.Node().Child(ns.DiscoInfo, "identity"); id != nil && len(id.Attr("category"))+len(id.Attr("type")) < 256 {
			d.rec.Identity = identity{strings.Clone(id.Attr("category")), strings.Clone(id.Attr("type"))}
			d.store()
		}
	})
}

// announced: XEP-0357 §8: the service says that it takes no more from us. What it sends goes on to the person's clients as any message.
func (m *Module) announced(_ context.Context, am *event.AccountMessage) error {
	c, ok := am.Stanza.Child(ns.PubSub, "pubsub")
	if !ok || m.none.has(am.Account) {
		return nil
	}
	af := c.Node().Child(ns.PubSub, "affiliation")
	if af == nil || af.Attr("affiliation") != "none" {
		return nil
	}
	if who, err := jid.Parse(af.Attr("jid")); err != nil || who != am.Account && who != am.Account.DomainJID() {
		return nil
	}
	service, account, node := strings.Clone(am.Stanza.From.String()), am.Account.Clone(), strings.Clone(c.Attr("node"))
	m.q.Post(func() {
		a, err := m.load(account)
		if err != nil {
			m.d.Log.Error("devices cannot be read", "account", account.String(), "err", err)
			return
		}
		u := journal.NewUnit(journal.AccountLane(account.String()))
		if a.removeMatching(u, service, node, true, "the service takes no more") > 0 {
			m.commit(u, a, nil)
		}
	})
	return nil
}
