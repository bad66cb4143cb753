package session

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// AckTooHighError says that a client has acknowledged more than it was sent, or less than before. XEP-0198 §6: the stream is closed.
type AckTooHighError struct{ H, Sent uint32 }

func (e *AckTooHighError) Error() string {
	return fmt.Sprintf("session: %d stanzas acknowledged, but %d sent", e.H, e.Sent)
}

// Node returns <handled-count-too-high/>.
func (e *AckTooHighError) Node() *xmlstream.Node {
	return xmlstream.NewNode(ns.SM, "handled-count-too-high", "h", strconv.FormatUint(uint64(e.H), 10), "send-count", strconv.FormatUint(uint64(e.Sent), 10))
}

// management is the XEP-0198 state of a session. It is guarded by the session's mu.
type management struct {
	id        string // hex SHA-256 of the SM-ID: the only form that is kept (attacks row 14)
	resumable bool
	max       time.Duration // how long it outlives its connection
	active    bool          // <enabled/> was sent: what goes out is counted

	// From the client. Numbers are counts: the first stanza is 1.
	seen      uint32 // begun
	in        window // handled: durable, where it has to be
	carried   uint32 // the highest h that was submitted with a unit
	lastAsync uint32 // the last stanza whose unit was not submitted when its routing returned
	stored    uint32 // the h that is known to be in the store: what may be acknowledged
	asked     uint32 // what the client (or a stop) waits to see acknowledged
	want      bool   // asked is not stored yet
	storing   bool   // a unit that stores h alone is under way
	ackDue    bool   // an <a/> goes out with the next Fill
	epoch     uint32 // grows with each resumption: what was begun before does not count any more
	caught    []chan struct{}

	// To the client.
	acked     uint32 // acknowledged by it
	sent      uint32 // sent, over all connections
	resent    uint32 // sent on this connection: how far the present one has come
	requested bool   // an <r/> is not answered yet
	sentAtR   uint32 // sent when the last <r/> went out
	forget    []storage.MessageID
	deleting  bool // a unit that removes references is under way

	spooled int // entries whose bytes are in the store only
	loading bool
	timer   module.Timer
	expires time.Time // when a session without a connection ends
}

// HashSMID returns the form in which an SM-ID is kept.
func HashSMID(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// appendAck appends an <a/> if one is due.
func (sm *management) appendAck(dst []byte) []byte {
	if !sm.ackDue || !sm.active {
		return dst
	}
	sm.ackDue = false
	dst = append(dst, "<a xmlns='"+ns.SM+"' h='"...)
	dst = strconv.AppendUint(dst, uint64(sm.stored), 10)
	return append(dst, "'/>"...)
}

// sending counts a stanza that goes out.
func (sm *management) sending() {
	sm.resent++
	sm.sent = later(sm.sent, sm.resent)
}

// ackEvery is after how many stanzas an ack is asked for on a line that never goes quiet.
const ackEvery = 64

// appendRequest asks for an ack before the line goes quiet, or after so many stanzas: one request is open at a time, and none is sent about
// nothing new.
func (sm *management) appendRequest(dst []byte, quiet bool) []byte {
	if !sm.active || sm.requested || sm.resent == sm.acked || sm.resent == sm.sentAtR || !quiet && sm.resent-sm.sentAtR < ackEvery {
		return dst
	}
	sm.requested, sm.sentAtR = true, sm.resent
	return append(dst, "<r xmlns='"+ns.SM+"'/>"...)
}

// Managed tells whether the client counts what it gets.
func (s *Session) Managed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sm != nil
}

// Ping asks the client for an ack, whether or not there is something to acknowledge. False: it does not know how to answer.
func (s *Session) Ping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sm == nil || !s.sm.active || s.link == nil || s.held {
		return false
	}
	s.sm.requested, s.sm.sentAtR = true, s.sm.resent
	raw := []byte("<r xmlns='" + ns.SM + "'/>")
	s.ring.push(entry{raw: raw, size: int32(len(raw) + overhead)})
	s.wake()
	return true
}

// Inbound is a stanza of the client that is being routed.
type Inbound struct {
	Unit        *journal.Unit
	n, h, epoch uint32
}

// Begin counts a stanza that came by l and returns it with the unit that routing takes over. ok is false if l is not the session's link any
// more: then the stanza was not received (a resumed client sends it again).
func (s *Session) Begin(l Link) (in Inbound, ok bool) {
	in.Unit = journal.NewUnit(journal.AccountLane(s.jid.Bare().String()))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != l || s.over {
		return Inbound{}, false
	}
	sm := s.sm
	if sm == nil {
		return in, true
	}
	sm.seen++
	in.n, in.epoch = sm.seen, sm.epoch
	// The row may say n only if no stanza before n can be missing when it is committed: units are committed in the order of their
	// submission, so all before n must be handled or at least submitted.
	if in.h = in.n; after(sm.lastAsync, sm.in.low) {
		in.h = later(sm.in.low, sm.carried)
	}
	in.Unit.Ride(storage.SessionIn{ID: sm.id, H: in.h})
	u, epoch, n, h := in.Unit, sm.epoch, in.n, in.h
	u.After(s.queue, func(err error) { s.handled(sm, epoch, n, h, !u.Empty(), err) })
	return in, true
}

