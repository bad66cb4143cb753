package admin

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
)

// pager is a PushKeeper with two accounts.
type pager struct{ devices []PushDevice }

func (p *pager) Accounts(_ context.Context, after string, _ int) ([]string, error) {
	if after == "" {
		return []string{"alice@example.org", "bob@example.org"}, nil
	}
	return nil, nil
}

func (p *pager) pick(who jid.JID, service string, node *string) (out []PushDevice) {
	for _, d := range p.devices {
		if d.Account == who.String() && (service == "" || d.Service == service) && (node == nil || d.Node == *node) {
			out = append(out, d)
		}
	}
	return out
}

func (p *pager) Devices(_ context.Context, who jid.JID) ([]PushDevice, error) {
	return p.pick(who, "", nil), nil
}

func (p *pager) Test(_ context.Context, who jid.JID, service string, node *string, fn func(PushDevice, string, bool)) error {
	for _, d := range p.pick(who, service, node) {
		fn(d, d.Result, d.Failures == 0)
	}
	return nil
}

func (p *pager) Remove(_ context.Context, who jid.JID, service string, node *string) (int, error) {
	n := len(p.pick(who, service, node))
	p.devices = nil
	return n, nil
}

func TestPushes(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	p := &pager{devices: []PushDevice{
		{Account: "alice@example.org", Service: "push.example", Node: "one", Client: "alice@example.org/phone", Identity: "client/phone", Enabled: at, Attempt: &at, Success: &at, Result: "accepted", Sent: 7, State: "idle"},
		{Account: "alice@example.org", Service: "push.example", Node: "two", Identity: "client/phone", Enabled: at, Attempt: &at, Result: "resource-constraint", Failures: 2, Unseen: 3, State: "waiting", Next: &at},
		{Account: "bob@example.org", Service: "other.example", Identity: "client/pc", Enabled: at, State: "idle"},
	}}
	reg := &Registry{}
	if err := reg.Add((&Pushes{Keeper: p}).Commands()...); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		args  []string
		yes   bool
		want  string // in the text, or in the error
		fails bool   // with an error
		bad   bool   // the result says that something is wrong
	}{
		{"push list", nil, false, "other.example", false, false},
		{"push list", []string{"bob@example.org"}, false, "never", false, false},
		{"push list", []string{"bob@example.org/x"}, false, "no address of an account", true, false},
		{"push show", []string{"alice@example.org"}, false, "2027-01-15T08:00:00Z: accepted", false, false},
		{"push show", []string{"alice@example.org", "push.example", "two"}, false, "waiting, no attempt before 2027-01-15T08:00:00Z; 3 messages", false, false},
		{"push show", []string{"alice@example.org", "other.example"}, false, "has no such device", true, false},
		{"push show", []string{"alice@example.org", "@"}, false, "no address of a service", true, false},
		{"push test", []string{"alice@example.org", "push.example", "one"}, false, "accepted", false, false},
		{"push test", []string{"alice@example.org"}, false, "resource-constraint", false, true},
		{"push test", []string{"carol@example.org"}, false, "no device of carol@example.org is woken", true, false},
		{"push remove", []string{"alice@example.org"}, false, "say --yes", true, false},
		{"push remove", []string{"alice@example.org"}, true, "2 devices were removed", false, false},
		{"push remove", []string{"alice@example.org"}, true, "no device of alice@example.org is woken", true, false},
		{"push list", nil, false, "No device is woken.", false, false},
	} {
		flags := map[string]string{}
		if c.yes {
			flags["yes"] = "true"
		}
		res, err := reg.Execute(t.Context(), c.name, &Request{Args: c.args, Flags: flags})
		var text strings.Builder
		if err != nil {
			text.WriteString(err.Error())
		} else if err := res.WriteText(&text); err != nil {
			t.Fatal(err)
		}
		if (err != nil) != c.fails || res.Failed != c.bad || !strings.Contains(text.String(), c.want) {
			t.Errorf("%s %v: failed %v: %s", c.name, c.args, res.Failed, text.String())
		}
	}
	for _, c := range (&Pushes{}).Commands() {
		if _, err := c.Run(t.Context(), &Request{Args: []string{"a@b"}}); err == nil || !strings.Contains(err.Error(), "push.on is false") {
			t.Errorf("%s without push: %v", c.Name, err)
		}
	}
}
