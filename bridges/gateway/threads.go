package gateway

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Threads: each network names them in its own way, mostly by their first message; XMPP has an id that is anybody's choice. In a room a thread is called what the
// network calls it that had it first, and table tableThreads, owner the room, holds
//
//	t/<thread>       the id of its first message and the portal that has named it
//	m/<message id>   the thread that begins with the message
//
// so that the others find it by their own id of that message.

// threadOf is the thread of a message from the network: its name for people here, with what has to be stored of it.
func (a *arrival) threadOf(ctx context.Context, t *sdk.Thread) (name string, root storage.MessageID, rows []journal.Op) {
	if t == nil {
		return "", 0, nil
	}
	name = firstOf(t.ID, string(t.Root.ID))
	found := a.target(ctx, t.Root)
	if found == nil || name == "" {
		return name, 0, nil
	}
	root = found.pair.Stanza
	table, room := a.b.m.d.Store.Table(tableThreads), a.p.room().String()
	if b, err := table.Get(ctx, room, threadKey(root)); err == nil && len(b) > 0 {
		return string(b), root, nil
	}
	return name, root, []journal.Op{
		storage.PutRow{Table: tableThreads, Owner: room, Key: "t/" + name, Value: []byte(strconv.FormatInt(int64(root), 10) + " " + a.p.key)},
		storage.PutRow{Table: tableThreads, Owner: room, Key: threadKey(root), Value: []byte(name)},
	}
}

func threadKey(root storage.MessageID) string { return fmt.Sprintf("m/%016x", int64(root)) }

// threadRoot is the first message of a thread, and the portal that has named it; nothing for a thread that a client here has begun.
func (p *portal) threadRoot(ctx context.Context, name string) (storage.MessageID, string) {
	if name == "" || p.room().IsZero() {
		return 0, ""
	}
	b, err := p.b.m.d.Store.Table(tableThreads).Get(ctx, p.room().String(), "t/"+name)
	if err != nil {
		return 0, ""
	}
	id, key, _ := strings.Cut(string(b), " ")
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return 0, ""
	}
	return storage.MessageID(n), key
}

// thread is the thread of a message for the network; nil if it knows nothing of it.
func (p *portal) thread(ctx context.Context, n *note, name string) *sdk.Thread {
	if name == "" {
		return nil
	}
	if n.Root == 0 {
		return &sdk.Thread{ID: name}
	}
	t := &sdk.Thread{Root: p.ref(ctx, n.archive(p), n.Root)}
	if n.Thread == p.key {
		t.ID = name
	}
	if t.ID == "" && t.Root.IsZero() {
		return nil
	}
	return t
}