// Routed says that the routing of a stanza returned.
func (s *Session) Routed(in Inbound) {
	if in.n == 0 {
		return
	}
	submitted := in.Unit.Submitted()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch sm := s.sm; {
	case sm == nil || sm.epoch != in.epoch:
	case submitted:
		sm.carried = later(sm.carried, in.h)
	default:
		sm.lastAsync = in.n
	}
}

// handled is the step of a stanza's unit: it is committed, refused for good, or had nothing to commit. rode tells that its row carried h.
func (s *Session) handled(sm *management, epoch, n, h uint32, rode bool, err error) {
	if errors.Is(err, journal.ErrStopped) {
		return // not handled: the client sends it again
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sm != sm || sm.epoch != epoch {
		return
	}
	sm.in.mark(n)
	if rode && err == nil && after(h, sm.stored) {
		s.storedH(h)
	}
	s.storeH()
}

// storedH notes that the store holds h; mu is held.
func (s *Session) storedH(h uint32) {
	sm := s.sm
	sm.stored = h
	if sm.want {
		sm.ackDue = true
		sm.want = after(sm.asked, h)
		s.wake()
	}
	if h == sm.seen {
		for _, c := range sm.caught {
			close(c)
		}
		sm.caught = nil
	}
}

// storeH stores h by itself where no later row will do it: what was handled last had no rows. mu is held.
func (s *Session) storeH() {
	sm := s.sm
	if !sm.want || sm.storing || after(sm.asked, sm.in.low) || !after(sm.asked, sm.stored) || s.over {
		return
	}
	sm.storing = true
	h, epoch := later(sm.in.low, sm.carried), sm.epoch
	sm.carried = h
	u := journal.NewUnit(journal.Lane{Kind: journal.LaneServer, Key: sm.id})
	u.Add(storage.SessionIn{ID: sm.id, H: h})
	u.After(s.queue, func(err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		sm.storing = false
		if sm.epoch != epoch {
			s.storeH()
			return
		}
		if err == nil && after(h, sm.stored) {
			s.storedH(h)
		}
		if err == nil {
			s.storeH()
		}
	})
	s.m.o.Journal.Submit(u)
}

// AckRequested answers the client's <r/>: at once with the h reached, and again when what it has sent so far is durable.
func (s *Session) AckRequested() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sm == nil {
		return
	}
	s.sm.ackDue = true
	s.await()
	s.wake()
}

// await makes sure that what was seen so far gets stored; mu is held.
func (s *Session) await() {
	sm := s.sm
	if !after(sm.seen, sm.stored) {
		return
	}
	sm.asked, sm.want = sm.seen, true
	s.storeH()
}

// Ack takes the client's <a/>.
func (s *Session) Ack(h uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sm == nil || !s.sm.active {
		return nil
	}
	if err := s.ack(h); err != nil {
		return err
	}
	s.sm.requested = false
	if sm := s.sm; sm.resent != sm.sentAtR && sm.resent != sm.acked {
		s.wake() // more was sent since the request
	}
	return nil
}

// ack removes what is acknowledged from the ring and from the store; mu is held.
func (s *Session) ack(h uint32) error {
	sm := s.sm
	k := h - sm.acked
	if k > sm.sent-sm.acked { // also an h that goes backwards
		return &AckTooHighError{h, sm.sent}
	}
	s.ring.ack(k, func(e *entry) {
		if e.msg != 0 {
			sm.forget = append(sm.forget, e.msg)
		}
		if e.spooled {
			sm.spooled--
		}
	})
	sm.acked = h
	sm.resent = later(sm.resent, h)
	s.deleteRefs()
	return nil
}

// maxDeletes bounds one unit of deleteRefs.
const maxDeletes = 256

// deleteRefs removes references that are not needed any more, one unit at a time: what is acknowledged meanwhile goes with the next. They are
// removed one by one, not up to an id: a message with a lower id may still be on its way here. mu is held.
func (s *Session) deleteRefs() {
	sm := s.sm
	if sm.deleting || len(sm.forget) == 0 {
		return
	}
	sm.deleting = true
	n := min(len(sm.forget), maxDeletes)
	u := journal.NewUnit(journal.Lane{Kind: journal.LaneServer, Key: sm.id})
	for _, id := range sm.forget[:n] {
		u.Add(storage.DeleteRef{Kind: storage.Unacked, Owner: sm.id, ID: id})
	}
	if sm.forget = sm.forget[n:]; len(sm.forget) == 0 {
		sm.forget = nil
	}
	u.After(s.queue, func(error) { // a reference that stays is delivered once more: never a loss
		s.mu.Lock()
		defer s.mu.Unlock()
		sm.deleting = false
		s.deleteRefs()
	})
	s.m.o.Journal.Submit(u)
}
