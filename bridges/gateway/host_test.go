package gateway_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/bridges/gateway"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

const bridgeHost = "fake.example.org"

func TestDisco(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.in("alice")
	n := alice.ask("get", bridgeHost, "<query xmlns='"+ns.DiscoInfo+"'/>")
	q := n.Child(ns.DiscoInfo, "query")
	if id := child(q, ns.DiscoInfo, "identity"); id == nil || id.Attr("category") != "gateway" || id.Attr("type") != "fake" || id.Attr("name") != "Fakenet" {
		t.Errorf("%s", n)
	}
	for _, want := range []string{ns.Gateway, ns.Register, ns.VCard, ns.Commands} {
		if !strings.Contains(n.String(), "var='"+want+"'") {
			t.Errorf("%s is not offered: %s", want, n)
		}
	}
	n = alice.ask("get", "rooms."+bridgeHost, "<query xmlns='"+ns.DiscoInfo+"'/>")
	if strings.Contains(n.String(), "category='gateway'") || !strings.Contains(n.String(), "category='conference'") {
		t.Errorf("%s", n)
	}
	n = alice.ask("get", bobJID, "<query xmlns='"+ns.DiscoInfo+"'/>")
	if id := child(n.Child(ns.DiscoInfo, "query"), ns.DiscoInfo, "identity"); id == nil || id.Attr("category") != "account" || id.Attr("name") != "Bob" {
		t.Errorf("%s", n)
	}
	if n = alice.ask("get", "example.org", "<query xmlns='"+ns.DiscoItems+"'/>"); !strings.Contains(n.String(), "jid='"+bridgeHost+"'") {
		t.Errorf("%s", n)
	}
}

func TestFindBySearching(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.person("alice")
	n := alice.ask("get", bridgeHost, "<query xmlns='jabber:iq:gateway'/>")
	if p := child(n.Child(ns.Gateway, "query"), ns.Gateway, "prompt"); p == nil || p.TextContent() != "@user:server" {
		t.Errorf("%s", n)
	}
	for typed, want := range map[string]string{"@bob:hs": bobJID, "#ops:hs": opsRoom} {
		n = alice.ask("set", bridgeHost, "<query xmlns='jabber:iq:gateway'><prompt>"+typed+"</prompt></query>")
		if j := child(n.Child(ns.Gateway, "query"), ns.Gateway, "jid"); j == nil || j.TextContent() != want {
			t.Errorf("%s: %s", typed, n)
		}
	}
	if n = alice.ask("set", bridgeHost, "<query xmlns='jabber:iq:gateway'><prompt>@none:hs</prompt></query>"); n.Attr("type") != "error" {
		t.Errorf("%s", n)
	}
	alice.Send("<message to='" + bridgeHost + "' type='chat'><body>find #ops:hs</body></message>")
	if n := alice.message(); textOf(n) != "Operations xmpp:"+opsRoom+"?join" {
		t.Errorf("%s", n)
	}
	alice.Send("<message to='" + bridgeHost + "' type='chat'><body>what?</body></message>")
	if n := alice.message(); !strings.Contains(textOf(n), "find <id, alias or link>") {
		t.Errorf("%s", n)
	}
	n = alice.ask("set", bridgeHost, "<command xmlns='"+ns.Commands+"' node='find' sessionid='f'><x xmlns='jabber:x:data' type='submit'><field var='text'><value>@bob:hs</value></field></x></command>")
	if !strings.Contains(n.String(), "Bob xmpp:"+bobJID) || !strings.Contains(n.String(), "completed") {
		t.Errorf("%s", n)
	}
}

