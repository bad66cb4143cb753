package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

func TestTable(t *testing.T) {
	b := newBench(t, t.TempDir(), Limits{})
	phone, _ := b.bind("bob@example.org/phone")
	desk, _ := b.bind("bob@example.org/desk")
	b.bind("alice@example.org/a")
	bob := jid.MustParse("bob@example.org")
	var order []string
	for _, i := range b.m.Of(t.Context(), bob) {
		order = append(order, i.JID.Resource())
	}
	equal(t, "order of binding", order, []string{"phone", "desk"})
	equal(t, "count", b.m.Count(), 3)
	if !b.m.Deliver(t.Context(), desk.JID(), message("1", "bob@example.org/desk")) {
		t.Error("not delivered to a bound session")
	}
	if b.m.Deliver(t.Context(), jid.MustParse("bob@example.org/nowhere"), message("1", "bob@example.org/nowhere")) {
		t.Error("delivered to nobody")
	}
	equal(t, "ended", b.m.Close(t.Context(), bob, "not-authorized", "gone"), 2)
	if len(b.m.Of(t.Context(), bob)) != 0 || b.m.Push(phone.JID(), Item{Wire: message("2", "bob@example.org").Wire()}) {
		t.Error("closed sessions are still there")
	}
	equal(t, "count", b.m.Count(), 1)
}

// TestEndWithoutSM: what was not sent is given back, what was sent is not, and the last answer still goes out.
func TestEndWithoutSM(t *testing.T) {
	b := newBench(t, t.TempDir(), Limits{})
	s, l := b.bind("bob@example.org/b")
	s.Send(message("sent", "bob@example.org/b"))
	equal(t, "sent", received(t, b.fill(s, l)), []string{"sent"})
	s.Send(message("unsent", "bob@example.org/b"))
	s.Detach(l)
	<-s.Done()
	closed, lost := b.told()
	equal(t, "closed", closed, []string{"bob@example.org/b connection lost"})
	equal(t, "undelivered", lost, []string{"b unsent"})

	s, l = b.bind("bob@example.org/c")
	s.Send(message("answer", "bob@example.org/c"))
	s.Close("", "")
	<-s.Done()
	equal(t, "last words", received(t, l.last), []string{"answer"})
	_, lost = b.told()
	equal(t, "undelivered", lost, []string{"b unsent"})
}

// TestBindBehindGoodbye: a full JID is free when everybody knows that the session that had it is over. Else its goodbye would come behind the
// greeting of the next.
func TestBindBehindGoodbye(t *testing.T) {
	b := newBench(t, t.TempDir(), Limits{})
	closing, release := make(chan struct{}), make(chan struct{})
	var first sync.Once
	b.events.C2S.Closed.On(event.After, "slow", func(context.Context, *event.SessionClosed) error {
		first.Do(func() { close(closing) })
		<-release
		return nil
	})
	s, _ := b.bind("bob@example.org/b")
	s.Close("", "")
	<-closing
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	again := BindRequest{Account: s.JID().Bare(), Resource: "b", Link: &testLink{}}
	if _, err := b.m.Bind(ctx, again); !errors.Is(err, context.Canceled) {
		t.Errorf("while the goodbye is said: %v", err)
	}
	other, _ := b.bind("bob@example.org/other")
	equal(t, "sessions", len(b.m.Of(t.Context(), s.JID().Bare())), 1)
	close(release)
	next, _ := b.bind("bob@example.org/b")
	<-s.Done()
	closed, _ := b.told()
	equal(t, "closed", closed, []string{"bob@example.org/b closed"})
	equal(t, "bound", []bool{b.m.Session(s.JID()) == next, b.m.Session(other.JID()) == other}, []bool{true, true})
	for i := range b.m.table.shards {
		equal(t, "still going", len(b.m.table.shards[i].going), 0)
	}
}

