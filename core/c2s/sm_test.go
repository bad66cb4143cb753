package c2s

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/session"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

func msg(id, to string) string {
	return "<message id='" + id + "' type='chat' to='" + to + "'><body>text " + id + "</body></message>"
}

func ack(h int) string { return "<a xmlns='" + ns.SM + "' h='" + strconv.Itoa(h) + "'/>" }

const request = "<r xmlns='" + ns.SM + "'/>"

// cut drops the connection without a word.
func (p *peer) cut() { _ = p.conn.Close() }

// ackedTo reads acks until h.
func (p *peer) ackedTo(h int) {
	p.t.Helper()
	p.skipTo(fmt.Sprintf("h='%d'", h))
}

// refs counts a list of references.
func (r *rig) refs(kind storage.RefKind, owner string) int {
	n, err := r.store.Messages().Count(r.t.Context(), kind, owner, 0)
	check(r.t, err)
	return n
}

// settle waits until everything submitted so far is committed.
func (r *rig) settle() {
	done := make(chan struct{})
	u := journal.NewUnit(journal.Lane{})
	u.Add(storage.PutRow{Table: "test", Owner: "test", Key: "settle"})
	u.After(signal{}, func(error) { close(done) })
	r.journal.Submit(u)
	<-done
}

// gone waits until the server has noticed that the connection is lost.
func (r *rig) detached(full string) {
	r.t.Helper()
	for {
		i, ok := r.sessions.Get(r.t.Context(), jid.MustParse(full))
		if !ok {
			r.t.Fatalf("%s is over", full)
		}
		if i.Detached {
			return
		}
		r.settle()
	}
}

func TestAcks(t *testing.T) {
	r := newRig(t, rigOptions{})
	p := r.login("alice", "a")
	p.enable()
	p.send(request)
	p.expect("<a xmlns", "h='0'")
	for i := range 3 {
		p.send(msg(strconv.Itoa(i), "bob@example.org"))
	}
	p.send(request)
	p.ackedTo(3) // after the commit, without being asked again
	p.send("<iq type='get' id='1' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>" + request)
	p.ackedTo(4) // also what has no rows
	row, err := r.store.Sessions().Get(t.Context(), r.smid("alice@example.org/a"))
	check(t, err)
	if row.HIn != 4 {
		t.Errorf("the store holds h=%d, 4 were acknowledged", row.HIn)
	}
}

func (r *rig) smid(full string) string {
	i, ok := r.sessions.Get(r.t.Context(), jid.MustParse(full))
	if !ok {
		r.t.Fatalf("no session %s", full)
	}
	return i.SMID
}

// TestAckWaitsForTheStore: no <a/> covers what is not committed, and a later stanza does not overtake an earlier one (promise 1).
func TestAckWaitsForTheStore(t *testing.T) {
	r := newRig(t, rigOptions{})
	held := make(chan *journal.Unit, 1)
	r.router.hold = func(u *journal.Unit) { held <- u }
	p := r.login("alice", "a")
	p.enable()
	p.send(msg("1", "bob@example.org") + msg("hold", "bob@example.org") + msg("3", "bob@example.org") + request)
	u := <-held
	p.send(msg("4", "bob@example.org") + request)
	p.ackedTo(1)
	r.settle()
	p.send(request)
	p.expect("<a xmlns", "h='1'")
	row, err := r.store.Sessions().Get(t.Context(), r.smid("alice@example.org/a"))
	check(t, err)
	if row.HIn != 1 {
		t.Errorf("the store holds h=%d while stanza 2 is not committed", row.HIn)
	}
	r.journal.Submit(u)
	p.ackedTo(4)
}