func TestPuppetHasFace(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.person("alice")
	alice.Send("<presence to='" + opsRoom + "/alice'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	alice.until("the hash", func(n *xmlstream.Node) bool {
		x := n.Child(ns.VCardUpdate, "x")
		return n.Attr("from") == opsRoom+"/Bob" && x != nil && child(x, ns.VCardUpdate, "photo") != nil && len(x.Child(ns.VCardUpdate, "photo").TextContent()) == 40
	})
	for _, at := range []string{bobJID, opsRoom + "/Bob"} {
		n := alice.ask("get", at, "<vCard xmlns='vcard-temp'/>")
		v := n.Child(ns.VCard, "vCard")
		if v == nil || child(v, ns.VCard, "FN").TextContent() != "Bob" || child(child(v, ns.VCard, "PHOTO"), ns.VCard, "TYPE") == nil {
			t.Errorf("%s: %s", at, n)
		}
	}
}

func TestGhostHasFace(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.person("alice")
	alice.ask("set", "alice@example.org", "<vCard xmlns='vcard-temp'><PHOTO><TYPE>image/png</TYPE><BINVAL>iVBORw0KGgoAAAANSUhEUg==</BINVAL></PHOTO></vCard>")
	alice.enters("alice")
	alice.say("m1", "see me")
	op := awaitOp(t, w.net, any1[*sdk.SendMessage])
	if op.Sender.Avatar == nil || op.Sender.Avatar.Type != "image/png" {
		t.Fatalf("%+v", op.Sender)
	}
	if strings.Contains(string(op.Sender.Avatar.ID), "alice") {
		t.Errorf("the picture's id shows the address: %s", op.Sender.Avatar.ID)
	}
	c, err := w.net.host.Open(context.Background(), sdk.MediaRequest{ID: op.Sender.Avatar.ID})
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c.Body)
	if err != nil || len(b) != 16 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if _, err := w.net.host.Open(context.Background(), sdk.MediaRequest{ID: "face:stranger@example.org"}); err == nil {
		t.Error("the face of somebody who does not use the bridge was given away")
	}
}

