package push_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules/push"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

const service = "push.example"

// keeper is the module of a server, as an administrator reaches it, and who plays somebody's session that has said that it is inactive.
type keeper struct {
	push interface {
		List(ctx context.Context, who jid.JID) ([]push.Device, error)
		Accounts(ctx context.Context, after string, limit int) ([]string, error)
		Test(ctx context.Context, who jid.JID, service string, node *string, fn func(d push.Device, result string, ok bool)) error
		Remove(ctx context.Context, who jid.JID, service string, node *string) (int, error)
	}
}

func (*keeper) Info() module.Info { return module.Info{Name: "keeper"} }

// Register implements module.Module. A chat state of a client stands for what XEP-0352 says.
func (k *keeper) Register(r *module.Registrar) error {
	r.Need(&k.push)
	r.Deps.Events.C2S.Inbound.On(event.Guard, "keeper", func(_ context.Context, in *event.Inbound) error {
		for local, inactive := range map[string]bool{"inactive": true, "active": false} {
			if in.Stanza.Payload.Has(ns.ChatStates, local) {
				in.Session.SetFlag(event.FlagInactive, inactive)
			}
		}
		return nil
	})
	return nil
}

// start starts a server with a push service of another server; what the service says is answer's.
func start(t *testing.T, o xmpptest.Options, answer func(st *stanza.Stanza) []*stanza.Stanza) (*xmpptest.Server, *xmpptest.Remote, *keeper) {
	t.Helper()
	far, k := xmpptest.NewRemote(service), &keeper{}
	far.Answer = answer
	o.Remote, o.Extra = far, func() []module.Module { return []module.Module{k} }
	o.Modules.Push.Gap = -1
	return xmpptest.Start(t, o), far, k
}

func enable(c *xmpptest.Client, node string) {
	c.Write("<iq type='set' id='" + node + "'><enable xmlns='urn:xmpp:push:0' jid='" + service + "' node='" + node + "'/></iq>")
	c.Expect("<iq type='result' id='" + node + "'/>")
	c.Expect("<iq type='get' id='{*}' from='alice@example.org'>...</iq>")
}

// count is the number of messages that a notification tells of.
func count(t *testing.T, st *stanza.Stanza) string {
	t.Helper()
	text := st.String()
	_, rest, ok := strings.Cut(text, "<field var='message-count' type='text-single'><value>")
	n, _, _ := strings.Cut(rest, "<")
	if !ok || st.From.String() != "example.org" {
		t.Fatalf("no notification: %s", text)
	}
	return n
}

// XEP-0352: a client that has said that nobody looks is connected, and its device is woken; one that looks again is not.
func TestInactiveClient(t *testing.T) {
	s, far, _ := start(t, xmpptest.Options{}, nil)
	alice, bob := s.Login(t, "alice@example.org/phone"), s.Login(t, "bob@example.org/b")
	alice.Online()
	enable(alice, "n")
	for i, c := range []struct{ state, want string }{{"active", ""}, {"inactive", "1"}, {"active", ""}, {"inactive", "1"}} {
		alice.Write("<message to='alice@example.org/phone'><" + c.state + " xmlns='http://jabber.org/protocol/chatstates'/></message>")
		alice.Expect("<message from='alice@example.org/phone'>...</message>")
		bob.Write(fmt.Sprintf("<message to='alice@example.org' type='chat' id='m%d'><body>hi</body></message>", i))
		alice.Expect(fmt.Sprintf("<message from='bob@example.org/b' type='chat' id='m%d'>...</message>", i))
		s.Settle(t)
		if c.want == "" {
			if left := far.Pending(); len(left) > 0 {
				t.Fatalf("%d: told of %s", i, left[0])
			}
			continue
		}
		st := far.Next(t)
		if got := count(t, st); got != c.want {
			t.Errorf("%d: %s messages", i, got)
		}
		far.Send(t, "<iq type='result' from='"+service+"' to='example.org' id='"+st.ID+"'/>")
		s.Settle(t)
	}
}

