package mam_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

// operator is a module that can export.
type operator struct {
	bridge
	exporter interface {
		Export(ctx context.Context, owner jid.JID, w io.Writer, progress func(done int)) (int, error)
	}
}

func (o *operator) Register(r *module.Registrar) error {
	r.Need(&o.exporter)
	return o.bridge.Register(r)
}

// export returns the ids and texts of an export, which must be well-formed.
func (o *operator) export(t *testing.T, owner string) (ids, texts []string) {
	t.Helper()
	var b bytes.Buffer
	told := 0
	n, err := o.exporter.Export(t.Context(), jid.MustParse(owner), &b, func(done int) { told = done })
	if err != nil {
		t.Fatal(err)
	}
	xml, ok := strings.CutPrefix(b.String(), "<?xml version='1.0' encoding='UTF-8'?>\n")
	if !ok {
		t.Errorf("no declaration: %.50q", b.String())
	}
	f, err := xmlstream.ParseFragment([]byte(strings.TrimSpace(xml)))
	if err != nil || f.NumChildren() != 1 {
		t.Fatalf("not well-formed: %v: %s", err, xml)
	}
	user := f.At(0).Node().Child(ns.Portable, "host").Child(ns.Portable, "user")
	for res := range user.Child(ns.PortableMAM, "archive").Children(ns.MAM, "result") {
		ids = append(ids, res.Attr("id"))
		texts = append(texts, res.Child(ns.Forward, "forwarded").Child(ns.Client, "message").Child(ns.Client, "body").TextContent())
	}
	if n != len(ids) || told != n {
		t.Errorf("%d messages, %d returned, %d told", len(ids), n, told)
	}
	return ids, texts
}

func TestExport(t *testing.T) {
	o := &operator{}
	s := xmpptest.Start(t, xmpptest.Options{Extra: func() []module.Module { return []module.Module{o} }})
	room := jid.MustParse("hall@rooms.example.org")
	if err := o.rooms.EnsureRoom(t.Context(), event.RoomSpec{Room: room, Persistent: true}); err != nil {
		t.Fatal(err)
	}
	const many = 230 // more than two pages
	for range many {
		o.say(t, room, "<&'\">", time.Time{})
	}
	ids, texts := o.export(t, room.String())
	if len(ids) != many || texts[0] != "<&'\">" {
		t.Errorf("%d messages, the first is %q", len(ids), texts[0])
	}
	r := &reader{Client: s.Login(t, "alice@example.org/x")}
	if _, last := r.all(t, room, "", 100); last != ids[many-1] {
		t.Errorf("the last has the id %s, clients know it as %s", ids[many-1], last)
	}
	if ids, _ := o.export(t, "alice@example.org"); len(ids) != 0 {
		t.Errorf("%d messages of nobody", len(ids))
	}
	if _, err := o.exporter.Export(t.Context(), jid.MustParse("nowhere@rooms.example.org"), io.Discard, func(int) {}); err == nil {
		t.Error("a room that is not there was exported")
	}
}