func TestState(t *testing.T) {
	w := newWorld(t, worldOptions{})
	ctx := context.Background()
	s := w.net.host.State()
	if _, err := s.Get(ctx, "k"); !errors.Is(err, sdk.ErrNotFound) {
		t.Errorf("get: %v", err)
	}
	r1, err := s.Put(ctx, "k", []byte("one"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(ctx, "k", []byte("two"), 0); !errors.Is(err, sdk.ErrConflict) {
		t.Errorf("put over what is there: %v", err)
	}
	r2, err := s.Put(ctx, "k", []byte("two"), r1)
	if err != nil || r2 == r1 {
		t.Errorf("put: %d, %v", r2, err)
	}
	if _, err := s.Put(ctx, "k", []byte("three"), r1); !errors.Is(err, sdk.ErrConflict) {
		t.Errorf("put over another revision: %v", err)
	}
	if _, err := s.Put(ctx, "k2", nil, sdk.AnyRevision); err != nil {
		t.Errorf("put: %v", err)
	}
	list, err := s.List(ctx, "k", "", 10)
	if err != nil || len(list) != 2 || string(list[0].Value) != "two" || list[1].Key != "k2" {
		t.Errorf("%+v, %v", list, err)
	}
	if list, _ := s.List(ctx, "k", "k", 10); len(list) != 1 {
		t.Errorf("after k: %+v", list)
	}
	if err := s.Delete(ctx, "k", r1); !errors.Is(err, sdk.ErrConflict) {
		t.Errorf("delete: %v", err)
	}
	if err := s.Delete(ctx, "k", r2); err != nil {
		t.Errorf("delete: %v", err)
	}
	for _, key := range []string{"", strings.Repeat("k", 513), "a\x00b"} {
		if _, err := s.Put(ctx, key, nil, 0); err == nil {
			t.Errorf("the key %q was taken", key)
		}
	}
}

func TestLogin(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.person("alice")
	n := alice.ask("set", bridgeHost, "<command xmlns='"+ns.Commands+"' node='login' action='execute'/>")
	c := n.Child(ns.Commands, "command")
	if c == nil || c.Attr("status") != "executing" || !strings.Contains(n.String(), "text-private") {
		t.Fatalf("%s", n)
	}
	n = alice.ask("set", bridgeHost, "<command xmlns='"+ns.Commands+"' node='login' sessionid='"+c.Attr("sessionid")+
		"'><x xmlns='jabber:x:data' type='submit'><field var='token'><value>tok-12345-very-secret</value></field></x></command>")
	if c = n.Child(ns.Commands, "command"); c == nil || c.Attr("status") != "completed" {
		t.Fatalf("%s", n)
	}
	alice.Send("<message to='" + bridgeHost + "' type='chat'><body>logins</body></message>")
	if n := alice.message(); !strings.Contains(textOf(n), "acc1 Alice there: connected") {
		t.Errorf("%s", n)
	}
	alice.enters("alice")
	alice.say("own", "as myself")
	if op := awaitOp(t, w.net, any1[*sdk.SendMessage]); op.Login != "acc1" {
		t.Errorf("sent through %q", op.Login)
	}
	if n = alice.ask("get", bridgeHost, "<query xmlns='jabber:iq:register'/>"); !strings.Contains(n.String(), "<registered/>") || strings.Contains(n.String(), "password") {
		t.Errorf("%s", n)
	}
	alice.Drop()
	w.Restart(t)
	w.attach()
	w.net.await(t, "the login", func() bool { return len(w.net.loaded) == 2 })
	w.net.mu.Lock()
	if l := w.net.loaded[1]; l.ID != "acc1" || string(l.Credentials) != "secret tok-12345-very-secret" || l.User != "@alice:hs" {
		t.Errorf("%+v", l)
	}
	w.net.mu.Unlock()
	again := w.person("alice")
	again.ask("set", bridgeHost, "<query xmlns='jabber:iq:register'><remove/></query>")
	again.Send("<message to='" + bridgeHost + "' type='chat'><body>logins</body></message>")
	if n := again.message(); !strings.Contains(textOf(n), "not signed in") {
		t.Errorf("%s", n)
	}
}

// What a login is made of stands nowhere in the data directory.
func TestCredentialsAreEncrypted(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.person("alice")
	n := alice.ask("set", bridgeHost, "<command xmlns='"+ns.Commands+"' node='login'/>")
	alice.ask("set", bridgeHost, "<command xmlns='"+ns.Commands+"' node='login' sessionid='"+n.Child(ns.Commands, "command").Attr("sessionid")+
		"'><x xmlns='jabber:x:data' type='submit'><field var='token'><value>tok-98765-very-secret</value></field></x></command>")
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "backup"))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Data().Backup(context.Background(), f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(f.Name())
	if err != nil || len(b) == 0 {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "tok-98765") {
		t.Error("the token stands in the database")
	}
}

func TestOptions(t *testing.T) {
	for name, spec := range map[string]gateway.BridgeSpec{
		"no domain": {Name: "x"}, "no name": {Domain: "example.org"}, "name of the server's": {Name: "rooms", Domain: "example.org"},
		"capitals": {Name: "Matrix", Domain: "example.org"}, "dot": {Name: "a.b", Domain: "example.org"},
	} {
		if _, err := gateway.New(gateway.Options{Bridges: []gateway.BridgeSpec{spec}}); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	twice := gateway.BridgeSpec{Name: "x", Domain: "example.org"}
	if _, err := gateway.New(gateway.Options{Bridges: []gateway.BridgeSpec{twice, twice}}); err == nil {
		t.Error("two bridges of one name were taken")
	}
	gw, err := gateway.New(gateway.Options{Bridges: []gateway.BridgeSpec{twice}})
	if err != nil {
		t.Fatal(err)
	}
	if h := gw.RoomHosts(); len(h) != 1 || h[0].Name != "rooms.x.example.org" || h[0].Origin != "x.example.org" {
		t.Errorf("%+v", h)
	}
	if err := gw.Attach(context.Background(), "y", nil); err == nil {
		t.Error("a bridge that is not configured was attached")
	}
}
