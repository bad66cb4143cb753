package admin

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// rooms is a store of rooms; the value of each is who owns it, "" nobody.
type rooms map[string]string

func (r rooms) Get(context.Context, string) (storage.RoomRow, error) {
	return storage.RoomRow{}, storage.ErrNotFound
}

func (r rooms) List(_ context.Context, _ string, _ bool, p storage.Page) (out []storage.RoomRow, err error) {
	for _, at := range []string{"a@rooms.a.org", "b@rooms.a.org", "c@rooms.a.org"} {
		if at > p.After && len(out) < p.Limit {
			out = append(out, storage.RoomRow{JID: at})
		}
	}
	return out, nil
}

func (r rooms) Affiliations(_ context.Context, at, affiliation string, _ storage.Page) ([]storage.Affiliation, error) {
	if affiliation != "owner" || r[at] == "" {
		return nil, nil
	}
	return []storage.Affiliation{{Room: at, JID: r[at], Affiliation: affiliation}}, nil
}

// Rooms that wait for an administrator, because nobody owns them, can be found.
func TestOwnerlessRooms(t *testing.T) {
	c := &Rooms{Store: rooms{"a@rooms.a.org": "x@a.org", "c@rooms.a.org": "x@a.org"}, Services: func() []string { return []string{"rooms.a.org"} }}
	for _, x := range []struct {
		flags map[string]string
		want  string
	}{{nil, "a b c"}, {map[string]string{"ownerless": "true"}, "b"}} {
		res, err := c.list(context.Background(), &Request{Flags: x.flags})
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(res.Data)
		if err != nil {
			t.Fatal(err)
		}
		var infos []roomInfo
		if err := json.Unmarshal(b, &infos); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, i := range infos {
			got = append(got, strings.TrimSuffix(i.JID, "@rooms.a.org"))
		}
		if strings.Join(got, " ") != x.want {
			t.Errorf("%v: %v, want %s", x.flags, got, x.want)
		}
	}
}