// An administrator sees what a service has said, asks it now, and takes the device off; everything outlives a restart.
func TestAdministration(t *testing.T) {
	refuse := false
	s, _, k := start(t, xmpptest.Options{}, func(st *stanza.Stanza) []*stanza.Stanza {
		if refuse {
			return []*stanza.Stanza{st.ErrorReply(stanza.NewError(stanza.ResourceConstraint, "Not now."))}
		}
		return []*stanza.Stanza{st.Result()}
	})
	who, ctx := jid.MustParse("alice@example.org"), t.Context()
	alice := s.Login(t, "alice@example.org/phone")
	enable(alice, "one")
	enable(alice, "two")
	alice.Close()
	var results []string
	try := func(node *string) {
		t.Helper()
		results = nil
		if err := k.push.Test(ctx, who, "", node, func(d push.Device, result string, ok bool) {
			results = append(results, fmt.Sprintf("%s %s %v", d.Node, result, ok))
		}); err != nil {
			t.Fatal(err)
		}
	}
	one := "one"
	try(&one)
	if got := strings.Join(results, ", "); got != "one accepted true" {
		t.Errorf("a test of one: %s", got)
	}
	refuse = true
	try(nil)
	if len(results) != 2 || results[0] != "one resource-constraint: Not now. false" && results[1] != "one resource-constraint: Not now. false" {
		t.Errorf("a test of all: %v", results)
	}
	s.Restart(t)
	list, err := k.push.List(ctx, who)
	if err != nil || len(list) != 2 {
		t.Fatalf("%v %v", list, err)
	}
	d := list[0]
	if d.Node != "one" || d.Sent != 1 || d.Failures != 1 || d.Result != "resource-constraint: Not now." || d.Success.IsZero() || !d.Next.After(d.Attempt) ||
		d.Client != "alice@example.org/phone" || d.Identity != "client/phone" {
		t.Errorf("after a restart: %+v", d)
	}
	if owners, err := k.push.Accounts(ctx, "", 10); err != nil || len(owners) != 1 || owners[0] != who.String() {
		t.Errorf("accounts: %v %v", owners, err)
	}
	two := "two"
	if n, err := k.push.Remove(ctx, who, service, &two); err != nil || n != 1 {
		t.Errorf("removed %d: %v", n, err)
	}
	if n, err := k.push.Remove(ctx, who, "", nil); err != nil || n != 1 {
		t.Errorf("removed %d: %v", n, err)
	}
	if owners, err := k.push.Accounts(ctx, "", 10); err != nil || len(owners) != 0 {
		t.Errorf("accounts at the end: %v %v", owners, err)
	}
}

// What is under way when the server stops is asked for again after the start, and what an account had goes with it.
func TestStopAndDeletion(t *testing.T) {
	s, far, k := start(t, xmpptest.Options{}, nil)
	alice, bob := s.Login(t, "alice@example.org/phone"), s.Login(t, "bob@example.org/b")
	enable(alice, "n")
	alice.Close()
	bob.Write("<message to='alice@example.org' type='chat'><body>hi</body></message>")
	if got := count(t, far.Next(t)); got != "1" {
		t.Errorf("%s messages", got)
	}
	bob.Close()
	s.Restart(t)
	if got := count(t, far.Next(t)); got != "1" {
		t.Errorf("after the restart %s messages", got)
	}
	if err := s.Accounts().Delete(t.Context(), jid.MustParse("alice@example.org")); err != nil {
		t.Fatal(err)
	}
	list, err := k.push.List(t.Context(), jid.MustParse("alice@example.org"))
	if err != nil || len(list) != 0 {
		t.Errorf("of a deleted account: %v %v", list, err)
	}
}

// A service that answers nothing, or in the wrong way, however often it is asked: there is one request under way for each node, and the account's messages
// are not held up.
func TestHostileService(t *testing.T) {
	clock := xmpptest.NewClock()
	s, far, k := start(t, xmpptest.Options{Clock: clock}, nil)
	alice, bob := s.Login(t, "alice@example.org/phone"), s.Login(t, "bob@example.org/b")
	enable(alice, "n")
	alice.Close()
	for i := range 300 {
		bob.Write(fmt.Sprintf("<message to='alice@example.org' type='chat' id='m%d'><body>hi</body></message>", i))
	}
	bob.Write("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
	bob.Expect("<iq type='result' id='p'/>")
	s.Settle(t)
	first := far.Next(t)
	if left := far.Pending(); len(left) > 0 {
		t.Fatalf("%d requests besides", len(left))
	}
	far.Send(t, "<iq type='result' from='"+service+"' to='bob@example.org/b' id='"+first.ID+"'/>") // to somebody else
	far.Send(t, "<iq type='result' from='"+service+"/x' to='example.org' id='"+first.ID+"'/>")     // from another
	for range 3 {
		s.Settle(t)
		clock.Pass(time.Hour)
	}
	s.Settle(t)
	list, err := k.push.List(t.Context(), jid.MustParse("alice@example.org"))
	if err != nil || len(list) != 1 || list[0].Failures == 0 || list[0].Unseen != 300 || !strings.HasPrefix(list[0].Result, "remote-server-timeout") {
		t.Errorf("%+v %v", list, err)
	}
}
