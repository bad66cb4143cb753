package gateway_test

import (
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/gateway"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

func TestGhostComesAndGoes(t *testing.T) {
	w := newWorld(t, worldOptions{tune: gateway.Tuning{LeaveAfter: 50 * time.Millisecond}})
	alice := w.in("alice")
	j := awaitOp(t, w.net, any1[*sdk.JoinGhost])
	if j.Sender.Address != "alice@example.org" || j.Sender.Name != "alice" || j.Portal != ops {
		t.Errorf("%+v", j)
	}
	alice.Send("<presence to='" + opsRoom + "/alice' type='unavailable'/>")
	l := awaitOp(t, w.net, any1[*sdk.LeaveGhost])
	if l.Sender.Person != j.Sender.Person {
		t.Errorf("%+v", l)
	}
	carol := w.in("carol")
	awaitOp(t, w.net, func(op *sdk.JoinGhost) bool { return op.Sender.Name == "carol" })
	carol.Drop()
	awaitOp(t, w.net, func(op *sdk.LeaveGhost) bool { return op.Sender.Person != j.Sender.Person })
}

// Who comes back in time has not left; a ghost of one who never came back leaves after a restart.
func TestGhostStays(t *testing.T) {
	w := newWorld(t, worldOptions{tune: gateway.Tuning{LeaveAfter: time.Hour}})
	alice := w.in("alice")
	awaitOp(t, w.net, any1[*sdk.JoinGhost])
	alice.Drop()
	again := w.in("alice")
	again.say("m1", "back")
	awaitOp(t, w.net, any1[*sdk.SendMessage])
	w.net.mu.Lock()
	defer w.net.mu.Unlock()
	joins := 0
	for _, op := range w.net.ops {
		switch op.(type) {
		case *sdk.LeaveGhost:
			t.Error("she left")
		case *sdk.JoinGhost:
			joins++
		}
	}
	if joins != 1 {
		t.Errorf("she joined %d times", joins)
	}
}

func TestGhostLeavesAfterRestart(t *testing.T) {
	w := newWorld(t, worldOptions{tune: gateway.Tuning{LeaveAfter: 20 * time.Millisecond}})
	alice := w.in("alice")
	awaitOp(t, w.net, any1[*sdk.JoinGhost])
	alice.Drop()
	w.Restart(t)
	w.attach()
	awaitOp(t, w.net, any1[*sdk.LeaveGhost])
}