// TestResumeTimeout: a session that nobody resumes is over after its time; its messages are offline, what is kept nowhere goes back, and its h is
// remembered.
func TestResumeTimeout(t *testing.T) {
	b := newBench(t, t.TempDir(), Limits{ResumeTime: time.Minute})
	s, l, token := b.managed("bob@example.org/b")
	b.deliver(s, "kept")
	s.Send(message("loose", "bob@example.org/b"))
	b.fill(s, l)
	s.Detach(l)
	b.deliver(s, "later")
	b.clock.advance(time.Minute - time.Second)
	if i, ok := b.m.Get(t.Context(), s.JID()); !ok || !i.Detached {
		t.Fatal("the session is over too early")
	}
	b.clock.advance(time.Second)
	<-s.Done()
	closed, lost := b.told()
	equal(t, "closed", closed, []string{"bob@example.org/b not resumed in time"})
	equal(t, "undelivered", lost, []string{"b loose"})
	equal(t, "offline", b.kept(storage.Offline, "bob@example.org"), []string{"kept", "later"})
	_, err := b.m.Resume(t.Context(), ResumeRequest{Account: s.JID().Bare(), Token: token, Link: &testLink{}})
	var failed *NotResumedError
	if !errors.As(err, &failed) || !failed.HasH {
		t.Errorf("resumed: %v", err)
	}
}

// TestResumeStopsTheClock: a resumed session does not end when its first deadline passes.
func TestResumeStopsTheClock(t *testing.T) {
	b := newBench(t, t.TempDir(), Limits{ResumeTime: time.Minute})
	s, l, token := b.managed("bob@example.org/b")
	s.Detach(l)
	b.clock.advance(30 * time.Second)
	next := &testLink{}
	_, err := b.m.Resume(t.Context(), ResumeRequest{Account: s.JID().Bare(), Token: token, Link: next})
	check(t, err)
	b.clock.advance(2 * time.Minute)
	if i, ok := b.m.Get(t.Context(), s.JID()); !ok || i.Detached {
		t.Error("a resumed session is over")
	}
	s.Detach(next)
	b.clock.advance(time.Minute)
	<-s.Done()
}

// TestWrap: the counters go on over 2^32 in both directions (XEP-0198 §4, attacks row 25).
func TestWrap(t *testing.T) {
	b := newBench(t, t.TempDir(), Limits{})
	s, l, _ := b.managed("bob@example.org/b")
	const start = 1<<32 - 2
	sm := s.sm
	sm.acked, sm.sent, sm.resent, sm.sentAtR = start, start, start, start
	sm.seen, sm.in.low, sm.carried, sm.lastAsync, sm.stored = start, start, start, start, start
	for i := range 4 {
		b.deliver(s, fmt.Sprint(i))
	}
	equal(t, "received", received(t, b.fill(s, l)), []string{"0", "1", "2", "3"})
	var high *AckTooHighError
	if err := s.Ack(3); !errors.As(err, &high) {
		t.Errorf("an ack beyond the wrap and beyond what was sent: %v", err)
	}
	check(t, s.Ack(1<<32-1))
	check(t, s.Ack(2))
	b.settle(s)
	equal(t, "unacknowledged", b.kept(storage.Unacked, sm.id), []string(nil))
	for range 4 {
		in, ok := s.Begin(l)
		if !ok {
			t.Fatal("not received")
		}
		in.Unit.Add(storage.PutRow{Table: "test", Owner: "o", Key: "k"})
		b.journal.Submit(in.Unit)
		s.Routed(in)
	}
	s.AckRequested()
	b.settle(s)
	if out := string(b.fill(s, l)); !strings.Contains(out, "h='2'") {
		t.Errorf("acknowledged: %s", out)
	}
}

