package muc

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/jid"
)

// What an administrator does is kept, and seen by who is in the room.
func TestAdministratorKeepsRooms(t *testing.T) {
	w := newGatewayWorld(t)
	ctx := context.Background()
	at := jid.MustParse("ops@rooms.example.org")
	owner := jid.MustParse("carol@example.org")
	if err := w.m.Create(ctx, at, "Operations", owner); err != nil {
		t.Fatal(err)
	}
	if err := w.m.Create(ctx, at, "Again", owner); !errors.Is(err, ErrRoomExists) {
		t.Errorf("made twice: %v", err)
	}
	w.join(alice, at.String(), "Alice")
	w.sync()
	if got := w.m.Occupants(ctx, at); !slices.Equal(got, []string{"Alice"}) {
		t.Errorf("occupants %v", got)
	}
	for _, step := range []struct {
		who, affiliation string
		want             error
	}{
		{"carol@example.org", "none", ErrLastOwner},
		{"bob@example.org", "owner", nil},
		{"carol@example.org", "member", nil},
		{"alice@example.org", "outcast", nil},
	} {
		if err := w.m.SetAffiliation(ctx, at, jid.MustParse(step.who), step.affiliation, "order"); !errors.Is(err, step.want) {
			t.Errorf("%s %s: %v", step.who, step.affiliation, err)
		}
	}
	w.sync()
	if got := w.m.Occupants(ctx, at); len(got) != 0 {
		t.Errorf("the banned are still there: %v", got)
	}
	if err := w.m.Destroy(ctx, at, "over"); err != nil {
		t.Fatal(err)
	}
	if err := w.m.Destroy(ctx, at, "over"); !errors.Is(err, ErrNoRoom) {
		t.Errorf("destroyed twice: %v", err)
	}
	if err := w.m.Create(ctx, portalJID, "", owner); !errors.Is(err, ErrBridgedRoom) {
		t.Errorf("a room of a bridge: %v", err)
	}
	if err := w.m.SetAffiliation(ctx, at, owner, "king", ""); err == nil {
		t.Error("an unknown affiliation was accepted")
	}
}
