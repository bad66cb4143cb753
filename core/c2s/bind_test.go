package c2s

import (
	"context"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

func TestBind(t *testing.T) {
	r := newRig(t, rigOptions{})
	t.Run("own resource", func(t *testing.T) {
		p := as(t, r).dial("c2s")
		p.secure()
		p.auth("alice", password)
		if full := p.bind("balcony"); full != "alice@example.org/balcony" {
			t.Errorf("bound %s", full)
		}
	})
	t.Run("made by the server", func(t *testing.T) {
		p := as(t, r).dial("c2s")
		p.secure()
		p.auth("alice", password)
		if full := p.bind(""); !strings.HasPrefix(full, "alice@example.org/") || len(full) < 25 {
			t.Errorf("bound %s", full)
		}
	})
	t.Run("not valid", func(t *testing.T) {
		p := as(t, r).dial("c2s")
		p.secure()
		p.auth("alice", password)
		p.send("<iq type='set' id='b'><bind xmlns='" + ns.Bind + "'><resource>" + strings.Repeat("x", 1100) + "</resource></bind></iq>")
		p.expect("<iq", "type='error'", "bad-request")
		p.bind("again")
	})
	t.Run("session and a second bind", func(t *testing.T) {
		p := as(t, r).login("alice", "s")
		p.send("<iq type='set' id='s'><session xmlns='" + ns.Session + "'/></iq>")
		p.expect("<iq", "id='s'", "type='result'")
		p.send("<iq type='set' id='b'><bind xmlns='" + ns.Bind + "'/></iq>")
		p.expect("<iq", "id='b'", "type='error'", "not-allowed")
	})
}

// TestTakenResource: the newcomer gets it, the old session is over before (RFC 6120 §7.7.2.2).
func TestTakenResource(t *testing.T) {
	closed := make(chan string, 1)
	r := newRig(t, rigOptions{events: func(c *event.Catalogue) {
		c.C2S.Closed.On(event.After, "test", func(_ context.Context, s *event.SessionClosed) error {
			select {
			case closed <- s.Info.JID.String() + " " + s.Reason:
			default:
			}
			return nil
		})
	}})
	old := r.login("alice", "phone")
	young := r.login("alice", "phone")
	select {
	case got := <-closed:
		if got != "alice@example.org/phone replaced" {
			t.Errorf("closed: %s", got)
		}
	default:
		t.Error("the old session was not over when the resource was bound again")
	}
	old.refused("conflict")
	young.send("<iq type='get' id='1' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>")
	young.expect("<iq", "id='1'", "type='result'")
	if n := r.sessions.Count(); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

func TestSessionsPerUser(t *testing.T) {
	r := newRig(t, rigOptions{config: Config{SessionsPerUser: 2}})
	r.login("alice", "1")
	r.login("alice", "2")
	p := r.dial("c2s")
	p.secure()
	p.auth("alice", password)
	p.send("<iq type='set' id='b'><bind xmlns='" + ns.Bind + "'><resource>3</resource></bind></iq>")
	p.expect("<iq", "type='error'", "resource-constraint")
	r.login("bob", "1")
}

func TestPreAuth(t *testing.T) {
	r := newRig(t, rigOptions{events: func(c *event.Catalogue) {
		c.C2S.Features.On(event.Rewrite, "test", func(_ context.Context, f *event.StreamFeatures) error {
			if f.Stream.User.IsZero() {
				f.Features = append(f.Features, xmlstream.NewNode(ns.FeatureRegister, "register"))
			}
			return nil
		})
		c.C2S.PreAuth.On(event.Record, "test", func(_ context.Context, q *event.PreAuthIQ) error {
			switch q.IQ.Type {
			case stanza.TypeGet:
				q.Reply = q.IQ.Result(xmlstream.NewNode(ns.Register, "query"))
			case stanza.TypeSet:
				return stanza.NewError(stanza.Conflict, "taken")
			}
			return nil
		})
	}})
	p := r.dial("c2s")
	if features := p.secure(); !strings.Contains(features, ns.FeatureRegister) {
		t.Errorf("features: %s", features)
	}
	p.send("<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>")
	p.expect("<iq", "id='1'", "type='result'", "<query")
	p.send("<iq type='set' id='2'><query xmlns='jabber:iq:register'/></iq>")
	p.expect("<iq", "id='2'", "type='error'", "conflict")
	p.auth("alice", password)
	p.bind("")
}

func TestInboundRefused(t *testing.T) {
	r := newRig(t, rigOptions{events: func(c *event.Catalogue) {
		c.C2S.Inbound.On(event.Guard, "test", func(_ context.Context, in *event.Inbound) error {
			switch in.Stanza.ID {
			case "no":
				return stanza.NewError(stanza.Forbidden, "not you")
			case "drop":
				return event.Stop
			case "panic":
				panic("in a handler")
			}
			return nil
		})
	}})
	p := r.login("alice", "a")
	for _, id := range []string{"drop", "no", "panic", "yes"} {
		p.send("<iq type='get' id='" + id + "' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>")
	}
	p.expect("<iq", "id='no'", "type='error'", "forbidden")
	p.expect("<iq", "id='panic'", "type='error'", "internal-server-error")
	p.expect("<iq", "id='yes'", "type='result'")
}