// TestRequests: an ack is asked for when the line goes quiet, once, and not again about nothing new.
func TestRequests(t *testing.T) {
	b := newBench(t, t.TempDir(), Limits{})
	s, l, _ := b.managed("bob@example.org/b")
	requests := func() int { return strings.Count(string(b.fill(s, l)), "<r ") }
	equal(t, "requests without stanzas", requests(), 0)
	for i := range 3 {
		b.deliver(s, fmt.Sprint(i))
	}
	equal(t, "requests after a burst", requests(), 1)
	b.deliver(s, "3")
	equal(t, "requests while one is open", requests(), 0)
	check(t, s.Ack(3))
	equal(t, "requests after an ack of less", requests(), 1)
	check(t, s.Ack(3))
	equal(t, "requests of a client that stays behind", requests(), 0)
	check(t, s.Ack(4))
	equal(t, "requests when all is acknowledged", requests(), 0)
}

// TestRequestsUnderLoad: a line that never goes quiet is asked, too; a client that answers never fills its ring.
func TestRequestsUnderLoad(t *testing.T) {
	b := newBench(t, t.TempDir(), Limits{QueueStanzas: 200})
	s, l, _ := b.managed("bob@example.org/b")
	w := message("x", "bob@example.org/b").Wire()
	got, requests := uint32(0), 0
	for i := range 5000 {
		b.m.Push(s.JID(), Item{Wire: w})
		if i < 20 {
			continue // there is always something left
		}
		out, more := s.Fill(l, nil, 1)
		if !more {
			t.Fatal("the line went quiet")
		}
		got += uint32(strings.Count(string(out), "<message"))
		if strings.Contains(string(out), "<r ") {
			requests++
			check(t, s.Ack(got))
		}
	}
	if l.end() != "" || requests < 4900/ackEvery {
		t.Errorf("%d requests, link: %q", requests, l.end())
	}
}

// TestEvict: at the limit of an account, a session that waits for its client goes before a newcomer is refused.
func TestEvict(t *testing.T) {
	b := newBench(t, t.TempDir(), Limits{PerUser: 2})
	s, l, _ := b.managed("bob@example.org/1")
	b.bind("bob@example.org/2")
	_, err := b.m.Bind(t.Context(), BindRequest{Account: s.JID().Bare(), Resource: "3", Link: &testLink{}})
	var refused *stanza.Error
	if !errors.As(err, &refused) || refused.Condition != stanza.ResourceConstraint {
		t.Errorf("a third session: %v", err)
	}
	s.Detach(l)
	b.bind("bob@example.org/3")
	<-s.Done()
	equal(t, "sessions", len(b.m.Of(t.Context(), s.JID().Bare())), 2)
}

// TestManyDetached: sessions that wait for their clients cost no timer queue of their own and end all (attacks row 25).
func TestManyDetached(t *testing.T) {
	const n = 2000
	b := newBench(t, t.TempDir(), Limits{ResumeTime: time.Minute})
	list := make([]*Session, n)
	for i := range list {
		s, l := b.bind(fmt.Sprintf("user%d@example.org/r", i))
		s.Enable(true, 0)
		list[i] = s
		if i == n-1 {
			b.settle(s)
		}
		_ = l
	}
	for _, s := range list {
		b.settleQueue(s)
		b.m.detach(s, nil, "", "")
	}
	equal(t, "sessions", b.m.Count(), n)
	b.clock.advance(time.Minute)
	for _, s := range list {
		<-s.Done()
	}
	equal(t, "sessions", b.m.Count(), 0)
	equal(t, "resumable", len(b.m.bySM), 0)
}

// settleQueue waits until the session's queue has done what is in it.
func (b *bench) settleQueue(s *Session) {
	done := make(chan struct{})
	s.queue.Post(func() { close(done) })
	<-done
}