func TestSMErrors(t *testing.T) {
	r := newRig(t, rigOptions{})
	t.Run("enable before binding", func(t *testing.T) {
		p := as(t, r).dial("c2s")
		p.secure()
		p.auth("alice", password)
		p.send("<enable xmlns='" + ns.SM + "'/>")
		p.expect("<failed", "unexpected-request")
		p.bind("")
	})
	t.Run("enable twice", func(t *testing.T) {
		p := as(t, r).login("alice", "")
		p.enable()
		p.send("<enable xmlns='" + ns.SM + "'/>")
		p.refused("policy-violation")
	})
	t.Run("acks without", func(t *testing.T) {
		p := as(t, r).login("alice", "")
		p.send(request)
		p.expect("<failed", "unexpected-request")
	})
	t.Run("resume after binding", func(t *testing.T) {
		p := as(t, r).login("alice", "")
		p.send("<resume xmlns='" + ns.SM + "' previd='x' h='0'/>")
		p.expect("<failed", "unexpected-request")
	})
	t.Run("h too high", func(t *testing.T) {
		p := as(t, r).login("alice", "")
		p.enable()
		p.send(ack(1))
		p.expect("<stream:error", "undefined-condition", "handled-count-too-high", "h='1'", "send-count='0'")
	})
	t.Run("h far too high", func(t *testing.T) {
		p := as(t, r).login("alice", "")
		p.enable()
		p.send("<a xmlns='" + ns.SM + "' h='4294967295'/>")
		p.expect("<stream:error", "undefined-condition", "handled-count-too-high")
	})
	t.Run("unknown id", func(t *testing.T) {
		p := as(t, r).resume("alice", "nothing", "0")
		if el := p.expect("<failed", "item-not-found"); strings.Contains(el, "h=") {
			t.Errorf("an h for nothing: %s", el)
		}
		p.bind("")
	})
	t.Run("somebody else's session", func(t *testing.T) {
		p := as(t, r).login("alice", "mine")
		id := p.enable()
		q := as(t, r).resume("bob", id, "0")
		if el := q.expect("<failed", "item-not-found"); strings.Contains(el, "h=") {
			t.Errorf("an h of somebody else: %s", el)
		}
		p.send(request)
		p.expect("<a xmlns")
	})
	t.Run("no h", func(t *testing.T) {
		p := as(t, r).resume("alice", "x", "")
		p.expect("<failed", "bad-request")
	})
}

// TestResume: what was not acknowledged comes again on the new connection, in order, once; what was sent while nobody was there, too.
func TestResume(t *testing.T) {
	r := newRig(t, rigOptions{})
	bob := r.login("bob", "b")
	id := bob.enable()
	alice := r.login("alice", "a")
	alice.send(msg("1", "bob@example.org") + msg("2", "bob@example.org"))
	bob.expect("<message", "id='1'")
	bob.expect("<message", "id='2'")
	bob.send(ack(1))
	bob.send("<iq type='get' id='x' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>")
	bob.skipTo("id='x'")
	bob.cut()
	r.detached("bob@example.org/b")
	alice.send(msg("3", "bob@example.org") + "<iq type='get' id='y' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>")
	alice.skipTo("id='y'")

	bob = r.resume("bob", id, "2")
	bob.expect("<resumed", "previd='"+id+"'", "h='1'")
	bob.expect("<iq", "id='x'") // counted and not acknowledged
	late := bob.expect("<message", "id='3'", "urn:xmpp:delay")
	if strings.Count(late, "<delay") != 1 {
		t.Errorf("delayed: %s", late)
	}
	bob.send(ack(4) + request)
	bob.ackedTo(1)
	r.settle()
	if n := r.refs(storage.Unacked, r.smid("bob@example.org/b")); n != 0 {
		t.Errorf("%d references are kept of what was acknowledged", n)
	}
	alice.send(msg("4", "bob@example.org"))
	if el := bob.skipTo("id='4'"); strings.Contains(el, "delay") {
		t.Errorf("a live message is stamped: %s", el)
	}
}

// TestResumeOverOpenConnection: the old connection gets a conflict, the session goes on.
func TestResumeOverOpenConnection(t *testing.T) {
	r := newRig(t, rigOptions{})
	old := r.login("alice", "a")
	id := old.enable()
	p := r.resume("alice", id, "0")
	p.expect("<resumed", "h='0'")
	old.refused("conflict")
	p.send("<iq type='get' id='1' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>")
	p.skipTo("id='1'")
}

// TestCleanEnd: a client that closes its stream ends the session; what it has not acknowledged is offline (XEP-0198 §7).
func TestCleanEnd(t *testing.T) {
	closed := make(chan event.SessionClosed, 4)
	r := newRig(t, rigOptions{events: func(c *event.Catalogue) {
		c.C2S.Closed.On(event.After, "test", func(_ context.Context, s *event.SessionClosed) error { closed <- *s; return nil })
	}})
	bob := r.login("bob", "b")
	id := bob.enable()
	alice := r.login("alice", "a")
	alice.send(msg("1", "bob@example.org"))
	bob.expect("<message", "id='1'")
	bob.send("</stream:stream>")
	bob.skipTo("</stream>")
	end := <-closed
	if end.Reason != "closed by the client" {
		t.Errorf("reason %q", end.Reason)
	}
	if n := r.refs(storage.Offline, "bob@example.org"); n != 1 {
		t.Errorf("%d messages are offline", n)
	}
	q := r.resume("bob", id, "0")
	q.expect("<failed", "item-not-found", "h='0'")
}