// TestTokens: an SM-ID is random, long enough, and kept nowhere but as a hash (attacks row 14).
func TestTokens(t *testing.T) {
	dir := t.TempDir()
	b := newBench(t, dir, Limits{})
	seen := map[string]bool{}
	for i := range 50 {
		s, _, token := b.managed(fmt.Sprintf("bob@example.org/%d", i))
		if len(token) < 22 || seen[token] {
			t.Fatalf("SM-ID %q", token)
		}
		seen[token] = true
		if i < 49 {
			s.Close("", "")
			<-s.Done()
		}
	}
	check(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		for token := range seen {
			if strings.Contains(string(data), token) {
				t.Errorf("an SM-ID stands in %s", filepath.Base(path))
			}
		}
		return err
	}))
}

// TestNotResumable: stream management without resumption ends with its connection, but its messages are not lost.
func TestNotResumable(t *testing.T) {
	b := newBench(t, t.TempDir(), Limits{})
	s, l := b.bind("bob@example.org/b")
	s.Enable(false, 0)
	b.settle(s)
	if out := string(b.fill(s, l)); !strings.Contains(out, "<enabled") || strings.Contains(out, "resume") {
		t.Fatalf("enabled: %s", out)
	}
	b.deliver(s, "1")
	b.fill(s, l)
	s.Detach(l)
	<-s.Done()
	equal(t, "offline", b.kept(storage.Offline, "bob@example.org"), []string{"1"})
}

// TestMaxTime: a client can ask for less time than the server gives, not for more (XEP-0198 §3).
func TestMaxTime(t *testing.T) {
	b := newBench(t, t.TempDir(), Limits{ResumeTime: time.Minute})
	for _, tc := range []struct {
		ask  time.Duration
		want string
	}{{0, "max='60'"}, {10 * time.Second, "max='10'"}, {time.Hour, "max='60'"}} {
		s, l := b.bind("bob@example.org/b")
		s.Enable(true, tc.ask)
		b.settle(s)
		if out := string(b.fill(s, l)); !strings.Contains(out, tc.want) {
			t.Errorf("asked for %v: %s", tc.ask, out)
		}
	}
}

// TestOrphans: unacknowledged messages of a session that is not even known any more are not lost.
func TestOrphans(t *testing.T) {
	dir := t.TempDir()
	b := newBench(t, dir, Limits{})
	u := journal.NewUnit(journal.Lane{})
	rec := event.NewMessageRecord(u, b.ids.Next(), message("1", "bob@example.org/b"))
	rec.Ref(storage.Unacked, "nobody", "", nil)
	check(t, <-submit(b.journal, u))
	check(t, b.m.adopt(t.Context()))
	equal(t, "offline", b.kept(storage.Offline, "bob@example.org"), []string{"1"})
	equal(t, "unacknowledged", b.kept(storage.Unacked, "nobody"), []string(nil))
}

// TestLostUnit: a unit that is never submitted holds a resumption up for a bounded time only, and the client is told an h that makes it send again.
func TestLostUnit(t *testing.T) {
	b := newBench(t, t.TempDir(), Limits{SettleTime: time.Second})
	s, l, token := b.managed("bob@example.org/b")
	in, _ := s.Begin(l) // and never submitted
	s.Routed(in)
	s.Detach(l)
	next := &testLink{}
	done := make(chan error, 1)
	go func() {
		_, err := b.m.Resume(context.Background(), ResumeRequest{Account: s.JID().Bare(), Token: token, Link: next})
		done <- err
	}()
	for resumed := false; !resumed; {
		select {
		case err := <-done:
			check(t, err)
			resumed = true
		default:
			b.clock.advance(time.Second)
			b.settle(s)
		}
	}
	if out := string(b.fill(s, next)); !strings.Contains(out, "<resumed") || !strings.Contains(out, "h='0'") {
		t.Fatalf("resumed: %s", out)
	}
	again, _ := s.Begin(next)
	b.journal.Submit(again.Unit)
	s.Routed(again)
	b.journal.Submit(in.Unit) // the lost one turns up: it does not count any more
	s.AckRequested()
	b.settle(s)
	if out := string(b.fill(s, next)); !strings.Contains(out, "h='1'") {
		t.Errorf("acknowledged: %s", out)
	}
}