// TestCrash: after a crash the client learns h, and what it has not acknowledged is offline.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, rigOptions{dir: dir})
	bob := r.login("bob", "b")
	id := bob.enable()
	bob.send(msg("up", "alice@example.org") + request)
	bob.ackedTo(1)
	alice := r.login("alice", "a")
	alice.send(msg("1", "bob@example.org") + msg("2", "bob@example.org"))
	bob.skipTo("id='2'")
	bob.send(ack(1) + "<iq type='get' id='z' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>")
	bob.skipTo("id='z'")
	r.settle()
	crashed := r.crash()

	r = newRig(t, rigOptions{dir: crashed})
	p := r.resume("bob", id, "2")
	p.expect("<failed", "item-not-found", "h='1'")
	p.bind("b")
	if n := r.refs(storage.Offline, "bob@example.org"); n != 1 {
		t.Errorf("%d messages are offline, one was not acknowledged", n)
	}
}

// crash copies the store as it is on disk, behind the server's back.
func (r *rig) crash() string {
	r.t.Helper()
	to := r.t.TempDir()
	copyDir(r.t, r.dir, to)
	return to
}

// TestCleanStop: a stopped server's sessions are resumed whole.
func TestCleanStop(t *testing.T) {
	dir := t.TempDir()
	keep := func(c *event.Catalogue) {
		c.C2S.Saving.On(event.Record, "test", func(_ context.Context, s *event.SessionState) error {
			s.Parts["test"] = []byte("kept")
			return nil
		})
	}
	restored := make(chan string, 1)
	r := newRig(t, rigOptions{dir: dir, events: keep})
	bob := r.login("bob", "b")
	id := bob.enable()
	bob.send("<presence><priority>5</priority></presence>" + request)
	bob.ackedTo(1)
	alice := r.login("alice", "a")
	alice.send(msg("1", "bob@example.org") + "<message id='2' to='bob@example.org'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>" + msg("3", "bob@example.org"))
	bob.expect("<message", "id='1'")
	bob.expect("<message", "id='2'")
	bob.expect("<message", "id='3'")
	r.stop()
	bob.skipTo("system-shutdown")
	alice.skipTo("system-shutdown")
	check(t, r.journal.Stop(t.Context()))
	check(t, r.store.Close())

	r = newRig(t, rigOptions{dir: dir, events: func(c *event.Catalogue) {
		c.C2S.Restored.On(event.After, "test", func(_ context.Context, s *event.SessionState) error {
			restored <- s.Session.Info().JID.String() + " " + string(s.Parts["test"])
			return nil
		})
	}})
	if got := <-restored; got != "bob@example.org/b kept" {
		t.Errorf("restored: %s", got)
	}
	info, ok := r.sessions.Get(t.Context(), jid.MustParse("bob@example.org/b"))
	if !ok || !info.Available || !info.Detached || !info.Has(event.FlagSM) {
		t.Errorf("restored as %+v", info)
	}
	alice = r.login("alice", "a")
	alice.send(msg("4", "bob@example.org") + "<iq type='get' id='y' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>")
	alice.skipTo("id='y'")
	bob = r.resume("bob", id, "1")
	bob.expect("<resumed", "h='1'")
	bob.expect("<message", "id='2'")
	bob.expect("<message", "id='3'", "delay")
	bob.expect("<message", "id='4'", "delay")
	bob.send(ack(4) + msg("5", "alice@example.org") + request)
	bob.ackedTo(2)
	alice.skipTo("id='5'")
	r.settle()
	if n := r.refs(storage.Unacked, r.smid("bob@example.org/b")); n != 0 {
		t.Errorf("%d references are kept of what was acknowledged", n)
	}
}

// TestOverflow: a client that does not read loses its connection, and with stream management nothing else (attacks row 25).
func TestOverflow(t *testing.T) {
	r := newRig(t, rigOptions{config: Config{SMQueueStanzas: 10}})
	t.Run("with stream management", func(t *testing.T) {
		r := as(t, r)
		bob := r.login("bob", "b")
		id := bob.enable()
		alice := r.login("alice", "a")
		for i := range 40 {
			alice.send(msg(fmt.Sprintf("m%02d", i), "bob@example.org"))
		}
		alice.send("<iq type='get' id='y' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>")
		alice.skipTo("id='y'")
		bob.skipTo("policy-violation")
		r.detached("bob@example.org/b")
		bob = r.resume("bob", id, "0")
		bob.expect("<resumed")
		for i := range 40 {
			bob.expect("<message", fmt.Sprintf("id='m%02d'", i))
		}
		bob.send(ack(40) + request)
		bob.ackedTo(0)
		r.settle()
		if n := r.refs(storage.Unacked, r.smid("bob@example.org/b")); n != 0 {
			t.Errorf("%d references are kept", n)
		}
	})
	t.Run("something that is kept nowhere", func(t *testing.T) {
		r := as(t, r)
		p := r.login("alice", "c")
		id := p.enable()
		for i := range 30 {
			r.sessions.Push(jid.MustParse("alice@example.org/c"), session.Item{Wire: presence(i)})
		}
		p.skipTo("policy-violation")
		q := r.resume("alice", id, "0")
		q.expect("<failed", "item-not-found", "h='0'")
	})
}
